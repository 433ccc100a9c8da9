/* LIF of a batch norm's output, which is never stored, for one element type (see lif_body.h).
 *
 * x is [steps of x, images, channels, plane]; N = images * channels * plane neurons, of which
 * neuron n is in channel (n / plane) % channels. x_step is N, or 0 where x has one step that is
 * shown at all T. The input current is x * alpha + beta with one alpha and beta a channel.
 */

/* Mean and biased variance of each channel of x [images, channels, plane], in double precision
 * and in the order of the images, whatever the thread count. Each plane's own mean is found
 * first, and the planes are put together after Chan, Golub and LeVeque (1983). */
void NAME(channel_statistics)(const REAL *x, int64_t images, int64_t channels, int64_t plane,
                              REAL *mean, REAL *var, int threads) {
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
    for (int64_t part = 0; part < threads; part++) {
        int64_t first = channels * part / threads, last = channels * (part + 1) / threads;
        double middle[CHANNELS], squares[CHANNELS];
        for (int64_t start = first; start < last; start += CHANNELS) {
            int64_t count = last - start < CHANNELS ? last - start : CHANNELS;
            for (int64_t image = 0; image < images; image++)
                for (int64_t c = 0; c < count; c++) {
                    const REAL *row = x + (image * channels + start + c) * plane;
                    double own = NAME(sum)(row, plane) / (double)plane;
                    double around = NAME(sum_of)(row, plane, own, 1);
                    if (image == 0) {
                        middle[c] = own, squares[c] = around;
                        continue;
                    }
                    double apart = own - middle[c], weight = 1.0 / (double)(image + 1);
                    middle[c] += apart * weight;
                    squares[c] += around + apart * apart * (double)(plane * image) * weight;
                }
            for (int64_t c = 0; c < count; c++) {
                mean[start + c] = (REAL)middle[c];
                var[start + c] = (REAL)(squares[c] / (double)(images * plane));
            }
        }
    }
}

/* row[i] of a block that starts at neuron n: the value of its channel. */
static void NAME(spread)(const REAL *values, REAL *row, int64_t n, int64_t m, int64_t channels,
                         int64_t plane) {
    int64_t c = n / plane % channels, left = plane - n % plane;
    for (int64_t i = 0; i < m; left = plane, c = c + 1 < channels ? c + 1 : 0) {
        int64_t end = i + left < m ? i + left : m;
        for (REAL value = values[c]; i < end; i++) row[i] = value;
    }
}

/* Adds each channel's part of the row to sums[channel]. */
static void NAME(gather)(const REAL *row, double *sums, int64_t n, int64_t m, int64_t channels,
                         int64_t plane) {
    int64_t c = n / plane % channels, left = plane - n % plane;
    for (int64_t i = 0; i < m; left = plane, c = c + 1 < channels ? c + 1 : 0) {
        int64_t count = left < m - i ? left : m - i;
        sums[c] += NAME(sum)(row + i, count);
        i += count;
    }
}

void NAME(norm_lif_forward)(const REAL *x, int64_t x_step, const REAL *alpha, const REAL *beta,
                            int64_t channels, int64_t plane, REAL *s, int64_t T, int64_t N,
                            double tau, double vth, double vr, int kind, int threads) {
    const NAME(layer) layer = NAME(layer_of)(tau, vth, vr, 1, kind, 0, 0);
    large_result(s, T * N * (int64_t)sizeof(REAL));
    int64_t share = (N + threads - 1) / threads, block = share < NORM_BLOCK ? share : NORM_BLOCK;
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
    for (int64_t n = 0; n < N; n += block) {
        int64_t m = N - n < block ? N - n : block;
        REAL a[NORM_BLOCK], b[NORM_BLOCK], v[NORM_BLOCK];
        NAME(spread)(alpha, a, n, m, channels, plane);
        NAME(spread)(beta, b, n, m, channels, plane);
        for (int64_t i = 0; i < m; i++) v[i] = 0;
        NAME(forward_any)(x + n, x_step, a, b, s + n, N, v, T, m, &layer, 1);
    }
}

/* gx takes the gradient of the current, in one step where x_step is 0; sums[thread][2][channels],
 * zeros before, takes its sum, and the sum of its product with x - mean, of each channel.
 * scratch has room for threads * T * block elements. */
void NAME(norm_lif_backward)(const REAL *gs, const REAL *x, int64_t x_step, const REAL *alpha,
                             const REAL *beta, const REAL *mean, int64_t channels, int64_t plane,
                             REAL *scratch, int64_t block, REAL *gx, double *sums, int64_t T,
                             int64_t N, double tau, double vth, double vr, double p, int kind,
                             int surrogate, int detach, int threads) {
    const NAME(layer) layer = NAME(layer_of)(tau, vth, vr, p, kind, surrogate, detach);
    if (block > NORM_BLOCK) block = NORM_BLOCK; /* rows of a block lie on the stack */
    large_result(gx, (x_step ? T : 1) * N * (int64_t)sizeof(REAL));
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
    for (int64_t n = 0; n < N; n += block) {
        int64_t m = N - n < block ? N - n : block;
        REAL *h = scratch + (int64_t)THREAD_NUMBER * T * block;
        double *own = sums + (int64_t)THREAD_NUMBER * 2 * channels;
        REAL a[NORM_BLOCK], b[NORM_BLOCK], middle[NORM_BLOCK], g[NORM_BLOCK], sum[NORM_BLOCK];
        REAL dot[NORM_BLOCK], unused[NORM_BLOCK];
        NAME(spread)(alpha, a, n, m, channels, plane);
        NAME(spread)(beta, b, n, m, channels, plane);
        NAME(spread)(mean, middle, n, m, channels, plane);
        for (int64_t i = 0; i < m; i++) g[i] = sum[i] = dot[i] = 0;
        NAME(charge_any)(x + n, x_step, a, b, g, h, T, m, &layer, 1);
        NAME(backward_any)(gs + n, N, h, x_step ? gx + n : unused, x_step, g, x + n, x_step,
                           middle, sum, dot, T, m, &layer, 1);
        if (!x_step)
            for (int64_t i = 0; i < m; i++) gx[n + i] = sum[i];
        NAME(gather)(sum, own, n, m, channels, plane);
        NAME(gather)(dot, own + channels, n, m, channels, plane);
    }
}

/* gx = (gx - shift - (x - mean) * slope) * factor for each channel, in place. */
void NAME(norm_backward)(const REAL *x, REAL *gx, const REAL *mean, const REAL *shift,
                         const REAL *slope, const REAL *factor, int64_t planes, int64_t channels,
                         int64_t plane, int threads) {
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
    for (int64_t k = 0; k < planes; k++) {
        int64_t c = k % channels;
        const REAL *restrict row = x + k * plane;
        REAL *restrict out = gx + k * plane;
        REAL middle = mean[c], offset = shift[c], steep = slope[c], times = factor[c];
        for (int64_t i = 0; i < plane; i++)
            out[i] = (out[i] - offset - (row[i] - middle) * steep) * times;
    }
}
