/* The penalty's two passes for one element type. Included by penalty.c with REAL, FABS and
 * NAME(n), which gives n the type's suffix. */

void NAME(penalty_value)(const REAL *w, int64_t n, const double *a, const double *c,
                         int64_t steps, double *partial, int threads) {
    int64_t chunks = (n + CHUNK - 1) / CHUNK;
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
    for (int64_t k = 0; k < chunks; k++) {
        int64_t start = k * CHUNK, end = start + CHUNK < n ? start + CHUNK : n;
        double total = 0;
        for (int64_t i = start; i < end; i += BLOCK) {
            int64_t m = end - i < BLOCK ? end - i : BLOCK;
            REAL u[BLOCK], sum[BLOCK];
            for (int64_t j = 0; j < m; j++) u[j] = FABS(w[i + j]), sum[j] = 0;
            for (int64_t t = 0; t < steps; t++) {
                REAL at = (REAL)a[t], ct = (REAL)c[t];
                for (int64_t j = 0; j < m; j++) sum[j] += 1 / (at + ct * u[j]);
            }
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

void NAME(penalty_gradient)(const REAL *w, int64_t n, const double *a, const double *c,
                            int64_t steps, double scale, REAL *out, int threads) {
    int64_t chunks = (n + CHUNK - 1) / CHUNK;
    REAL factor = (REAL)scale;
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
    for (int64_t k = 0; k < chunks; k++) {
        int64_t start = k * CHUNK, end = start + CHUNK < n ? start + CHUNK : n;
        for (int64_t i = start; i < end; i += BLOCK) {
            int64_t m = end - i < BLOCK ? end - i : BLOCK;
            REAL u[BLOCK], sum[BLOCK];
            for (int64_t j = 0; j < m; j++) u[j] = FABS(w[i + j]), sum[j] = 0;
            for (int64_t t = 0; t < steps; t++) {
                REAL at = (REAL)a[t], ct = (REAL)c[t];
                for (int64_t j = 0; j < m; j++) {
                    REAL r = 1 / (at + ct * u[j]);
                    sum[j] += r * (1 + at * r);
                }
            }
            for (int64_t j = 0; j < m; j++) out[i + j] = factor * (w[i + j] * sum[j]);
        }
    }
}
