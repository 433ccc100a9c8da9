/* LIF of a batch norm's output, which is never stored, for one element type (see lif_body.h).
 *
 * x is [steps of x, images, channels, plane]; N = images * channels * plane neurons, of which
 * neuron n is in channel (n / plane) % channels. Where channels are last in memory, plane is 1 and
 * each pixel an image. x_step is N, or 0 where x has one step that is shown at all T. The input
 * current is x * alpha + beta with one alpha and beta a channel.
 */

/* row[i] of a block that starts at neuron n: the value of its channel. */
static void NAME(spread)(const REAL *values, REAL *row, int64_t n, int64_t m, int64_t channels,
                         int64_t plane) {
    int64_t c = n / plane % channels, left = plane - n % plane, end;
    if (plane == 1) /* all of an image's channels at once */
        for (int64_t i = 0; i < m; i = end, c = 0) {
            end = i + channels - c < m ? i + channels - c : m;
            memcpy(row + i, values + c, (size_t)(end - i) * sizeof(REAL));
        }
    else
        for (int64_t i = 0; i < m; left = plane, c = c + 1 < channels ? c + 1 : 0) {
            end = i + left < m ? i + left : m;
            for (REAL value = values[c]; i < end; i++) row[i] = value;
        }
}

/* Adds each channel's part of the row to sums[channel]. */
static void NAME(gather)(const REAL *row, double *sums, int64_t n, int64_t m, int64_t channels,
                         int64_t plane) {
    int64_t c = n / plane % channels, left = plane - n % plane, count;
    if (plane == 1)
        for (int64_t i = 0; i < m; i += count, c = 0) {
            count = channels - c < m - i ? channels - c : m - i;
            for (int64_t k = 0; k < count; k++) sums[c + k] += (double)row[i + k];
        }
    else
        for (int64_t i = 0; i < m; i += count, left = plane, c = c + 1 < channels ? c + 1 : 0) {
            count = left < m - i ? left : m - i;
            sums[c] += NAME(sum)(row + i, count);
        }
}

