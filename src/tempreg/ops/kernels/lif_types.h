/* What LIF is compiled with, beside element.h. The equations are in lif_body.h. */
#include "element.h"

#if SURROGATES != 4
#error "phi and BY_KIND_AND_SURROGATE know four surrogates"
#endif

/* The tests in a loop must stay values: as jumps they would become stores under masks. */
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("no-thread-jumps")
#endif

/* Where there are few timesteps and nothing but LIF, blocks are cut in strips, whose neurons go
 * through up to eight timesteps without a store (lif_steps.h). */
#define STRIP 64
#define STRIP_STEPS 15
#define STRIP_STATES 4 /* 15 = 8 + 4 + 2 + 1 */
/* Channels whose statistics are found together: planes are read in the order of memory. */
#define CHANNELS 64
/* Where channels are last in memory, pixels whose part of the statistics is found at once. */
#define PIXELS 128
/* Elements of a row that are made REAL at once. */
#define WIDENED 256
/* How many rows of REAL a block needs for each timestep in a backward pass: of h and, where
 * gradients are rounded, of what they are before. */
#ifdef ROUNDED
#define ROOMS ROUNDED_ROOMS
#else
#define ROOMS 1
#endif
#if defined(__FMA__) || defined(__ARM_FEATURE_FMA)
#define FUSED
#endif
#define HARD 0
#define SOFT 1

/* CALL(KIND, X) for a layer, where X says whether 1 / tau is exact, or which surrogate it has: both
 * are known when a loop over neurons is compiled. */
#define BY_KIND(CALL, layer, X)                                       \
    do {                                                              \
        if ((layer)->kind == SOFT) CALL(SOFT, X); else CALL(HARD, X); \
    } while (0)
#define BY_KIND_AND_EXACT(CALL, layer)                                                  \
    do {                                                                                \
        if ((layer)->exact) BY_KIND(CALL, layer, 1); else BY_KIND(CALL, layer, 0);      \
    } while (0)
#define BY_KIND_AND_SURROGATE(CALL, layer)                      \
    switch ((layer)->surrogate) {                               \
        case TRIANGLE: BY_KIND(CALL, layer, TRIANGLE); break;   \
        case SIGMOID: BY_KIND(CALL, layer, SIGMOID); break;     \
        case ATAN: BY_KIND(CALL, layer, ATAN); break;           \
        case RECTANGLE: BY_KIND(CALL, layer, RECTANGLE); break; \
    }

#ifdef _OPENMP
#include <omp.h>
#define THREAD_NUMBER omp_get_thread_num()
#else
#define THREAD_NUMBER 0
#endif

/* exp(-a) for a >= 0 in single precision, to 2 units in the last place, without a call, so
 * that loops over it vectorise: exp(-a) = 2^k exp(r) with |r| <= ln(2)/2, exp(r) by its Taylor
 * series. NaN stays NaN; below 2^-126 the result is 0. */
static inline float exp_negative(float a) {
    float z = a < 87.0f ? -a : -87.0f;
    float k = rintf(z * 1.44269504f);
    float r = (z - k * 0.693359375f) + k * 2.12194440e-4f;
    float e = 1.98412698e-4f;
    e = e * r + 1.38888889e-3f;
    e = e * r + 8.33333333e-3f;
    e = e * r + 4.16666667e-2f;
    e = e * r + 1.66666667e-1f;
    e = e * r + 0.5f;
    e = e * r + 1.0f;
    e = e * r + 1.0f;
    int32_t bits = ((int32_t)k + 127) << 23;
    float scale;
    memcpy(&scale, &bits, sizeof scale);
    float result = a < 87.0f ? e * scale : 0.0f;
    return a == a ? result : a;
}
static inline double exp_negative_double(double a) { return exp(-a); }

#if defined(ELEMENT_FLOAT) || defined(ELEMENT_BFLOAT16)
#define EXPN exp_negative
#define FUSED_MULTIPLY_ADD __builtin_fmaf
#else
#define EXPN exp_negative_double
#define FUSED_MULTIPLY_ADD __builtin_fma
#endif
#ifdef FUSED
#define MULTIPLY_ADD(a, b, c) FUSED_MULTIPLY_ADD(a, b, c)
#else
#define MULTIPLY_ADD(a, b, c) ((a) * (b) + (c))
#endif
