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

/* How many neurons a block has, at most `most`, so that each thread gets as many blocks as any
 * other; of more than 512 a multiple of 64, as lif_steps.h wants it. */
static inline int64_t even_block(int64_t N, int64_t most, int threads) {
    int64_t at_once = most * threads, blocks = (N + at_once - 1) / at_once * threads;
    int64_t block = N ? (N + blocks - 1) / blocks : most;
    if (block > 512) block = (block + 63) / 64 * 64;
    return block < most ? block : most;
}