void NAME(norm_lif_forward)(const STORED *x, int64_t x_step, const REAL *alpha, const REAL *beta,
                            int64_t channels, int64_t plane, STORED *s, int64_t T, int64_t N,
                            double tau, double vth, double vr, int kind, int threads) {
    const NAME(layer) layer = NAME(layer_of)(tau, vth, vr, 1, kind, 0, 0);
    large_result(s, T * N * (int64_t)sizeof(STORED));
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

#ifdef ROUNDED
/* gx of a block, in `rows` timesteps, from gh, the gradient of the current, rounded once; see
 * below. */
static void NAME(finish)(const REAL *restrict gh, const STORED *restrict x, STORED *restrict gx,
                         int64_t N, int64_t rows, int64_t m, const REAL *restrict mean,
                         const REAL *restrict factor, const REAL *restrict shift,
                         const REAL *restrict slope) {
    for (int64_t t = 0; t < rows; t++, gh += m, x += N, gx += N)
        if (shift)
            for (int64_t i = 0; i < m; i++) {
                REAL around = gh[i] - shift[i] - (WIDE(x[i]) - mean[i]) * slope[i];
                gx[i] = NARROW(around * factor[i]);
            }
        else
            for (int64_t i = 0; i < m; i++) gx[i] = NARROW(gh[i] * factor[i]);
}
#endif

/* sums[thread][2][channels], zeros before, takes the sum of the current's gradient, and the sum of
 * its product with x - mean, of each channel. gx takes that gradient, in one step where x_step is
 * 0; what a norm makes of it, once the sums are known, is for norm_backward.
 *
 * Where ROUNDED, a gradient is rounded once, at its end. So there are two calls: one without gx,
 * for the sums, and one without sums, which computes all again and gives
 *   gx = (gradient - shift - (x - mean) * slope) * alpha
 * or, where x doesn't change mean and variance, one call with both, without shift and slope.
 *
 * scratch has room for threads * ROOMS * T * block elements. */
void NAME(norm_lif_backward)(const STORED *gs, const STORED *x, int64_t x_step, const REAL *alpha,
                             const REAL *beta, const REAL *mean, const REAL *shift,
                             const REAL *slope, int64_t channels, int64_t plane, REAL *scratch,
                             int64_t block, STORED *gx, double *sums, int64_t T, int64_t N,
                             double tau, double vth, double vr, double p, int kind, int surrogate,
                             int detach, int threads) {
    const NAME(layer) layer = NAME(layer_of)(tau, vth, vr, p, kind, surrogate, detach);
    if (block > NORM_BLOCK) block = NORM_BLOCK; /* rows of a block lie on the stack */
    if (gx) large_result(gx, (x_step ? T : 1) * N * (int64_t)sizeof(STORED));
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
    for (int64_t n = 0; n < N; n += block) {
        int64_t m = N - n < block ? N - n : block;
        REAL *h = scratch + (int64_t)THREAD_NUMBER * ROOMS * T * block;
        REAL a[NORM_BLOCK], b[NORM_BLOCK], middle[NORM_BLOCK], g[NORM_BLOCK], sum[NORM_BLOCK];
        REAL dot[NORM_BLOCK], unused[NORM_BLOCK];
        NAME(spread)(alpha, a, n, m, channels, plane);
        NAME(spread)(beta, b, n, m, channels, plane);
        NAME(spread)(mean, middle, n, m, channels, plane);
        for (int64_t i = 0; i < m; i++) g[i] = sum[i] = dot[i] = 0;
        NAME(charge_any)(x + n, x_step, a, b, g, h, T, m, &layer, 1);
#ifdef ROUNDED
        const int64_t gh_step = gx && x_step ? m : 0;
        REAL *gh = gh_step ? h + T * block : unused;
#else
        const int64_t gh_step = x_step;
        REAL *gh = gh_step ? gx + n : unused;
#endif
        NAME(backward_any)(gs + n, N, h, gh, gh_step, g, x + n, x_step, middle, sum, dot, T, m,
                           &layer, 1);
#ifdef ROUNDED
        REAL offset[NORM_BLOCK], steep[NORM_BLOCK];
        if (shift) NAME(spread)(shift, offset, n, m, channels, plane);
        if (shift) NAME(spread)(slope, steep, n, m, channels, plane);
        if (gx)
            NAME(finish)(gh_step ? gh : sum, x + n, gx + n, N, x_step ? T : 1, m, middle, a,
                         shift ? offset : 0, steep);
#else
        if (!x_step)
            for (int64_t i = 0; i < m; i++) gx[n + i] = sum[i];
#endif
        if (!sums) continue;
        double *own = sums + (int64_t)THREAD_NUMBER * 2 * channels;
        NAME(gather)(sum, own, n, m, channels, plane);
        NAME(gather)(dot, own + channels, n, m, channels, plane);
    }
}

#ifndef ROUNDED
/* gx = (gx - shift - (x - mean) * slope) * factor for each channel, in place. */
void NAME(norm_backward)(const REAL *x, REAL *gx, const REAL *mean, const REAL *shift,
                         const REAL *slope, const REAL *factor, int64_t planes, int64_t channels,
                         int64_t plane, int threads) {
    const int64_t rows = plane == 1 ? planes / channels : planes;
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
    for (int64_t k = 0; k < rows; k++) {
        if (plane == 1) { /* all of an image's channels at once */
            const REAL *restrict row = x + k * channels;
            REAL *restrict out = gx + k * channels;
            for (int64_t c = 0; c < channels; c++)
                out[c] = (out[c] - shift[c] - (row[c] - mean[c]) * slope[c]) * factor[c];
            continue;
        }
        int64_t c = k % channels;
        const REAL *restrict row = x + k * plane;
        REAL *restrict out = gx + k * plane;
        REAL middle = mean[c], offset = shift[c], steep = slope[c], times = factor[c];
        for (int64_t i = 0; i < plane; i++)
            out[i] = (out[i] - offset - (row[i] - middle) * steep) * times;
    }
}
#endif
