/* LIF forward and backward for one element type. Included once a type by lif.c with
 *   REAL        float or double
 *   NAME(n)     n with the type's suffix
 *   FABS, EXPN  absolute value, and exp(-a) for a >= 0
 *
 * Layout: x[t * x_step + n]; s, gs and gx[t * N + n] for t < T and n < N; v, gv0 and gtau[n];
 * v0[n * v0_step] and gv[n * gv_step]. x_step is N, or 0 where every timestep has the same
 * input; the other steps are 1, or 0 where one number stands for all neurons. Neurons go in
 * blocks that fit the cache, with time inside a block. Nothing is fused or reassociated (the
 * file is compiled with -ffp-contract=off): spikes are those of the equations, bit for bit.
 */

#define HARD 0
#define SOFT 1

/* over is 1 / (p * p) */
static inline REAL NAME(phi)(REAL u, REAL p, REAL over, int surrogate) {
    REAL a = FABS(u);
    if (surrogate == 0) { /* triangle */
        REAL d = p - a;
        return (d < 0 ? (REAL)0 : d) * over;
    }
    if (surrogate == 1) { /* sigmoid: sig(z) sig(-z) = e / (1 + e)^2 with e = exp(-|z|) */
        REAL e = EXPN(p * a), q = 1 + e;
        return p * e / (q * q);
    }
    if (surrogate == 2) { /* atan */
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

static inline REAL NAME(reset)(REAL h, REAL s, REAL vth, REAL vr, int kind) {
    return kind == SOFT ? h - s * vth : (1 - s) * h + s * vr;
}

/* v / tau. Where tau is a power of two its reciprocal is exact, and so is the product: the
 * same number to the last bit, without a division. */
#define DECAYED(v) (exact ? (v) * decay : (v) / tau)

static inline int NAME(is_power_of_two)(REAL tau) {
    int exponent;
    return frexp((double)tau, &exponent) == 0.5;
}

static inline __attribute__((always_inline)) void NAME(forward_block)(
    const REAL *x, int64_t x_step, REAL *s, REAL *restrict v, int64_t T, int64_t N, int64_t m,
    REAL tau, REAL vth, REAL vr, int kind, int exact) {
    REAL decay = 1 / tau;
    for (int64_t t = 0; t < T; t++) {
        const REAL *restrict xt = x + t * x_step;
        REAL *restrict st = s + t * N;
        for (int64_t i = 0; i < m; i++) {
            REAL h = DECAYED(v[i]) + xt[i];
            REAL spike = NAME(spike)(h, vth);
            st[i] = spike;
            v[i] = NAME(reset)(h, spike, vth, vr, kind);
        }
    }
}

/* decayed[t * m + i] is v[t-1] / tau of the block; its first row is given, the rest found. */
static inline __attribute__((always_inline)) void NAME(decay_block)(
    const REAL *x, int64_t x_step, REAL *decayed, int64_t T, int64_t m, REAL tau, REAL vth, REAL vr,
    int kind, int exact) {
    REAL decay = 1 / tau;
    for (int64_t t = 0; t + 1 < T; t++) {
        const REAL *restrict xt = x + t * x_step;
        const REAL *restrict now = decayed + t * m;
        REAL *restrict next = decayed + (t + 1) * m;
        for (int64_t i = 0; i < m; i++) {
            REAL h = now[i] + xt[i];
            REAL v = NAME(reset)(h, NAME(spike)(h, vth), vth, vr, kind);
            next[i] = DECAYED(v);
        }
    }
}

/* Back through time, with what decay_block found. */
static inline __attribute__((always_inline)) void NAME(backward_block)(
    const REAL *gs, const REAL *x, int64_t x_step, const REAL *decayed, REAL *gx, REAL *restrict gv,
    REAL *restrict gtau, int64_t T, int64_t N, int64_t m, REAL tau, REAL vth, REAL vr, REAL p,
    int kind, int surrogate, int detach) {
    REAL decay = 1 / tau, over = 1 / (p * p);
    for (int64_t t = T - 1; t >= 0; t--) {
        const REAL *restrict xt = x + t * x_step;
        const REAL *restrict gst = gs + t * N;
        const REAL *restrict now = decayed + t * m;
        REAL *restrict gxt = gx + t * N;
        for (int64_t i = 0; i < m; i++) {
            REAL h = now[i] + xt[i];
            REAL f = NAME(phi)(h - vth, p, over, surrogate);
            REAL kept = kind == SOFT ? (REAL)1 : 1 - NAME(spike)(h, vth);
            REAL through = kind == SOFT ? -vth * f : (vr - h) * f;
            REAL gh = gst[i] * f + gv[i] * (detach ? kept : kept + through);
            gxt[i] = gh;
            gv[i] = gh * decay;
        }
        if (gtau)
            for (int64_t i = 0; i < m; i++) gtau[i] -= gv[i] * now[i];
    }
}

void NAME(lif_forward)(const REAL *x, int64_t x_step, const REAL *v0, int64_t v0_step, REAL *s,
                       REAL *v, int64_t T, int64_t N, double tau64, double vth, double vr,
                       int kind, int threads) {
    REAL tau = (REAL)tau64;
    int exact = NAME(is_power_of_two)(tau);
    if (N == 0) return; /* a step of 0 is more than OpenMP's loop can count */
    int64_t share = (N + threads - 1) / threads, block = share < MOST_BLOCK ? share : MOST_BLOCK;
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
    for (int64_t n = 0; n < N; n += block) {
        int64_t m = N - n < block ? N - n : block;
        for (int64_t i = 0; i < m; i++) v[n + i] = v0[(n + i) * v0_step];
#define RUN(KIND, EXACT)                                                                         \
    NAME(forward_block)(x + n, x_step, s + n, v + n, T, N, m, tau, vth, vr, KIND, EXACT)
        switch (kind * 2 + exact) {
            case 0: RUN(HARD, 0); break;
            case 1: RUN(HARD, 1); break;
            case 2: RUN(SOFT, 0); break;
            default: RUN(SOFT, 1); break;
        }
#undef RUN
    }
}

/* scratch has room for threads * T * block elements, block <= MOST_BLOCK. gv0 and gtau may be
 * null, both together, where nobody asks for these gradients. */
void NAME(lif_backward)(const REAL *gs, const REAL *gv, int64_t gv_step, const REAL *x,
                        int64_t x_step, const REAL *v0, int64_t v0_step, REAL *scratch,
                        int64_t block, REAL *gx, REAL *gv0, REAL *gtau, int64_t T, int64_t N,
                        double tau64, double vth, double vr, double p, int kind, int surrogate,
                        int detach, int threads) {
    REAL tau = (REAL)tau64;
    int exact = NAME(is_power_of_two)(tau);
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
    for (int64_t n = 0; n < N; n += block) {
        int64_t m = N - n < block ? N - n : block;
        REAL *decayed = scratch + (int64_t)THREAD_NUMBER * T * block;
        REAL g[MOST_BLOCK], *sum = gtau ? gtau + n : 0;
        for (int64_t i = 0; i < m; i++) {
            decayed[i] = v0[(n + i) * v0_step] / tau;
            g[i] = gv[(n + i) * gv_step];
            if (sum) sum[i] = 0;
        }
#define RUN(KIND, EXACT)                                                                         \
    NAME(decay_block)(x + n, x_step, decayed, T, m, tau, vth, vr, KIND, EXACT)
        switch (kind * 2 + exact) {
            case 0: RUN(HARD, 0); break;
            case 1: RUN(HARD, 1); break;
            case 2: RUN(SOFT, 0); break;
            default: RUN(SOFT, 1); break;
        }
#undef RUN
#define RUN(KIND, SURROGATE)                                                                     \
    NAME(backward_block)(gs + n, x + n, x_step, decayed, gx + n, g, sum, T, N, m, tau, vth, vr,  \
                         p, KIND, SURROGATE, detach)
        switch (surrogate * 2 + kind) {
            case 0: RUN(HARD, 0); break;
            case 1: RUN(SOFT, 0); break;
            case 2: RUN(HARD, 1); break;
            case 3: RUN(SOFT, 1); break;
            case 4: RUN(HARD, 2); break;
            case 5: RUN(SOFT, 2); break;
            case 6: RUN(HARD, 3); break;
            default: RUN(SOFT, 3); break;
        }
#undef RUN
        if (gv0)
            for (int64_t i = 0; i < m; i++) gv0[n + i] = g[i];
    }
}

#undef DECAYED
#undef HARD
#undef SOFT
