/* Any equation of two states through time over one block of m neurons, for one element type.
 * Included by step.c once for each equation, which is in macros; N elements lie between timesteps.
 *
 * Forward: v and c go from the states before the first timestep to those after the last. Where
 * `keep_h` is set, rows of h and of the charged c are kept there and nothing else is written. */
static ALWAYS_INLINE void EQUATION(forward)(const REAL *restrict xs, REAL *restrict s, int64_t N,
                                            REAL *restrict vs, REAL *restrict cs,
                                            REAL *restrict keep_h, REAL *restrict keep_c, int64_t T,
                                            int64_t m, REAL tau, REAL a, REAL j, REAL vth, REAL vr,
                                            int kind, int keep) {
    for (int64_t t = 0; t < T; t++)
        for (int64_t i = 0; i < m; i++) {
            REAL x = xs[t * N + i], v = vs[i], c = cs[i], h;
            CHARGE;
            REAL theta = THETA, spike = NAME(spike)(h - theta, 0);
            if (keep) {
                keep_h[t * m + i] = h;
                keep_c[t * m + i] = c;
            } else {
                s[t * N + i] = spike;
            }
            vs[i] = kind == SOFT ? h - spike * theta : (h > theta ? vr + (h - h) : h);
            AFTER(spike);
            cs[i] = c;
        }
}

/* Back through time: gvs and gcs go from the gradients of the last states to those of the first. */
static ALWAYS_INLINE void EQUATION(backward)(const REAL *restrict gs, REAL *restrict gxs, int64_t N,
                                             const REAL *restrict hs, const REAL *restrict cs,
                                             REAL *restrict gvs, REAL *restrict gcs, int64_t T,
                                             int64_t m, REAL tau, REAL a, REAL j, REAL vth, REAL vr,
                                             REAL p, int kind, int surrogate, int detach) {
    const REAL over = 1 / (p * p);
    for (int64_t t = T - 1; t >= 0; t--)
        for (int64_t i = 0; i < m; i++) {
            REAL h = hs[t * m + i], c = cs[t * m + i], gv = gvs[i], gc = gcs[i], gx;
            REAL theta = THETA, spike = h > theta ? (REAL)1 : (REAL)0;
            REAL by_s = kind == SOFT ? -theta : vr - h; /* dv/ds */
            REAL of_s = gs[t * N + i] + gc * AFTER_S + (detach ? (REAL)0 : gv * by_s);
            REAL gu = of_s * NAME(phi)(h - theta, p, over, surrogate);
            REAL gh = gu + (kind == SOFT ? gv : gv * (1 - spike));
            gc = gc - THETA_C * (gu + (kind == SOFT ? gv * spike : (REAL)0));
            BACK;
            gxs[t * N + i] = gx;
            gvs[i] = gh / tau;
            gcs[i] = gc;
        }
}
