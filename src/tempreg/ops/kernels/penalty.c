/* The TRT penalty of one parameter tensor and its slope, in one pass over it.
 *
 *   value  sum_i u_i^2 sum_t r_it            u = |w|, r_it = 1 / (a_t + c_t u_i)
 *   slope  w_i sum_t r_it (1 + a_t r_it)
 *
 * The value is summed chunk by chunk in double precision (partial[k] for chunk k), so it
 * doesn't depend on the thread count. Blocks stay in the level-1 cache, with time inside.
 * Divisions are what it costs: up to four timesteps share one, as in 1 / x = y / (x y), and
 * c = 0 needs none.
 */
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "pages.h"

/* Nothing here has to be exact to the last bit: products may be added without rounding. */
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("fp-contract=fast")
#endif

#define ALWAYS_INLINE inline __attribute__((always_inline))
#define CHUNK 8192
#define BLOCK 512

#ifdef ELEMENT_FLOAT
#define REAL float
#define FABS fabsf
#define NAME(n) n##_float
#else
#define REAL double
#define FABS fabs
#define NAME(n) n##_double
#endif
#include "sum_body.h"
#include "penalty_body.h"
