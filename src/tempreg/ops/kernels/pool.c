/* 2x2 average pooling with stride 2 of planes [height, width], and its gradient.
 * A last odd row or column belongs to no window. The terms are added in the order of
 * memory, as torch does. */
#include "element.h"
#include "pool_body.h"
