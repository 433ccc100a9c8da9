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
#include "element.h"

/* Nothing here has to be exact to the last bit: products may be added without rounding. */
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("fp-contract=fast")
#endif

#define BLOCK 512

#include "sum_body.h"
#include "penalty_body.h"
