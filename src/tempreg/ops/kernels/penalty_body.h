/* The penalty's pass for one element type. Included by penalty.c with REAL, FABS and NAME(n),
 * which gives n the type's suffix. */

/* sum[j] of r and slope[j] of r (1 + a r) over all timesteps, for m weights of magnitude u. */
static void NAME(sum_over_time)(const REAL *restrict u, REAL *restrict sum, REAL *restrict slope,
                                int64_t m, const double *a, const double *c, int64_t steps) {
    REAL flat = 0, flat_slope = 0;
    for (int64_t t = 0; t < steps; t++)
        if (c[t] == 0) {
            REAL r = 1 / (REAL)a[t];
            flat += r;
            flat_slope += r * (1 + (REAL)a[t] * r);
        }
    for (int64_t j = 0; j < m; j++) sum[j] = flat, slope[j] = flat_slope;
    for (int64_t t = 0; t < steps; t++) {
        if (c[t] == 0) continue;
        REAL a1 = (REAL)a[t], c1 = (REAL)c[t];
        int pair = t + 1 < steps && c[t] <= SHARED && c[t + 1] != 0 && c[t + 1] <= SHARED;
        if (!pair) {
            for (int64_t j = 0; j < m; j++) {
                REAL r = 1 / (a1 + c1 * u[j]);
                sum[j] += r;
                slope[j] += r * (1 + a1 * r);
            }
            continue;
        }
        t++;
        REAL a2 = (REAL)a[t], c2 = (REAL)c[t];
        for (int64_t j = 0; j < m; j++) {
            REAL d1 = a1 + c1 * u[j], d2 = a2 + c2 * u[j], both = 1 / (d1 * d2);
            REAL r1 = d2 * both, r2 = d1 * both;
            sum[j] += r1 + r2;
            slope[j] += r1 * (1 + a1 * r1) + r2 * (1 + a2 * r2);
        }
    }
}

/* out takes the slope, or is null where nobody asks for it */
void NAME(penalty)(const REAL *w, int64_t n, const double *a, const double *c, int64_t steps,
                   double *partial, REAL *out, int threads) {
    int64_t chunks = (n + CHUNK - 1) / CHUNK;
    if (out) large_result(out, n * (int64_t)sizeof(REAL));
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
    for (int64_t k = 0; k < chunks; k++) {
        int64_t start = k * CHUNK, end = start + CHUNK < n ? start + CHUNK : n;
        double total = 0;
        for (int64_t i = start; i < end; i += BLOCK) {
            int64_t m = end - i < BLOCK ? end - i : BLOCK;
            REAL u[BLOCK], sum[BLOCK], slope[BLOCK];
            for (int64_t j = 0; j < m; j++) u[j] = FABS(w[i + j]);
            NAME(sum_over_time)(u, sum, slope, m, a, c, steps);
            if (out)
                for (int64_t j = 0; j < m; j++) out[i + j] = w[i + j] * slope[j];
            for (int64_t j = 0; j < m; j++) sum[j] *= u[j] * u[j];
            double lanes[8] = {0};
            int64_t j = 0;
            for (; j + 8 <= m; j += 8)
                for (int l = 0; l < 8; l++) lanes[l] += (double)sum[j + l];
            for (; j < m; j++) lanes[0] += (double)sum[j];
            for (int l = 0; l < 8; l++) total += lanes[l];
        }
        partial[k] = total;
    }
}
