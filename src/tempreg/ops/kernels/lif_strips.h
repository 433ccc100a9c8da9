/* LIF alone over few timesteps: a block of m neurons in strips (see lif_steps.h), for one element
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

/* T timesteps are done in eights and then by the binary digits of the rest, as 8 + 4 + 1: so many
 * at once where `left` are left, and so many before the timestep t. */
static inline int64_t NAME(at_once)(int64_t left) {
    return left >= 8 ? 8 : left >= 4 ? 4 : left >= 2 ? 2 : 1;
}
static inline int64_t NAME(at_once_before)(int64_t t) { return t & 7 ? t & -t : 8; }

static ALWAYS_INLINE void NAME(forward_strip)(const STORED *x, int64_t x_step, STORED *s, int64_t N,
                                              REAL *v, int64_t T, const NAME(layer) *layer,
                                              int kind) {
    for (int64_t t = 0, n; t < T; t += n) {
        n = NAME(at_once)(T - t);
        BY_STEPS(n, forward, x + t * x_step, x_step, s + t * N, N, v, v, layer, kind, 1)
    }
}

/* states begins with the first state, and has room for one of every few timesteps that are done
 * at once. */
static ALWAYS_INLINE void NAME(backward_strip)(const STORED *gs, const STORED *x,
                                               int64_t x_step, STORED *gx, int64_t N,
                                               REAL *states, REAL *after, int64_t T,
                                               const NAME(layer) *layer, int kind, int surrogate) {
    int64_t t, n;
    for (t = 0; (n = NAME(at_once)(T - t)) < T - t; t += n, states += STRIP)
        BY_STEPS(n, forward, x + t * x_step, x_step, 0, 0, states, states + STRIP, layer, kind, 0)
    for (t = T; t > 0; states -= STRIP) {
        t -= n = NAME(at_once_before)(t);
        BY_STEPS(n, backward, gs + t * N, x + t * x_step, x_step, gx + t * N, N, states, after,
                 layer, kind, surrogate)
    }
}

static int64_t NAME(forward_strips)(const STORED *x, int64_t x_step, const REAL *v0,
                                    int64_t v0_step, STORED *s, REAL *v, int64_t T, int64_t N,
                                    int64_t m, const NAME(layer) *layer) {
    int64_t i = 0;
    if (T > STRIP_STEPS || !layer->exact) return 0;
    for (; i + STRIP <= m; i += STRIP) {
        NAME(take)(v + i, v0 + i * v0_step, v0_step, STRIP);
#define RUN(KIND, EXACT) NAME(forward_strip)(x + i, x_step, s + i, N, v + i, T, layer, KIND)
        BY_KIND(RUN, layer, 1);
#undef RUN
    }
    return i;
}

static int64_t NAME(backward_strips)(const STORED *gs, const REAL *gv, int64_t gv_step,
                                     const STORED *x, int64_t x_step, const REAL *v0,
                                     int64_t v0_step, STORED *gx,
                                     int64_t T, int64_t N, int64_t m, const NAME(layer) *layer) {
    REAL states[STRIP_STATES * STRIP], after[STRIP];
    int64_t i = 0;
    if (T > STRIP_STEPS || !layer->exact) return 0;
    for (; i + STRIP <= m; i += STRIP) {
        NAME(take)(states, v0 + i * v0_step, v0_step, STRIP);
        NAME(take)(after, gv + i * gv_step, gv_step, STRIP);
        for (int64_t k = 0; k < STRIP; k++) after[k] *= layer->tau;
#define RUN(KIND, SURROGATE)                                                                     \
    NAME(backward_strip)(gs + i, x + i, x_step, gx + i, N, states, after, T, layer, KIND, SURROGATE)
        BY_KIND_AND_SURROGATE(RUN, layer)
#undef RUN
    }
    return i;
}
