/* LIF through time over one block of neurons, for one element type. Included by lif.c
 * and norm_lif.c, after lif_types.h, which defines
 *   EXPN        exp(-a) for a >= 0
 *   MULTIPLY_ADD(a, b, c)  a * b + c, rounded once where that is an instruction
 *
 * A block is m neurons next to each other in memory, small enough that its rows stay in the
 * cache, with time outside the loop over them. Timesteps are x_step (or N) elements apart.
 * The input current is x itself or, where `affine` is set, x * alpha + beta with a factor and a
 * term for each neuron of the block. What decides about spikes is neither fused nor reassociated
 * (the file is compiled with -ffp-contract=off): they are those of the equations, bit for bit.
 */

/* What a layer computes. kind is HARD or SOFT; exact says that 1 / tau is a power of two, so
 * that v * decay, decay being 1 / tau, is v / tau to the last bit, without a division; over is
 * 1 / (p * p). */
typedef struct {
    REAL tau, decay, vth, vr, p, over;
    int kind, exact, surrogate, detach;
} NAME(layer);

static NAME(layer) NAME(layer_of)(double tau, double vth, double vr, double p, int kind,
                                  int surrogate, int detach) {
    int exponent;
    int exact = frexp((double)(REAL)tau, &exponent) == 0.5;
    NAME(layer) made = {(REAL)tau, 1 / (REAL)tau, (REAL)vth, (REAL)vr, (REAL)p,
                        1 / ((REAL)p * (REAL)p), kind, exact, surrogate, detach};
    return made;
}

static inline REAL NAME(phi)(REAL u, REAL p, REAL over, int surrogate) {
    REAL a = FABS(u);
    if (surrogate == TRIANGLE) {
        REAL d = p - a;
        return (d < 0 ? (REAL)0 : d) * over;
    }
    if (surrogate == SIGMOID) { /* sig(z) sig(-z) = e / (1 + e)^2 with e = exp(-|z|) */
        REAL e = EXPN(p * a), q = 1 + e;
        return p * e / (q * q);
    }
    if (surrogate == ATAN) {
        REAL z = (REAL)1.57079632679489661923 * p * u;
        return (p / 2) / (1 + z * z);
    }
    REAL inside = a < p / 2 ? 1 / p : (REAL)0; /* rectangle; NaN stays NaN */
    return a == a ? inside : a;
}

static inline REAL NAME(spike)(REAL h, REAL vth) {
    REAL s = h > vth ? (REAL)1 : (REAL)0;
    return h == h ? s : h;
}

/* v after the step. (1 - s) h + s vr in fewer operations: h - h is 0, or NaN where h is
 * infinite, as 0 h would be there. */
static inline REAL NAME(reset)(REAL h, REAL vth, REAL vr, int kind) {
    if (kind == SOFT) return h - NAME(spike)(h, vth) * vth;
    return h > vth ? vr + (h - h) : h;
}

#undef DECAYED
#undef CURRENT
#define DECAYED(v) (exact ? (v) * decay : (v) / tau)
#define CURRENT(row, i) (affine ? WIDE((row)[i]) * alpha[i] + beta[i] : WIDE((row)[i]))

/* Spikes of the block; v goes from the state before the first timestep to that after the last. */
static ALWAYS_INLINE void NAME(forward_block)(
    const STORED *restrict x, int64_t x_step, const REAL *restrict alpha,
    const REAL *restrict beta, STORED *restrict s, int64_t N, REAL *restrict v, int64_t T,
    int64_t m, const NAME(layer) *layer, int kind, int exact, int affine) {
    const REAL tau = layer->tau, decay = layer->decay, vth = layer->vth, vr = layer->vr;
    for (int64_t t = 0; t < T; t++) {
        const STORED *restrict xt = x + t * x_step;
        STORED *restrict st = s + t * N;
        for (int64_t i = 0; i < m; i++) {
            REAL h = DECAYED(v[i]) + CURRENT(xt, i);
            st[i] = UPPER(NAME(spike)(h, vth));
            v[i] = NAME(reset)(h, vth, vr, kind);
        }
    }
}

