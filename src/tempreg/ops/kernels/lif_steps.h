/* LIF alone through 1, 2, 4 or 8 timesteps of a strip of STRIP neurons: forward_1 ... backward_8,
 * for one element type. Everything between these timesteps stays in registers, which saves the
 * stores, and reads x and gs of a neuron's next timesteps while this one's are being used. 1 / tau
 * must be exact (see lif_body.h); the numbers are those of lif_body.h to the last bit.
 *
 * The macros stand for loops over t, because a compiler makes vectors of neurons only of a loop
 * that has no other inside. */

/* Rows of one tensor don't overlap, which a compiler can't see. */
#define PRAGMA(words) _Pragma(#words)
#if defined(__clang__)
#define INDEPENDENT PRAGMA(clang loop vectorize(assume_safety))
#elif defined(__GNUC__)
#define INDEPENDENT PRAGMA(GCC ivdep)
#else
#define INDEPENDENT
#endif

/* h of the timestep after that with h = `before`. Found both ways and then chosen, so that little
 * waits for the comparison; 0 h is 0, or NaN where h is infinite. */
static ALWAYS_INLINE REAL NAME(charged)(REAL before, REAL x, const NAME(layer) *layer, int kind) {
    const REAL decay = layer->decay;
    REAL kept = before * decay + x;
    REAL spiked = kind == SOFT ? (before - layer->vth) * decay + x
                               : MULTIPLY_ADD((REAL)0, before, layer->vr * decay + x);
    return before > layer->vth ? spiked : kept;
}

/* The gradient of a timestep's current, from `after`, that of the next timestep's. */
static ALWAYS_INLINE REAL NAME(discharged)(REAL after, REAL gs, REAL h, const NAME(layer) *layer,
                                           int kind, int surrogate) {
    REAL f = NAME(phi)(h - layer->vth, layer->p, layer->over, surrogate);
    REAL kept = kind == SOFT || !(h > layer->vth) ? (REAL)1 : (REAL)0;
    REAL whole = MULTIPLY_ADD(kind == SOFT ? -layer->vth : layer->vr - h, f, kept);
    return MULTIPLY_ADD(after, (layer->detach ? kept : whole) * layer->decay, gs * f);
}

#define FIRST const REAL h0 = v0[i] * layer->decay + WIDE(x[0 * x_step + i]);
#define NEXT(t, before) \
    const REAL h##t = NAME(charged)(h##before, WIDE(x[t * x_step + i]), layer, kind);
#define SPIKES(t) \
    if (spikes) s[t * N + i] = UPPER(NAME(spike)(h##t, layer->vth));
#define BACK(t)                                                                        \
    g = NAME(discharged)(g, WIDE(gs[t * N + i]), h##t, layer, kind, surrogate); \
    gx[t * N + i] = NARROW(g);

#define CHARGE_1 FIRST
#define CHARGE_2 CHARGE_1 NEXT(1, 0)
#define CHARGE_4 CHARGE_2 NEXT(2, 1) NEXT(3, 2)
#define CHARGE_8 CHARGE_4 NEXT(4, 3) NEXT(5, 4) NEXT(6, 5) NEXT(7, 6)
#define SPIKES_1 SPIKES(0)
#define SPIKES_2 SPIKES_1 SPIKES(1)
#define SPIKES_4 SPIKES_2 SPIKES(2) SPIKES(3)
#define SPIKES_8 SPIKES_4 SPIKES(4) SPIKES(5) SPIKES(6) SPIKES(7)
#define BACK_1 BACK(0)
#define BACK_2 BACK(1) BACK_1
#define BACK_4 BACK(3) BACK(2) BACK_2
#define BACK_8 BACK(7) BACK(6) BACK(5) BACK(4) BACK_4

/* v may be v0. */
#define FORWARD(n, LAST)                                                                         \
    static ALWAYS_INLINE void NAME(forward_##n)(                                                 \
        const STORED *restrict x, int64_t x_step, STORED *restrict s, int64_t N, const REAL *v0, \
        REAL *v, const NAME(layer) *of, int kind, int spikes) {                                  \
        const NAME(layer) own = *of, *layer = &own; /* no store changes it */                    \
        INDEPENDENT                                                                              \
        for (int64_t i = 0; i < STRIP; i++) {                                                    \
            CHARGE_##n SPIKES_##n                                                                \
            v[i] = NAME(reset)(LAST, layer->vth, layer->vr, kind);                               \
        }                                                                                        \
    }
/* after goes from the gradient of the current that would come next to that of the first. */
#define BACKWARD(n)                                                                              \
    static ALWAYS_INLINE void NAME(backward_##n)(                                                \
        const STORED *restrict gs, const STORED *restrict x, int64_t x_step, STORED *restrict gx, \
        int64_t N, const REAL *restrict v0, REAL *restrict after, const NAME(layer) *of,         \
        int kind, int surrogate) {                                                               \
        const NAME(layer) own = *of, *layer = &own;                                              \
        INDEPENDENT                                                                              \
        for (int64_t i = 0; i < STRIP; i++) {                                                    \
            REAL g = after[i];                                                                   \
            CHARGE_##n BACK_##n                                                                  \
            after[i] = g;                                                                        \
        }                                                                                        \
    }
FORWARD(1, h0) FORWARD(2, h1) FORWARD(4, h3) FORWARD(8, h7)
BACKWARD(1) BACKWARD(2) BACKWARD(4) BACKWARD(8)

#define BY_STEPS(n, DIRECTION, ...)                      \
    switch (n) {                                         \
        case 8: NAME(DIRECTION##_8)(__VA_ARGS__); break; \
        case 4: NAME(DIRECTION##_4)(__VA_ARGS__); break; \
        case 2: NAME(DIRECTION##_2)(__VA_ARGS__); break; \
        default: NAME(DIRECTION##_1)(__VA_ARGS__);       \
    }
