/* The penalty's pass for one element type. Included by penalty.c with REAL, FABS and NAME(n),
 * which gives n the type's suffix. */

/* Whether `count` timesteps from t on may share a division: none is free of one, and the product
 * of their denominators stays finite for any weight up to a million. */
static int NAME(share)(const double *c, int64_t t, int64_t steps, int64_t count, double most) {
    if (t + count > steps) return 0;
    for (int64_t k = t; k < t + count; k++)
        if (c[k] == 0 || c[k] > most) return 0;
    return 1;
}

/* sum[j] of r and squares[j] of a r^2 over all timesteps, for m weights of magnitude u. */
static void NAME(sum_over_time)(const REAL *restrict u, REAL *restrict sum, REAL *restrict squares,
                                int64_t m, const double *a, const double *c, int64_t steps) {
    REAL flat = 0, flat_squares = 0;
    for (int64_t t = 0; t < steps; t++)
        if (c[t] == 0) {
            REAL r = 1 / (REAL)a[t];
            flat += r;
            flat_squares += (REAL)a[t] * r * r;
        }
    for (int64_t j = 0; j < m; j++) sum[j] = flat, squares[j] = flat_squares;
    for (int64_t t = 0; t < steps; t++) {
        if (c[t] == 0) continue;
        REAL a1 = (REAL)a[t], c1 = (REAL)c[t];
        if (NAME(share)(c, t, steps, 4, 1e3)) {
            REAL a2 = (REAL)a[t + 1], c2 = (REAL)c[t + 1], a3 = (REAL)a[t + 2];
            REAL c3 = (REAL)c[t + 2], a4 = (REAL)a[t + 3], c4 = (REAL)c[t + 3];
            for (int64_t j = 0; j < m; j++) {
                REAL d1 = a1 + c1 * u[j], d2 = a2 + c2 * u[j];
                REAL d3 = a3 + c3 * u[j], d4 = a4 + c4 * u[j];
                REAL first = d1 * d2, second = d3 * d4, all = 1 / (first * second);
                first *= all, second *= all;
                REAL r1 = d2 * second, r2 = d1 * second, r3 = d4 * first, r4 = d3 * first;
                sum[j] += (r1 + r2) + (r3 + r4);
                squares[j] += (a1 * (r1 * r1) + a2 * (r2 * r2)) +
                              (a3 * (r3 * r3) + a4 * (r4 * r4));
            }
            t += 3;
        } else if (NAME(share)(c, t, steps, 2, 1e6)) {
            REAL a2 = (REAL)a[t + 1], c2 = (REAL)c[t + 1];
            for (int64_t j = 0; j < m; j++) {
                REAL d1 = a1 + c1 * u[j], d2 = a2 + c2 * u[j], both = 1 / (d1 * d2);
                REAL r1 = d2 * both, r2 = d1 * both;
                sum[j] += r1 + r2;
                squares[j] += a1 * (r1 * r1) + a2 * (r2 * r2);
            }
            t += 1;
        } else
            for (int64_t j = 0; j < m; j++) {
                REAL r = 1 / (a1 + c1 * u[j]);
                sum[j] += r;
                squares[j] += a1 * (r * r);
            }
    }
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
            REAL u[BLOCK], sum[BLOCK], squares[BLOCK];
            for (int64_t j = 0; j < m; j++) u[j] = FABS(w[i + j]);
            NAME(sum_over_time)(u, sum, squares, m, a, c, steps);
            if (out)
                for (int64_t j = 0; j < m; j++)
                    out[i + j] = w[i + j] * (REAL)scale * (sum[j] + squares[j]);
            for (int64_t j = 0; j < m; j++) sum[j] *= u[j] * u[j];
            total += NAME(sum)(sum, m);
        }
        partial[k] = total;
    }
}
