/* Pooling for one element type. Included by pool.c after element.h. */

void NAME(average_pool)(const REAL *x, REAL *out, int64_t planes, int64_t height, int64_t width,
                        int threads) {
    const int64_t rows = height / 2, columns = width / 2;
    large_result(out, planes * rows * columns * (int64_t)sizeof(REAL));
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
    for (int64_t k = 0; k < planes; k++)
        for (int64_t r = 0; r < rows; r++) {
            const REAL *restrict upper = x + (k * height + 2 * r) * width;
            const REAL *restrict lower = upper + width;
            REAL *restrict row = out + (k * rows + r) * columns;
            for (int64_t c = 0; c < columns; c++) {
                REAL sum = upper[2 * c] + upper[2 * c + 1];
                sum += lower[2 * c];
                sum += lower[2 * c + 1];
                row[c] = sum * (REAL)0.25;
            }
        }
}

void NAME(average_pool_backward)(const REAL *g, REAL *gx, int64_t planes, int64_t height,
                                 int64_t width, int threads) {
    const int64_t rows = height / 2, columns = width / 2;
    large_result(gx, planes * height * width * (int64_t)sizeof(REAL));
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
    for (int64_t k = 0; k < planes; k++)
        for (int64_t r = 0; r < height; r++) {
            const REAL *restrict row = g + (k * rows + r / 2) * columns;
            REAL *restrict out = gx + (k * height + r) * width;
            const int64_t covered = r < 2 * rows ? columns : 0;
            for (int64_t c = 0; c < covered; c++) {
                REAL share = row[c] * (REAL)0.25;
                out[2 * c] = share;
                out[2 * c + 1] = share;
            }
            for (int64_t c = 2 * covered; c < width; c++) out[c] = 0;
        }
}
