/* Lists of the inputs that aren't zero, by group of images, strip of rows, channel and class: where
 * they are (see sparse_shape.h) and, unless all are 1, what they are. */

/* Inputs `step` apart, of one class. */
static ALWAYS_INLINE int32_t count_row(const REAL *restrict x, int64_t first, int64_t end,
                                       int64_t step, int64_t *others) {
    int32_t set = 0, other = 0;
    for (int64_t i = first; i < end; i += step) {
        set += x[i] != 0;
        other += (x[i] != 0) & (x[i] != 1);
    }
    *others += other;
    return set;
}

/* Without a branch: a zero is written, too, and then written over. */
static ALWAYS_INLINE int32_t fill_row(const REAL *restrict x, int64_t first, int64_t end,
                                      int64_t step, int32_t at, int32_t *position, REAL *value) {
    int32_t found = 0;
    for (int64_t i = first; i < end; i += step, at++) {
        position[found] = at;
        if (value) value[found] = x[i];
        found += x[i] != 0;
    }
    return found;
}

/* One list of group g, filled at `position` and `value`, or counted where position is null. */
static ALWAYS_INLINE int32_t one_list(const REAL *x, const conv_shape *s, const conv_places *p,
                                      int64_t g, int64_t list, int32_t *position, REAL *value,
                                      int64_t *others, const int counts, const int steps) {
    const int64_t class = steps ? list % p->classes : 0, class_x = class % s->step_x;
    const int64_t c = list / p->classes % s->channels;
    const int64_t y0 = list / p->classes / s->channels * s->strip;
    const int64_t y1 = least(y0 + s->strip, s->height), step_x = steps ? s->step_x : 1;
    const int64_t x0 = ((class_x - s->padding_x) % step_x + step_x) % step_x;
    const int64_t place = p->left + (x0 + s->padding_x) / step_x, start = g * s->group;
    int32_t found = 0;
    for (int64_t n = start; n < least(start + s->group, s->images); n++) {
        const REAL *plane = x + (n * s->channels + c) * s->height * s->width;
        if (counts && !steps) {
            found += count_row(plane + y0 * s->width, 0, (y1 - y0) * s->width, 1, others);
            continue;
        }
        for (int64_t y = y0; y < y1; y++) {
            if (steps && (y + s->padding_y) % s->step_y != class / s->step_x) continue;
            const REAL *row = plane + y * s->width;
            if (counts) {
                found += count_row(row, x0, s->width, step_x, others);
                continue;
            }
            const int64_t high = (n - start) * p->high + (y + s->padding_y) / s->step_y + p->top;
            found += fill_row(row, x0, s->width, step_x, (int32_t)(high * p->wide + place),
                              position + found, value ? value + found : 0);
        }
    }
    return found;
}

/* How many there are, in `starts` [groups][lists + 1]: where each list begins, a group's followed by
 * one free place. totals: all places, and how many inputs are neither 0 nor 1. */
void NAME(sparse_count)(const REAL *x, const int64_t *shape, int32_t *starts, int64_t *totals,
                        int threads) {
    const conv_shape *s = (const conv_shape *)shape;
    const conv_places p = places_of(s);
    int64_t others = 0;
#pragma omp parallel for num_threads(threads) schedule(static) reduction(+ : others) if (threads > 1)
    for (int64_t g = 0; g < p.groups; g++) {
        int32_t *start = starts + g * (p.lists + 1);
        for (int64_t list = 0; list < p.lists; list++)
            start[list] = p.classes == 1 ? one_list(x, s, &p, g, list, 0, 0, &others, 1, 0)
                                         : one_list(x, s, &p, g, list, 0, 0, &others, 1, 1);
        start[p.lists] = 1;
    }
    int64_t before = 0;
    for (int64_t k = 0; k < p.groups * (p.lists + 1); k++) {
        const int32_t number = starts[k];
        starts[k] = (int32_t)before;
        before += number;
    }
    totals[0] = before;
    totals[1] = others;
}

/* Fills what sparse_count has counted; value may be null, where all are 1. */
void NAME(sparse_fill)(const REAL *x, const int64_t *shape, const int32_t *starts,
                       int32_t *position, REAL *value, int threads) {
    const conv_shape *s = (const conv_shape *)shape;
    const conv_places p = places_of(s);
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
    for (int64_t g = 0; g < p.groups; g++) {
        const int32_t *start = starts + g * (p.lists + 1);
        for (int64_t list = 0; list < p.lists; list++) {
            int32_t *here = position + start[list];
            REAL *what = value ? value + start[list] : 0;
            int64_t others;
            if (p.classes == 1 && what)
                one_list(x, s, &p, g, list, here, what, &others, 0, 0);
            else if (p.classes == 1)
                one_list(x, s, &p, g, list, here, 0, &others, 0, 0);
            else
                one_list(x, s, &p, g, list, here, what, &others, 0, 1);
        }
    }
}
