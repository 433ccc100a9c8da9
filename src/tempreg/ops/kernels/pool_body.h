/* Pooling for one element type. Included by pool.c after element.h. Planes [height, width] or, by
 * the functions whose names end in last, images [height, width, channels]. */

void NAME(average_pool)(const STORED *x, STORED *out, int64_t planes, int64_t height, int64_t width,
                        int threads) {
    const int64_t rows = height / 2, columns = width / 2;
    large_result(out, planes * rows * columns * (int64_t)sizeof(STORED));
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
    for (int64_t k = 0; k < planes; k++)
        for (int64_t r = 0; r < rows; r++) {
            const STORED *restrict upper = x + (k * height + 2 * r) * width;
            const STORED *restrict lower = upper + width;
            STORED *restrict row = out + (k * rows + r) * columns;
            for (int64_t c = 0; c < columns; c++) {
                REAL sum = WIDE(upper[2 * c]) + WIDE(upper[2 * c + 1]);
                sum += WIDE(lower[2 * c]);
                sum += WIDE(lower[2 * c + 1]);
                row[c] = NARROW(sum * (REAL)0.25);
            }
        }
}

void NAME(average_pool_backward)(const STORED *g, STORED *gx, int64_t planes, int64_t height,
                                 int64_t width, int threads) {
    const int64_t rows = height / 2, columns = width / 2;
    large_result(gx, planes * height * width * (int64_t)sizeof(STORED));
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
    for (int64_t k = 0; k < planes; k++)
        for (int64_t r = 0; r < height; r++) {
            const STORED *restrict row = g + (k * rows + r / 2) * columns;
            STORED *restrict out = gx + (k * height + r) * width;
            const int64_t covered = r < 2 * rows ? columns : 0;
            for (int64_t c = 0; c < covered; c++) {
                STORED share = NARROW(WIDE(row[c]) * (REAL)0.25);
                out[2 * c] = share;
                out[2 * c + 1] = share;
            }
            for (int64_t c = 2 * covered; c < width; c++) out[c] = 0;
        }
}

void NAME(average_pool_last)(const STORED *x, STORED *out, int64_t images, int64_t height,
                             int64_t width, int64_t channels, int threads) {
    const int64_t rows = height / 2, columns = width / 2;
    large_result(out, images * rows * columns * channels * (int64_t)sizeof(STORED));
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
    for (int64_t k = 0; k < images; k++)
        for (int64_t p = 0; p < rows * columns; p++) {
            const int64_t r = p / columns, c = p % columns;
            const STORED *restrict upper = x + ((k * height + 2 * r) * width + 2 * c) * channels;
            const STORED *restrict lower = upper + width * channels;
            STORED *restrict pixel = out + (k * rows * columns + p) * channels;
            for (int64_t i = 0; i < channels; i++) {
                REAL sum = WIDE(upper[i]) + WIDE(upper[channels + i]);
                sum += WIDE(lower[i]);
                sum += WIDE(lower[channels + i]);
                pixel[i] = NARROW(sum * (REAL)0.25);
            }
        }
}

void NAME(average_pool_backward_last)(const STORED *g, STORED *gx, int64_t images, int64_t height,
                                      int64_t width, int64_t channels, int threads) {
    const int64_t rows = height / 2, columns = width / 2;
    large_result(gx, images * height * width * channels * (int64_t)sizeof(STORED));
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
    for (int64_t k = 0; k < images; k++)
        for (int64_t p = 0; p < height * width; p++) {
            const int64_t r = p / width, c = p % width;
            STORED *restrict out = gx + (k * height * width + p) * channels;
            if (r >= 2 * rows || c >= 2 * columns) {
                for (int64_t i = 0; i < channels; i++) out[i] = 0;
                continue;
            }
            const STORED *restrict pixel =
                g + ((k * rows + r / 2) * columns + c / 2) * channels;
            for (int64_t i = 0; i < channels; i++)
                out[i] = NARROW(WIDE(pixel[i]) * (REAL)0.25);
        }
}
