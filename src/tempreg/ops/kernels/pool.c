/* 2x2 average pooling with stride 2 of planes [height, width], and its gradient, for float and
 * double. A last odd row or column belongs to no window. The terms are added in the order of
 * memory, as torch does. */
#include <stdint.h>

#include "pages.h"

#ifdef ELEMENT_FLOAT
#define REAL float
#define NAME(n) n##_float
#else
#define REAL double
#define NAME(n) n##_double
#endif
#include "pool_body.h"
