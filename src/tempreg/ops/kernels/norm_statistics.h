/* Mean and variance of each channel, for one element type. Included by norm_lif.c after sum_body.h.
 *
 * In double precision and in the order of memory, whatever the thread count: the mean of a part of
 * a channel's numbers and their squares around it are found first, and the parts are put together
 * after Chan, Golub and LeVeque (1983). */

/* sum_of of a row as it is stored. */
#ifdef ROUNDED
static double NAME(sum_of_stored)(const STORED *row, int64_t m, double middle, int square) {
    REAL wide[WIDENED];
    double total = 0;
    for (int64_t i = 0, n; i < m; i += n) {
        n = m - i < WIDENED ? m - i : WIDENED;
        for (int64_t k = 0; k < n; k++) wide[k] = WIDE(row[i + k]);
        total += NAME(sum_of)(wide, n, middle, square);
    }
    return total;
}
#define SUM_OF_STORED NAME(sum_of_stored)
#else
#define SUM_OF_STORED NAME(sum_of)
#endif

/* A part of a channel: how many numbers, their mean, and the sum of squares around it. */
typedef struct {
    double mean, around;
} NAME(moments);

/* Of `plane` numbers in a row. */
static NAME(moments) NAME(moments_of_plane)(const STORED *row, int64_t plane) {
    double own = SUM_OF_STORED(row, plane, 0, 0) / (double)plane;
    NAME(moments) made = {own, SUM_OF_STORED(row, plane, own, 1)};
    return made;
}

/* Of `count` channels side by side, each with a number in every one of `rows`, `stride` apart. */
static void NAME(moments_of_rows)(const STORED *x, int64_t stride, int64_t rows, int64_t count,
                                  NAME(moments) *made) {
    double own[CHANNELS] = {0}, around[CHANNELS] = {0};
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = 0; c < count; c++) own[c] += (double)WIDE(x[r * stride + c]);
    for (int64_t c = 0; c < count; c++) own[c] /= (double)rows;
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = 0; c < count; c++) {
            double apart = (double)WIDE(x[r * stride + c]) - own[c];
            around[c] += apart * apart;
        }
    for (int64_t c = 0; c < count; c++) made[c].mean = own[c], made[c].around = around[c];
}

/* Takes a part of `count` numbers to the `before` that are in `all`. */
static inline void NAME(put_together)(NAME(moments) *all, int64_t before, NAME(moments) part,
                                      int64_t count) {
    if (before == 0) {
        *all = part;
        return;
    }
    double apart = part.mean - all->mean, weight = (double)count / (double)(before + count);
    all->mean += apart * weight;
    all->around += part.around + apart * apart * (double)before * weight;
}

/* Mean and biased variance of each channel of x [images, channels, plane] or, with `last`, of
 * [images, channels]. */
void NAME(channel_statistics)(const STORED *x, int64_t images, int64_t channels, int64_t plane,
                              int last, REAL *mean, REAL *var, int threads) {
    const int64_t together = last ? PIXELS : 1;
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
    for (int64_t part = 0; part < threads; part++) {
        int64_t first = channels * part / threads, end = channels * (part + 1) / threads;
        NAME(moments) all[CHANNELS], found[CHANNELS];
        for (int64_t start = first; start < end; start += CHANNELS) {
            int64_t count = end - start < CHANNELS ? end - start : CHANNELS;
            for (int64_t image = 0, rows; image < images; image += rows) {
                const STORED *at = x + (image * channels + start) * plane;
                rows = images - image < together ? images - image : together;
                if (last)
                    NAME(moments_of_rows)(at, channels, rows, count, found);
                else
                    for (int64_t c = 0; c < count; c++)
                        found[c] = NAME(moments_of_plane)(at + c * plane, plane);
                for (int64_t c = 0; c < count; c++)
                    NAME(put_together)(all + c, plane * image, found[c], plane * rows);
            }
            for (int64_t c = 0; c < count; c++) {
                mean[start + c] = (REAL)all[c].mean;
                var[start + c] = (REAL)(all[c].around / (double)(images * plane));
            }
        }
    }
}
