/* LIF alone over few timesteps: a block of m neurons in strips (see lif_types.h), for one element
 * type. Both return how many neurons they did: the last m % STRIP are left to the caller, and all
 * where T is large or 1 / tau isn't exact (what is compiled is what a first call waits for).
 * Arguments as in lif_calls.h, from the block's first neuron on. */

/* The states of m neurons, from one for each (step 1) or one for all (step 0). */
static ALWAYS_INLINE void NAME(take)(REAL *restrict to, const REAL *restrict from, int64_t step,
                                     int64_t m) {
    if (step == 0)
        for (int64_t i = 0; i < m; i++) to[i] = from[0];
    else
        memcpy(to, from, (size_t)m * sizeof(REAL));
}

static int64_t NAME(forward_strips)(const REAL *x, int64_t x_step, const REAL *v0, int64_t v0_step,
                                    REAL *s, REAL *v, int64_t T, int64_t N, int64_t m,
                                    const NAME(layer) *layer) {
    int64_t i = 0;
    if (T > STRIP_STEPS || !layer->exact) return 0;
#define RUN(KIND)                                                                             \
    for (; i + STRIP <= m; i += STRIP) {                                                      \
        REAL state[STRIP];                                                                    \
        NAME(take)(state, v0 + i * v0_step, v0_step, STRIP);                                  \
        NAME(forward_block)(x + i, x_step, 0, 0, s + i, N, state, T, STRIP, layer, KIND, 1, 0); \
        memcpy(v + i, state, sizeof state);                                                   \
    }
    if (layer->kind == HARD) {
        RUN(HARD)
    } else {
        RUN(SOFT)
    }
#undef RUN
    return i;
}

static int64_t NAME(backward_strips)(const REAL *gs, const REAL *gv, int64_t gv_step, const REAL *x,
                                     int64_t x_step, const REAL *v0, int64_t v0_step, REAL *gx,
                                     int64_t T, int64_t N, int64_t m, const NAME(layer) *layer) {
    REAL h[STRIP_STEPS * STRIP], state[STRIP], g[STRIP];
    int64_t i = 0;
    if (T > STRIP_STEPS || !layer->exact) return 0;
#define RUN(KIND, SURROGATE)                                                                   \
    for (; i + STRIP <= m; i += STRIP) {                                                       \
        NAME(take)(state, v0 + i * v0_step, v0_step, STRIP);                                   \
        NAME(take)(g, gv + i * gv_step, gv_step, STRIP);                                       \
        NAME(charge_block)(x + i, x_step, 0, 0, state, h, T, STRIP, layer, KIND, 1, 0);        \
        NAME(backward_block)(gs + i, N, h, gx + i, N, g, 0, 0, 0, 0, 0, T, STRIP, layer, KIND, \
                             SURROGATE, 0);                                                    \
    }
    switch (layer->surrogate * 2 + layer->kind) {
        case 0: RUN(HARD, 0) break;
        case 1: RUN(SOFT, 0) break;
        case 2: RUN(HARD, 1) break;
        case 3: RUN(SOFT, 1) break;
        case 4: RUN(HARD, 2) break;
        case 5: RUN(SOFT, 2) break;
        case 6: RUN(HARD, 3) break;
        default: RUN(SOFT, 3) break;
    }
#undef RUN
    return i;
}
