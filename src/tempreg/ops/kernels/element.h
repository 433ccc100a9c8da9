/* What a kernel is compiled with, for the element type of this compilation: ELEMENT_FLOAT, or else
 * double.
 *   REAL        float or double
 *   NAME(n)     n with the type's suffix
 *   FABS        absolute value
 * Macros that are defined nowhere here come from Python: cbuild.DEFINED. */
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "pages.h"

#define ALWAYS_INLINE inline __attribute__((always_inline))

#ifdef ELEMENT_FLOAT
#define REAL float
#define NAME(n) n##_float
#define FABS fabsf
#else
#define REAL double
#define NAME(n) n##_double
#define FABS fabs
#endif
