/* The passes over all lists: the result, and the gradient of the weights.
 *
 * Packed weights, and sums of their gradients, are [block][channel][tap][BLOCK]. Sums have one order
 * whatever the number of threads: that of images, strips, channels (for the result), and of the lists. */

/* All taps that the lists of one strip and channel meet, up to 3 x 3 at a time. */
static ALWAYS_INLINE void every_tap(const conv_shape *s, const conv_places *p, const int32_t *start,
                                    const int32_t *position, const REAL *value, REAL *weights,
                                    REAL *numbers, const int result) {
    for (int64_t class = 0; class < p->classes; class++) {
        const int64_t y = class / s->step_x, x = class % s->step_x;
        const int64_t from = start[class];
        const input_list inputs = {position + from, value ? value + from : 0,
                                   start[class + 1] - from};
        if (inputs.number == 0) continue;
        const int64_t rows = parts(most(s->taps_y - y, 0), s->step_y);
        const int64_t columns = parts(most(s->taps_x - x, 0), s->step_x);
        for (int64_t r = 0; r < rows; r += MOST_TAPS)
            for (int64_t c = 0; c < columns; c += MOST_TAPS) {
                const int64_t tap = (y + r * s->step_y) * s->taps_x + x + c * s->step_x;
                const tap_rows taps = {weights + tap * BLOCK, s->step_y * s->taps_x * BLOCK,
                                       s->step_x * BLOCK};
                REAL *moved = numbers - (r * p->wide + c) * BLOCK;
                const int64_t high = least(rows - r, MOST_TAPS);
                const int64_t wide = least(columns - c, MOST_TAPS);
                if (result)
                    spread_any(inputs, taps, moved, p->wide, high, wide);
                else
                    collect_any(inputs, taps, moved, p->wide, high, wide);
            }
    }
}

/* packed from w [outputs, channels, taps]. */
void NAME(sparse_pack)(const REAL *w, const int64_t *shape, REAL *packed, int threads) {
    const conv_shape *s = (const conv_shape *)shape;
    const conv_places p = places_of(s);
    const int64_t each = s->channels * p.taps;
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
    for (int64_t b = 0; b < p.blocks; b++)
        side_by_side(w + b * BLOCK * each, each, least(s->outputs - b * BLOCK, BLOCK),
                     packed + b * BLOCK * each, each);
}

/* out [images, outputs, rows, columns]; scratch has room for `threads` blocks of sums. */
void NAME(sparse_result)(const REAL *packed, const int64_t *shape, const int32_t *starts,
                         const int32_t *position, const REAL *value, REAL *out, REAL *scratch,
                         int threads) {
    const conv_shape *s = (const conv_shape *)shape;
    const conv_places p = places_of(s);
    const int64_t plane = p.high * p.wide * BLOCK, size = s->rows * s->columns;
    const int64_t each = p.taps * BLOCK;
    large_result(out, s->images * s->outputs * size * (int64_t)sizeof(REAL));
#pragma omp parallel for collapse(2) num_threads(threads) schedule(static) if (threads > 1)
    for (int64_t b = 0; b < p.blocks; b++)
        for (int64_t g = 0; g < p.groups; g++) {
            REAL *sums = scratch + THREAD * s->group * plane;
            const int64_t images = least(s->group, s->images - g * s->group);
            const int64_t given = least(s->outputs - b * BLOCK, BLOCK);
            const int32_t *start = starts + g * (p.lists + 1);
            memset(sums, 0, (size_t)(images * plane) * sizeof(REAL));
            for (int64_t strip = 0; strip < p.strips; strip++)
                for (int64_t c = 0; c < s->channels; c++, start += p.classes)
                    every_tap(s, &p, start, position, value,
                              (REAL *)packed + (b * s->channels + c) * each, sums, 1);
            for (int64_t n = 0; n < images; n++)
                for (int64_t y = 0; y < s->rows; y++)
                    in_rows(sums + n * plane + ((y + p.top) * p.wide + p.left) * BLOCK,
                            out + ((g * s->group + n) * s->outputs + b * BLOCK) * size +
                                y * s->columns,
                            size, given, s->columns);
        }
}

/* gw [outputs, channels, taps] of g [images, outputs, rows, columns]; packed has room for the sums
 * of all blocks. Where there are more threads than blocks, each block's channels are shared out. */
void NAME(sparse_weights)(const REAL *g, const int64_t *shape, const int32_t *starts,
                          const int32_t *position, const REAL *value, REAL *packed, REAL *gw,
                          REAL *scratch, int threads) {
    const conv_shape *s = (const conv_shape *)shape;
    const conv_places p = places_of(s);
    const int64_t plane = p.high * p.wide * BLOCK, size = s->rows * s->columns;
    const int64_t each = p.taps * BLOCK;
    const int64_t shares = least(parts(threads, p.blocks), s->channels);
    const int64_t share = parts(s->channels, shares);
#pragma omp parallel for collapse(2) num_threads(threads) schedule(static) if (threads > 1)
    for (int64_t b = 0; b < p.blocks; b++)
        for (int64_t part = 0; part < shares; part++) {
            REAL *rows = scratch + THREAD * s->group * plane;
            REAL *sums = packed + b * s->channels * each;
            const int64_t given = least(s->outputs - b * BLOCK, BLOCK);
            const int64_t first = part * share, end = least(first + share, s->channels);
            if (first >= end) continue;
            memset(sums + first * each, 0, (size_t)((end - first) * each) * sizeof(REAL));
            memset(rows, 0, (size_t)(s->group * plane) * sizeof(REAL));
            for (int64_t group = 0; group < p.groups; group++) {
                const int64_t images = least(s->group, s->images - group * s->group);
                const int32_t *start = starts + group * (p.lists + 1);
                for (int64_t n = 0; n < images; n++)
                    for (int64_t y = 0; y < s->rows; y++)
                        side_by_side(g + ((group * s->group + n) * s->outputs + b * BLOCK) * size +
                                         y * s->columns,
                                     size, given,
                                     rows + n * plane + ((y + p.top) * p.wide + p.left) * BLOCK,
                                     s->columns);
                for (int64_t strip = 0; strip < p.strips; strip++)
                    for (int64_t c = first; c < end; c++)
                        every_tap(s, &p, start + (strip * s->channels + c) * p.classes, position,
                                  value, sums + c * each, rows, 0);
            }
            in_rows(sums + first * each, gw + (b * BLOCK * s->channels + first) * p.taps,
                    s->channels * p.taps, given, (end - first) * p.taps);
        }
}
