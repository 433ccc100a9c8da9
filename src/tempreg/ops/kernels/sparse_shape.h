/* What a sparse convolution is like, and where its lists and sums lie.
 *
 * Inputs are taken by tile: `group` whole images, or (group 1) `strip` rows of one. Sums of the
 * result, and its gradient, lie in planes with a frame, [planes of a group][high][wide][BLOCK], so
 * that every tap of every input has a place: that of tap (0, 0) is its position, and tap (r, c) of
 * its class is r rows and c columns before it. An input's class is what its row and column leave
 * when divided by the steps: those of one class meet the same taps, every step-th of them. */

#ifdef _OPENMP
#include <omp.h>
#define THREAD omp_get_thread_num()
#else
#define THREAD 0
#endif

#if defined(__AVX512F__)
#define LANES 16
#define VECTORS 2
#elif defined(__AVX__)
#define LANES 8
#define VECTORS 1
#elif defined(__aarch64__)
#define LANES 4
#define VECTORS 2
#else
#define LANES 4
#define VECTORS 1
#endif
#define BLOCK (LANES * VECTORS) /* output channels that are computed together */
#define TILE_BYTES 32768
#define MOST_TAPS 3             /* of rows and of columns, that registers hold */

typedef REAL vector __attribute__((vector_size(LANES * sizeof(REAL)), may_alias));

typedef struct { /* in the order of the array that Python gives */
    int64_t images, channels, height, width; /* of the input */
    int64_t outputs, rows, columns;          /* channels, height and width of the result */
    int64_t taps_y, taps_x, step_y, step_x, padding_y, padding_x;
    int64_t group, strip;
} conv_shape;

typedef struct {
    int64_t top, left, high, wide; /* the frame's first rows and columns; a plane's size */
    int64_t groups, strips;        /* of images; of rows of an image */
    int64_t classes, lists;        /* of inputs; lists of a group: [strip][channel][class] */
    int64_t blocks, taps;          /* of output channels; of a channel's weights */
} conv_places;

static int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }
static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t parts(int64_t whole, int64_t size) { return (whole + size - 1) / size; }

static conv_places places_of(const conv_shape *s) {
    conv_places p;
    p.top = (s->taps_y - 1) / s->step_y;
    p.left = (s->taps_x - 1) / s->step_x;
    p.high = p.top + most(s->rows, (s->height - 1 + s->padding_y) / s->step_y + 1);
    p.wide = p.left + most(s->columns, (s->width - 1 + s->padding_x) / s->step_x + 1);
    p.groups = parts(s->images, s->group);
    p.strips = parts(s->height, s->strip);
    p.classes = s->step_y * s->step_x;
    p.lists = p.strips * s->channels * p.classes;
    p.blocks = parts(s->outputs, BLOCK);
    p.taps = s->taps_y * s->taps_x;
    return p;
}

/* Completes a shape: how many images are a tile, or rows, so that a tile's sums fit a level-1 cache.
 * sizes: how many numbers one block of sums, the packed weights and the starts of lists are. */
void NAME(sparse_plan)(int64_t *shape, int64_t *sizes) {
    conv_shape *s = (conv_shape *)shape;
    s->group = 1, s->strip = s->height;
    conv_places p = places_of(s);
    const int64_t fitting = TILE_BYTES / (p.wide * BLOCK * (int64_t)sizeof(REAL)); /* rows */
    if (fitting < p.high)
        s->strip = most((fitting - p.top) * s->step_y, s->step_y);
    else
        s->group = most(least(fitting / p.high, s->images), 1);
    p = places_of(s);
    sizes[0] = s->group * p.high * p.wide * BLOCK;
    sizes[1] = p.blocks * s->channels * p.taps * BLOCK;
    sizes[2] = p.groups * (p.lists + 1);
}
