/* The penalty's pass for one element type. Included by penalty.c after element.h. */

/* Whether `count` timesteps from t on may share a division: none is free of one, and the product
 * of their denominators stays finite for any weight up to a million. */
static int NAME(share)(const double *c, int64_t t, int64_t steps, int64_t count, double most) {
    if (t + count > steps) return 0;
    for (int64_t k = t; k < t + count; k++)
        if (c[k] == 0 || c[k] > most) return 0;
    return 1;
}

/* What a group of timesteps adds to sum[j] of r and squares[j] of a r^2, for m weights; `fresh` is
 * set for the first group, which starts from flat[0] and flat[1]. */
#define ADD(R, SQUARES)                                  \
    sum[j] = (fresh ? flat[0] : sum[j]) + (R);           \
    squares[j] = (fresh ? flat[1] : squares[j]) + (SQUARES)

static ALWAYS_INLINE void NAME(four)(const REAL *restrict w, REAL *restrict sum,
                                     REAL *restrict squares, int64_t m, const double *a,
                                     const double *c, const REAL *flat, int fresh) {
    const REAL a1 = (REAL)a[0], a2 = (REAL)a[1], a3 = (REAL)a[2], a4 = (REAL)a[3];
    const REAL c1 = (REAL)c[0], c2 = (REAL)c[1], c3 = (REAL)c[2], c4 = (REAL)c[3];
    for (int64_t j = 0; j < m; j++) {
        REAL u = FABS(w[j]), d1 = a1 + c1 * u, d2 = a2 + c2 * u, d3 = a3 + c3 * u, d4 = a4 + c4 * u;
        REAL first = d1 * d2, second = d3 * d4, all = 1 / (first * second);
        first *= all, second *= all;
        REAL r1 = d2 * second, r2 = d1 * second, r3 = d4 * first, r4 = d3 * first;
        ADD((r1 + r2) + (r3 + r4), (a1 * (r1 * r1) + a2 * (r2 * r2)) +
                                       (a3 * (r3 * r3) + a4 * (r4 * r4)));
    }
}

static ALWAYS_INLINE void NAME(two)(const REAL *restrict w, REAL *restrict sum,
                                    REAL *restrict squares, int64_t m, const double *a,
                                    const double *c, const REAL *flat, int fresh) {
    const REAL a1 = (REAL)a[0], a2 = (REAL)a[1], c1 = (REAL)c[0], c2 = (REAL)c[1];
    for (int64_t j = 0; j < m; j++) {
        REAL u = FABS(w[j]), d1 = a1 + c1 * u, d2 = a2 + c2 * u, both = 1 / (d1 * d2);
        REAL r1 = d2 * both, r2 = d1 * both;
        ADD(r1 + r2, a1 * (r1 * r1) + a2 * (r2 * r2));
    }
}

static ALWAYS_INLINE void NAME(one)(const REAL *restrict w, REAL *restrict sum,
                                    REAL *restrict squares, int64_t m, const double *a,
                                    const double *c, const REAL *flat, int fresh) {
    const REAL a1 = (REAL)a[0], c1 = (REAL)c[0];
    for (int64_t j = 0; j < m; j++) {
        REAL r = 1 / (a1 + c1 * FABS(w[j]));
        ADD(r, a1 * (r * r));
    }
}
#undef ADD

/* sum[j] of r and squares[j] of a r^2 over all timesteps, for m weights. */
static void NAME(sum_over_time)(const REAL *w, REAL *sum, REAL *squares, int64_t m, const double *a,
                                const double *c, int64_t steps) {
    REAL flat[2] = {0, 0};
    for (int64_t t = 0; t < steps; t++)
        if (c[t] == 0) {
            REAL r = 1 / (REAL)a[t];
            flat[0] += r;
            flat[1] += (REAL)a[t] * r * r;
        }
    int fresh = 1;
#define RUN(GROUP)                                                  \
    if (fresh)                                                      \
        NAME(GROUP)(w, sum, squares, m, a + t, c + t, flat, 1);     \
    else                                                            \
        NAME(GROUP)(w, sum, squares, m, a + t, c + t, flat, 0);     \
    fresh = 0
    for (int64_t t = 0; t < steps; t++) {
        if (c[t] == 0) continue;
        if (NAME(share)(c, t, steps, 4, 1e3)) {
            RUN(four);
            t += 3;
        } else if (NAME(share)(c, t, steps, 2, 1e6)) {
            RUN(two);
            t += 1;
        } else {
            RUN(one);
        }
    }
#undef RUN
    if (fresh)
        for (int64_t j = 0; j < m; j++) sum[j] = flat[0], squares[j] = flat[1];
}

/* The sum over m weights of w^2 sum, with out = scale w (sum + squares) unless out is null. */
static ALWAYS_INLINE double NAME(finish)(const REAL *w, const REAL *sum, const REAL *squares,
                                         REAL *out, REAL scale, int64_t m) {
    NAME(wide) lanes[4] = {{0}, {0}, {0}, {0}};
    double total = 0;
    int64_t j = 0;
    for (; j + 32 <= m; j += 32)
#pragma GCC unroll 4
        for (int k = 0; k < 4; k++) {
            NAME(eight) each, sums, square;
            memcpy(&each, w + j + 8 * k, sizeof each);
            memcpy(&sums, sum + j + 8 * k, sizeof sums);
            memcpy(&square, squares + j + 8 * k, sizeof square);
            lanes[k] += __builtin_convertvector(each * each * sums, NAME(wide));
            if (!out) continue;
            each = each * scale * (sums + square);
            memcpy(out + j + 8 * k, &each, sizeof each);
        }
    for (; j < m; j++) {
        total += (double)(w[j] * w[j] * sum[j]);
        if (out) out[j] = w[j] * scale * (sum[j] + squares[j]);
    }
    lanes[0] = (lanes[0] + lanes[1]) + (lanes[2] + lanes[3]);
    for (int l = 0; l < 8; l++) total += lanes[0][l];
    return total;
}

/* out takes scale times the slope, or is null where nobody asks for it */
void NAME(penalty)(const REAL *w, int64_t n, const double *a, const double *c, int64_t steps,
                   double *partial, REAL *out, double scale, int threads) {
    int64_t chunks = (n + CHUNK - 1) / CHUNK;
    if (out) large_result(out, n * (int64_t)sizeof(REAL));
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
    for (int64_t k = 0; k < chunks; k++) {
        int64_t start = k * CHUNK, end = start + CHUNK < n ? start + CHUNK : n;
        double total = 0;
        for (int64_t i = start; i < end; i += BLOCK) {
            int64_t m = end - i < BLOCK ? end - i : BLOCK;
            REAL sum[BLOCK], squares[BLOCK];
            NAME(sum_over_time)(w + i, sum, squares, m, a, c, steps);
            total += out ? NAME(finish)(w + i, sum, squares, out + i, (REAL)scale, m)
                         : NAME(finish)(w + i, sum, squares, 0, 0, m);
        }
        partial[k] = total;
    }
}
