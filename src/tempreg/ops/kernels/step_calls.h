/* Neurons with a second state: forward and backward over all of them, for one element type.
 *
 * Layout: x, s, gs and gx[t * N + n] for t < T and n < N; the states v and c and their gradients
 * [n], which go in as those at one end and come out as those at the other. equation is ALIF or CUBA,
 * a and j its constants (step.c). */
#define ALIF 0

void NAME(step_forward)(const REAL *x, REAL *s, REAL *v, REAL *c, int64_t T, int64_t N, double tau,
                        double a, double j, double vth, double vr, int equation, int kind,
                        int threads) {
    if (N == 0) return;
    large_result(s, T * N * (int64_t)sizeof(REAL));
    const int64_t block = even_block(N, MOST_BLOCK, threads);
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
    for (int64_t n = 0; n < N; n += block) {
        int64_t m = N - n < block ? N - n : block;
#define RUN(WHICH, KIND)                                                                       \
    NAME(WHICH##_forward)(x + n, s + n, N, v + n, c + n, 0, 0, T, m, (REAL)tau, (REAL)a, (REAL)j, \
                          (REAL)vth, (REAL)vr, KIND, 0)
        if (equation == ALIF) {
            if (kind == SOFT) RUN(alif, SOFT); else RUN(alif, HARD);
        } else {
            if (kind == SOFT) RUN(cuba, SOFT); else RUN(cuba, HARD);
        }
#undef RUN
    }
}

/* room_h and room_c have room for threads * T * most elements each; v and c are the first states,
 * and are overwritten. */
void NAME(step_backward)(const REAL *gs, REAL *gv, REAL *gc, const REAL *x, REAL *v, REAL *c,
                         REAL *room_h, REAL *room_c, int64_t most, REAL *gx, int64_t T, int64_t N,
                         double tau, double a, double j, double vth, double vr, double p,
                         int equation, int kind, int surrogate, int detach, int threads) {
    if (N == 0) return;
    large_result(gx, T * N * (int64_t)sizeof(REAL));
    const int64_t block = even_block(N, most, threads);
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
    for (int64_t n = 0; n < N; n += block) {
        int64_t m = N - n < block ? N - n : block, at = (int64_t)THREAD_NUMBER * T * block;
        REAL *h = room_h + at, *k = room_c + at;
        const NAME(layer) made = {0, 0, 0, 0, 0, 0, kind, 0, surrogate, 0}, *layer = &made;
#define KEEP(WHICH, KIND)                                                                       \
    NAME(WHICH##_forward)(x + n, 0, N, v + n, c + n, h, k, T, m, (REAL)tau, (REAL)a, (REAL)j,      \
                          (REAL)vth, (REAL)vr, KIND, 1)
#define ALIF_BACK(KIND, SURROGATE)                                                              \
    NAME(alif_backward)(gs + n, gx + n, N, h, k, gv + n, gc + n, T, m, (REAL)tau, (REAL)a,         \
                        (REAL)j, (REAL)vth, (REAL)vr, (REAL)p, KIND, SURROGATE, detach)
#define CUBA_BACK(KIND, SURROGATE)                                                              \
    NAME(cuba_backward)(gs + n, gx + n, N, h, k, gv + n, gc + n, T, m, (REAL)tau, (REAL)a,         \
                        (REAL)j, (REAL)vth, (REAL)vr, (REAL)p, KIND, SURROGATE, detach)
        if (equation == ALIF) {
            if (kind == SOFT) KEEP(alif, SOFT); else KEEP(alif, HARD);
            BY_KIND_AND_SURROGATE(ALIF_BACK, layer)
        } else {
            if (kind == SOFT) KEEP(cuba, SOFT); else KEEP(cuba, HARD);
            BY_KIND_AND_SURROGATE(CUBA_BACK, layer)
        }
#undef KEEP
#undef ALIF_BACK
#undef CUBA_BACK
    }
}
