/* LIF alone: forward and backward over all neurons, for one element type (see lif_body.h).
 *
 * Layout: x[t * x_step + n]; s, gs and gx[t * N + n] for t < T and n < N; v, gv0 and gtau[n];
 * v0[n * v0_step] and gv[n * gv_step]. x_step is N, or 0 where every timestep has the same
 * input; the other steps are 1, or 0 where one number stands for all neurons. In which order the
 * neurons lie doesn't matter, as long as all tensors have the same.
 */

void NAME(lif_forward)(const STORED *x, int64_t x_step, const REAL *v0, int64_t v0_step,
                       STORED *s, REAL *v, int64_t T, int64_t N, double tau, double vth, double vr,
                       int kind, int threads) {
    const NAME(layer) layer = NAME(layer_of)(tau, vth, vr, 1, kind, 0, 0);
    if (N == 0) return; /* a step of 0 is more than OpenMP's loop can count */
    large_result(s, T * N * (int64_t)sizeof(STORED));
    const int64_t block = even_block(N, MOST_BLOCK, threads);
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
    for (int64_t n = 0; n < N; n += block) {
        int64_t m = N - n < block ? N - n : block;
        int64_t done = NAME(forward_strips)(x + n, x_step, v0 + n * v0_step, v0_step, s + n, v + n,
                                            T, N, m, &layer);
        if (done == m) continue;
        int64_t at = n + done, left = m - done;
        NAME(take)(v + at, v0 + at * v0_step, v0_step, left);
        NAME(forward_any)(x + at, x_step, 0, 0, s + at, N, v + at, T, left, &layer, 0);
    }
}

/* scratch has room for threads * ROOMS * T * most elements. gv0 and gtau may be null, both
 * together, where nobody asks for these gradients. */
void NAME(lif_backward)(const STORED *gs, const REAL *gv, int64_t gv_step, const STORED *x,
                        int64_t x_step, const REAL *v0, int64_t v0_step, REAL *scratch,
                        int64_t most, STORED *gx, REAL *gv0, REAL *gtau, int64_t T, int64_t N,
                        double tau64, double vth, double vr, double p, int kind, int surrogate,
                        int detach, int threads) {
    const NAME(layer) layer = NAME(layer_of)(tau64, vth, vr, p, kind, surrogate, detach);
    const REAL tau = layer.tau, decay = layer.decay;
    const int exact = layer.exact;
    const int64_t block = even_block(N, most < MOST_BLOCK ? most : MOST_BLOCK, threads);
    large_result(gx, T * N * (int64_t)sizeof(STORED));
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
    for (int64_t n = 0; n < N; n += block) {
        int64_t m = N - n < block ? N - n : block;
        REAL *h = scratch + (int64_t)THREAD_NUMBER * ROOMS * T * block;
        REAL first[MOST_BLOCK], g[MOST_BLOCK]; /* on the stack */
        int64_t done = 0; /* gtau needs h of the whole block */
        if (!gv0)
            done = NAME(backward_strips)(gs + n, gv + n * gv_step, gv_step, x + n, x_step,
                                         v0 + n * v0_step, v0_step, gx + n, T, N, m, &layer);
        int64_t at = n + done, left = m - done;
        if (left == 0) continue;
        NAME(take)(first, v0 + at * v0_step, v0_step, left);
        NAME(take)(g, gv + at * gv_step, gv_step, left);
        NAME(charge_any)(x + at, x_step, 0, 0, first, h, T, left, &layer, 0);
#ifdef ROUNDED
        const int64_t gh_step = left;
        REAL *gh = h + T * block;
#else
        const int64_t gh_step = N;
        REAL *gh = gx + at;
#endif
        NAME(backward_any)(gs + at, N, h, gh, gh_step, g, 0, 0, 0, 0, 0, T, left, &layer, 0);
#ifdef ROUNDED
        for (int64_t t = 0; t < T; t++)
            for (int64_t i = 0; i < left; i++) gx[t * N + at + i] = NARROW(gh[t * left + i]);
#endif
        if (!gv0) continue;
        for (int64_t i = 0; i < m; i++) {
            gv0[n + i] = g[i];
            REAL sum = 0;
            for (int64_t t = T - 1; t >= 0; t--) {
                REAL before = first[i];
                if (t > 0) {
                    before = h[(t - 1) * m + i];
                    before = NAME(reset)(before, layer.vth, layer.vr, layer.kind);
                }
                sum -= gh[t * gh_step + i] * decay * DECAYED(before);
            }
            gtau[n + i] = sum;
        }
    }
}

/* A small layer from a state of zeros, of whose states nobody asks for: room is for `lif_forward`'s
 * v, and for `lif_backward`'s scratch. layer has tau, v_threshold, v_reset, the surrogate's
 * parameter, and 0 or 1, the surrogate and 0 or 1 for the kind of reset and a detached one. */
void NAME(short_forward)(const STORED *x, STORED *s, REAL *room, int64_t T, int64_t N,
                         const double *layer, int threads) {
    const REAL zero = 0;
    NAME(lif_forward)(x, N, &zero, 0, s, room, T, N, layer[0], layer[1], layer[2], (int)layer[4],
                      threads);
}

void NAME(short_backward)(const STORED *gs, const STORED *x, STORED *gx, REAL *room, int64_t T,
                          int64_t N, const double *layer, int threads) {
    const REAL zero = 0;
    int64_t most = T > STRIP_STEPS ? 512 : MOST_BLOCK; /* whose potentials a level-1 cache holds */
    NAME(lif_backward)(gs, &zero, 0, x, N, &zero, 0, room, most, gx, 0, 0, T, N, layer[0],
                       layer[1], layer[2], layer[3], (int)layer[4], (int)layer[5], (int)layer[6],
                       threads);
}