/* h[t * m + i]: h of the block at every timestep, from the state v before the first. */
static ALWAYS_INLINE void NAME(charge_block)(
    const STORED *restrict x, int64_t x_step, const REAL *restrict alpha,
    const REAL *restrict beta, const REAL *restrict v, REAL *restrict h,
    int64_t T, int64_t m, const NAME(layer) *layer, int kind, int exact, int affine) {
    const REAL tau = layer->tau, decay = layer->decay, vth = layer->vth, vr = layer->vr;
    for (int64_t i = 0; i < m; i++) h[i] = DECAYED(v[i]) + CURRENT(x, i);
    for (int64_t t = 1; t < T; t++) {
        const STORED *restrict xt = x + t * x_step;
        const REAL *restrict before = h + (t - 1) * m;
        REAL *restrict now = h + t * m;
        for (int64_t i = 0; i < m; i++) {
            REAL kept = NAME(reset)(before[i], vth, vr, kind);
            now[i] = DECAYED(kept) + CURRENT(xt, i);
        }
    }
}

/* Back through time: g goes from the gradient of the last state to that of the first, and gh
 * takes the gradient of the current at each timestep, in rows gh_step apart. Where `affine` is
 * set, sum and dot take the sums over time of gh and of gh * (x - mean), for each neuron. */
static ALWAYS_INLINE void NAME(backward_block)(
    const STORED *restrict gs, int64_t N, const REAL *restrict h, REAL *restrict gh,
    int64_t gh_step, REAL *restrict g, const STORED *restrict x, int64_t x_step,
    const REAL *restrict mean, REAL *restrict sum, REAL *restrict dot, int64_t T, int64_t m,
    const NAME(layer) *layer, int kind, int surrogate, int affine) {
    const REAL p = layer->p, over = layer->over, decay = layer->decay;
    const REAL vth = layer->vth, vr = layer->vr;
    const int detach = layer->detach;
    for (int64_t t = T - 1; t >= 0; t--) {
        const STORED *restrict xt = x + t * x_step;
        const STORED *restrict gst = gs + t * N;
        const REAL *restrict now = h + t * m;
        REAL *restrict ght = gh + t * gh_step;
        for (int64_t i = 0; i < m; i++) {
            REAL f = NAME(phi)(now[i] - vth, p, over, surrogate); /* NaN where h is */
            REAL kept = kind == SOFT || !(now[i] > vth) ? (REAL)1 : (REAL)0;
            REAL whole = MULTIPLY_ADD(kind == SOFT ? -vth : vr - now[i], f, kept);
            REAL gradient = MULTIPLY_ADD(g[i], detach ? kept : whole, WIDE(gst[i]) * f);
            ght[i] = gradient;
            g[i] = gradient * decay;
            if (affine) {
                sum[i] += gradient;
                dot[i] = MULTIPLY_ADD(gradient, WIDE(xt[i]) - mean[i], dot[i]);
            }
        }
    }
}

/* The blocks with what is constant in a loop known when it is compiled. */
static ALWAYS_INLINE void NAME(forward_any)(
    const STORED *x, int64_t x_step, const REAL *alpha, const REAL *beta, STORED *s, int64_t N,
    REAL *v, int64_t T, int64_t m, const NAME(layer) *layer, int affine) {
#define RUN(KIND, EXACT) \
    NAME(forward_block)(x, x_step, alpha, beta, s, N, v, T, m, layer, KIND, EXACT, affine)
    BY_KIND_AND_EXACT(RUN, layer);
#undef RUN
}

static ALWAYS_INLINE void NAME(charge_any)(
    const STORED *x, int64_t x_step, const REAL *alpha, const REAL *beta, const REAL *v, REAL *h,
    int64_t T, int64_t m, const NAME(layer) *layer, int affine) {
#define RUN(KIND, EXACT) \
    NAME(charge_block)(x, x_step, alpha, beta, v, h, T, m, layer, KIND, EXACT, affine)
    BY_KIND_AND_EXACT(RUN, layer);
#undef RUN
}

static ALWAYS_INLINE void NAME(backward_any)(
    const STORED *gs, int64_t N, const REAL *h, REAL *gh, int64_t gh_step, REAL *g,
    const STORED *x, int64_t x_step, const REAL *mean, REAL *sum, REAL *dot, int64_t T, int64_t m,
    const NAME(layer) *layer, int affine) {
#define RUN(KIND, SURROGATE)                                                                   \
    NAME(backward_block)(gs, N, h, gh, gh_step, g, x, x_step, mean, sum, dot, T, m, layer, KIND, \
                         SURROGATE, affine)
    BY_KIND_AND_SURROGATE(RUN, layer)
#undef RUN
}
