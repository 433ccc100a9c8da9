/* The TRT penalty of one parameter tensor and its slope, in one pass over it.
 *
 *   value  sum_i u_i^2 sum_t r_it            u = |w|, r_it = 1 / (a_t + c_t u_i)
 *   slope  w_i sum_t r_it (1 + a_t r_it)
 *
 * The value is summed chunk by chunk in double precision (partial[k] for chunk k), so it
 * doesn't depend on the thread count. Blocks stay in the level-1 cache, with time inside.
 * Divisions are what it costs: two timesteps share one, 1 / x = y / (x y), where c is at most
 * SHARED (beyond, the product could overflow before its factors do), and c = 0 needs none.
 */
#include <math.h>
#include <stdint.h>

#include "pages.h"

#define CHUNK 8192
#define BLOCK 512
#define SHARED 1e6

#define REAL float
#define FABS fabsf
#define NAME(n) n##_float
#include "penalty_body.h"
#undef REAL
#undef FABS
#undef NAME

#define REAL double
#define FABS fabs
#define NAME(n) n##_double
#include "penalty_body.h"
