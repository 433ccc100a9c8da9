/* LIF forward and backward for one element type. Included once a type by lif.c with
 *   REAL        float or double
 *   NAME(n)     n with the type's suffix
 *   FABS, EXPN  absolute value, and exp(-a) for a >= 0
 *
 * Layout: x[t * x_step + n], s, gs and gx[t * N + n] for t < T and n < N; v0, v, gv, gv0,
 * gtau[n]. x_step is N, or 0 where every timestep has the same input. Neurons go in blocks
 * that fit the cache, with time inside a block. Nothing is fused or reassociated (the file
 * is compiled with -ffp-contract=off): spikes are those of the equations, bit for bit.
 */

#define HARD 0
#define SOFT 1

static inline REAL NAME(phi)(REAL u, REAL p, int surrogate) {
    REAL a = FABS(u);
    if (surrogate == 0) { /* triangle */
        REAL d = p - a;
        return (d < 0 ? (REAL)0 : d) / (p * p);
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

static inline __attribute__((always_inline)) void NAME(forward_block)(
    const REAL *x, int64_t x_step, REAL *s, REAL *restrict v, int64_t T, int64_t N, int64_t m,
    REAL tau, REAL vth, REAL vr, int kind) {
    for (int64_t t = 0; t < T; t++) {
        const REAL *restrict xt = x + t * x_step;
        REAL *restrict st = s + t * N;
        for (int64_t i = 0; i < m; i++) {
            REAL h = v[i] / tau + xt[i];
            REAL spike = NAME(spike)(h, vth);
            st[i] = spike;
            v[i] = NAME(reset)(h, spike, vth, vr, kind);
        }
    }
}

/* vs holds v[t-1] of the block, then time runs backwards; vs[t * m + i]. */
static inline __attribute__((always_inline)) void NAME(backward_block)(
    const REAL *gs, const REAL *x, int64_t x_step, const REAL *v0, REAL *restrict vs, REAL *gx,
    REAL *restrict gv, REAL *restrict gtau, int64_t T, int64_t N, int64_t m, REAL tau, REAL vth,
    REAL vr, REAL p, int kind, int surrogate, int detach) {
    for (int64_t i = 0; i < m; i++) vs[i] = v0[i];
    for (int64_t t = 0; t + 1 < T; t++) {
        const REAL *restrict xt = x + t * x_step;
        const REAL *restrict v = vs + t * m;
        REAL *restrict next = vs + (t + 1) * m;
        for (int64_t i = 0; i < m; i++) {
            REAL h = v[i] / tau + xt[i];
            next[i] = NAME(reset)(h, NAME(spike)(h, vth), vth, vr, kind);
        }
    }
    for (int64_t i = 0; i < m; i++) gtau[i] = 0;
    for (int64_t t = T - 1; t >= 0; t--) {
        const REAL *restrict xt = x + t * x_step;
        const REAL *restrict gst = gs + t * N;
        const REAL *restrict v = vs + t * m;
        REAL *restrict gxt = gx + t * N;
        for (int64_t i = 0; i < m; i++) {
            REAL decayed = v[i] / tau, h = decayed + xt[i];
            REAL f = NAME(phi)(h - vth, p, surrogate);
            REAL kept = kind == SOFT ? (REAL)1 : 1 - NAME(spike)(h, vth);
            REAL through = kind == SOFT ? -vth * f : (vr - h) * f;
            REAL gh = gst[i] * f + gv[i] * (detach ? kept : kept + through);
            gxt[i] = gh;
            gv[i] = gh / tau;
            gtau[i] -= gv[i] * decayed;
        }
    }
}

void NAME(lif_forward)(const REAL *x, int64_t x_step, const REAL *v0, REAL *s, REAL *v, int64_t T,
                       int64_t N, double tau, double vth, double vr, int kind, int threads) {
    const int64_t block = 1024;
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
    for (int64_t n = 0; n < N; n += block) {
        int64_t m = N - n < block ? N - n : block;
        memcpy(v + n, v0 + n, (size_t)m * sizeof(REAL));
        if (kind == SOFT)
            NAME(forward_block)(x + n, x_step, s + n, v + n, T, N, m, tau, vth, vr, SOFT);
        else
            NAME(forward_block)(x + n, x_step, s + n, v + n, T, N, m, tau, vth, vr, HARD);
    }
}

/* gv arrives holding the gradient of the last state and leaves holding that of v0.
 * scratch has room for threads * T * block elements. */
void NAME(lif_backward)(const REAL *gs, REAL *gv, const REAL *x, int64_t x_step, const REAL *v0,
                        REAL *scratch, int64_t block, REAL *gx, REAL *gtau, int64_t T, int64_t N,
                        double tau, double vth, double vr, double p, int kind, int surrogate,
                        int detach, int threads) {
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
    for (int64_t n = 0; n < N; n += block) {
        int64_t m = N - n < block ? N - n : block;
        REAL *vs = scratch + (int64_t)THREAD_NUMBER * T * block;
#define RUN(KIND, SURROGATE)                                                                     \
    NAME(backward_block)(gs + n, x + n, x_step, v0 + n, vs, gx + n, gv + n, gtau + n, T, N, m,   \
                         tau, vth, vr, p, KIND, SURROGATE, detach)
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
    }
}

#undef HARD
#undef SOFT
