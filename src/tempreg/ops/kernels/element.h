/* What a kernel is compiled with, for the element type of this compilation: ELEMENT_FLOAT,
 * ELEMENT_BFLOAT16, or else double.
 *   REAL        float or double: what is computed in, and what states, statistics and sums lie in
 *   STORED      what inputs, spikes, results and their gradients lie in: REAL, or a bfloat16, which
 *               is the upper half of a float; ROUNDED is defined where it isn't REAL
 *   WIDE(x)     a STORED as a REAL
 *   NARROW(r)   the STORED nearest to the REAL r, of two as near the even one
 *   UPPER(r)    the same of an r of which nothing is lost: 0, 1, NaN as arithmetic makes it
 *   NAME(n)     n with the type's suffix
 *   FABS        absolute value
 * Macros that are defined nowhere here come from Python: cbuild.DEFINED. */
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "pages.h"

#define ALWAYS_INLINE inline __attribute__((always_inline))

#ifdef ELEMENT_BFLOAT16
#include "bfloat16.h"
#define ROUNDED
#define STORED uint16_t
#define WIDE bfloat16_as_float
#define NARROW bfloat16_nearest
#define UPPER bfloat16_of
#define REAL float
#define NAME(n) n##_bfloat16
#define FABS fabsf
#else
#define STORED REAL
#define WIDE(x) (x)
#define NARROW(r) (r)
#define UPPER(r) (r)
#ifdef ELEMENT_FLOAT
#define REAL float
#define NAME(n) n##_float
#define FABS fabsf
#else
#define REAL double
#define NAME(n) n##_double
#define FABS fabs
#endif
#endif
