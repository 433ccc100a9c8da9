/* How the network above is run, one timestep a call.
 *
 * Activations are counts, channels last: 0 and 1 where neurons spiked, sums of them after pooling.
 * A layer walks the non-zero inputs that an output pixel sees and adds their rows of weights, BLOCK
 * output channels at a time, which stay in registers; its neurons follow at once.
 */

#if !defined(__GNUC__) || defined(NET_PLAIN)
#define VECTORS 0
#elif net_INT8 && defined(__AVX2__)
#define VECTORS 1
#include <immintrin.h>
#else
#define VECTORS !net_INT8
#endif

#define MOST_BLOCK 64

typedef struct { /* one map of activations, and where it lies in the state's memory */
    int height, width, channels, stride; /* stride: channels, filled up to whole eights */
    size_t dense;                        /* uint8_t [height][width][stride] */
    size_t start;                        /* uint32_t [height * width + 1]: a pixel's place in the lists */
    size_t index;                        /* uint16_t: channels of non-zeros, pixel by pixel */
    size_t value;                        /* net_sum: their values */
} net_map;

typedef struct { /* what a layer takes from one map */
    int map, rows, columns, step, padding; /* rows 0: the map itself, times `gain` */
    size_t weights;                        /* by block: [rows][columns][channels][block] */
    size_t gain;                           /* of the map itself: net_sum [stride] */
} net_source;

typedef struct {
    int output, sources, source; /* the map that it writes, how many sources, the first */
    int bias_by_pixel;
    size_t bias;            /* net_sum [stride], or [height][width][stride] */
    size_t membrane;        /* net_sum [height][width][stride] in the state's memory */
    size_t threshold;       /* net_sum [stride] */
    size_t reset;           /* net_sum [stride]; what is subtracted, where the reset is soft */
    int soft;
    net_leak leak;          /* 1 / tau */
    int shift;              /* int8: fractional bits of potentials */
} net_layer;

typedef enum { net_LAYER, net_SUM_2X2, net_MAX_3X3, net_ADD, net_LIST, net_TOTAL, net_HEAD } net_kind;

typedef struct {
    net_kind kind;
    int first, second, output; /* maps; of net_LAYER and net_HEAD, first is a layer */
} net_operation;

TABLES

static unsigned char *room(net_state *state, size_t offset)
{
    return state->memory.bytes + offset;
}

#define DENSE(state, map) room(state, (map)->dense)
#define START(state, map) ((uint32_t *)(void *)room(state, (map)->start))
#define INDEX(state, map) ((uint16_t *)(void *)room(state, (map)->index))
#define VALUE(state, map) ((net_sum *)(void *)room(state, (map)->value))

/* ---- rows of weights, added where there are inputs ------------------------------------------ */

typedef struct {
    const uint32_t *start;
    const uint16_t *index;
    const net_sum *value;
    const net_map *map;
} net_inputs;

/* PIXELS runs `body` for every non-zero input (number j, weights' row `row`) of an output pixel. */
#define PIXELS(block, body)                                                                        \
    for (int ky = 0; ky < source->rows; ky++) {                                                    \
        const int y = oy * source->step - source->padding + ky;                                    \
        if (y < 0 || y >= x->map->height)                                                          \
            continue;                                                                              \
        for (int kx = 0; kx < source->columns; kx++) {                                             \
            const int column = ox * source->step - source->padding + kx;                           \
            if (column < 0 || column >= x->map->width)                                             \
                continue;                                                                          \
            const size_t pixel = (size_t)y * (size_t)x->map->width + (size_t)column;               \
            const net_weight *tap = weights + (size_t)(ky * source->columns + kx) *                \
                                                  (size_t)x->map->channels * (size_t)(block);      \
            for (uint32_t j = x->start[pixel]; j < x->start[pixel + 1]; j++) {                     \
                const net_weight *row = tap + (size_t)x->index[j] * (size_t)(block);               \
                body                                                                               \
            }                                                                                      \
        }                                                                                          \
    }

#if VECTORS
typedef net_sum net_vector __attribute__((vector_size(8 * sizeof(net_sum))));

#define DECLARE(i)                                                                                 \
    net_vector r##i;                                                                               \
    memcpy(&r##i, sums + 8 * i, sizeof r##i);
#define STORE(i) memcpy(sums + 8 * i, &r##i, sizeof r##i);
#if net_INT8
#define ADD_ROW(i)                                                                                 \
    r##i += (net_vector)_mm256_cvtepi8_epi32(                                                      \
                _mm_loadl_epi64((const __m128i *)(const void *)(row + 8 * i))) *                   \
            value;
#else
#define ADD_ROW(i)                                                                                 \
    {                                                                                              \
        net_vector w;                                                                              \
        memcpy(&w, row + 8 * i, sizeof w);                                                         \
        r##i += w * value;                                                                         \
    }
#endif
#define EACH_1(M) M(0)
#define EACH_2(M) M(0) M(1)
#define EACH_4(M) EACH_2(M) M(2) M(3)
#define EACH_8(M) EACH_4(M) M(4) M(5) M(6) M(7)
#define GATHER(block, each)                                                                        \
    static void gather_##block(const net_source *source, const net_inputs *x, int oy, int ox,      \
                               const net_weight *weights, net_sum *sums)                           \
    {                                                                                              \
        each(DECLARE) PIXELS(block, const net_sum value = x->value[j]; each(ADD_ROW)) each(STORE)  \
    }
#else
#define GATHER(block, each)                                                                        \
    static void gather_##block(const net_source *source, const net_inputs *x, int oy, int ox,      \
                               const net_weight *weights, net_sum *sums)                           \
    {                                                                                              \
        PIXELS(block, for (int k = 0; k < block; k++) sums[k] += x->value[j] * row[k];)            \
    }
#endif

GATHER(8, EACH_1)
GATHER(16, EACH_2)
GATHER(32, EACH_4)
GATHER(64, EACH_8)

static int block_of(int left)
{
    return left >= 64 ? 64 : left >= 32 ? 32 : left >= 16 ? 16 : 8;
}

static void gather(int block, const net_source *source, const net_inputs *x, int oy, int ox,
                   const net_weight *weights, net_sum *sums)
{
    switch (block) {
    case 64: gather_64(source, x, oy, ox, weights, sums); break;
    case 32: gather_32(source, x, oy, ox, weights, sums); break;
    case 16: gather_16(source, x, oy, ox, weights, sums); break;
    default: gather_8(source, x, oy, ox, weights, sums); break;
    }
}

/* Adds what one source gives to `block` channels from `first` on of an output pixel. */
static void add_source(net_state *state, const net_source *source, int first, int block, int oy,
                       int ox, net_sum *sums)
{
    const net_map *map = &maps[source->map];
    if (source->rows == 0) {
        const unsigned char *counts =
            DENSE(state, map) + ((size_t)oy * (size_t)map->width + (size_t)ox) * (size_t)map->stride;
        for (int k = 0; k < block; k++)
            sums[k] += net_sums[source->gain + (size_t)(first + k)] * (net_sum)counts[first + k];
        return;
    }
    const net_inputs x = {START(state, map), INDEX(state, map), VALUE(state, map), map};
    const size_t rows = (size_t)source->rows * (size_t)source->columns * (size_t)map->channels;
    gather(block, source, &x, oy, ox, net_weights + source->weights + rows * (size_t)first, sums);
}

/* ---- neurons -------------------------------------------------------------------------------- */

NEURONS

static void run_layer(net_state *state, const net_layer *layer)
{
    const net_map *out = &maps[layer->output];
    net_sum *membrane = (net_sum *)(void *)room(state, layer->membrane);
    unsigned char *spikes = DENSE(state, out);
    for (int first = 0, block; first < out->stride; first += block) {
        block = block_of(out->stride - first);
        for (int oy = 0; oy < out->height; oy++)
            for (int ox = 0; ox < out->width; ox++) {
                const size_t pixel = (size_t)oy * (size_t)out->width + (size_t)ox;
                const size_t place = pixel * (size_t)out->stride + (size_t)first;
                net_sum sums[MOST_BLOCK];
                currents(state, layer, first, block, oy, ox, sums);
                fire(layer, first, block, sums, membrane + place, spikes + place);
            }
    }
}

/* ---- between layers ------------------------------------------------------------------------- */

static void pool(net_state *state, const net_map *in, const net_map *out, int window, int step,
                 int padding, int largest)
{
    const unsigned char *from = DENSE(state, in);
    unsigned char *to = DENSE(state, out);
    for (int oy = 0; oy < out->height; oy++)
        for (int ox = 0; ox < out->width; ox++, to += out->stride) {
            memset(to, 0, (size_t)out->stride);
            for (int y = oy * step - padding; y < oy * step - padding + window; y++)
                for (int x = ox * step - padding; x < ox * step - padding + window; x++) {
                    if (y < 0 || x < 0 || y >= in->height || x >= in->width)
                        continue;
                    const unsigned char *pixel =
                        from + ((size_t)y * (size_t)in->width + (size_t)x) * (size_t)in->stride;
                    for (int c = 0; c < out->stride; c++)
                        to[c] = largest ? (to[c] > pixel[c] ? to[c] : pixel[c])
                                        : (unsigned char)(to[c] + pixel[c]);
                }
        }
}

static void add(net_state *state, const net_map *first, const net_map *second, const net_map *out)
{
    const unsigned char *a = DENSE(state, first), *b = DENSE(state, second);
    unsigned char *to = DENSE(state, out);
    const size_t count = (size_t)out->height * (size_t)out->width * (size_t)out->stride;
    for (size_t i = 0; i < count; i++)
        to[i] = (unsigned char)(a[i] + b[i]);
}

static void list(net_state *state, const net_map *map)
{
    const unsigned char *counts = DENSE(state, map);
    uint32_t *start = START(state, map), found = 0;
    uint16_t *index = INDEX(state, map);
    net_sum *value = VALUE(state, map);
    const int pixels = map->height * map->width;
    for (int pixel = 0; pixel < pixels; pixel++, counts += map->stride) {
        start[pixel] = found;
        for (int c = 0; c < map->stride; c += 8) {
            uint64_t eight;
            memcpy(&eight, counts + c, sizeof eight);
            if (eight == 0)
                continue;
            for (int k = 0; k < 8; k++)
                if (counts[c + k]) {
                    index[found] = (uint16_t)(c + k);
                    value[found++] = (net_sum)counts[c + k];
                }
        }
    }
    start[pixels] = found;
}

/* Sums over all pixels, as a map of one. */
static void total(net_state *state, const net_map *in, const net_map *out)
{
    uint32_t *start = START(state, out), found = 0;
    uint16_t *index = INDEX(state, out);
    net_sum *value = VALUE(state, out);
    const size_t pixels = (size_t)in->height * (size_t)in->width;
    for (int c = 0; c < in->channels; c++) {
        const unsigned char *counts = DENSE(state, in) + c;
        uint32_t sum = 0;
        for (size_t pixel = 0; pixel < pixels; pixel++)
            sum += counts[pixel * (size_t)in->stride];
        if (sum) {
            index[found] = (uint16_t)c;
            value[found++] = (net_sum)sum;
        }
    }
    start[0] = 0;
    start[1] = found;
}

/* Frames [C, H, W] as lists; -1 where one is not finite or, in int8, not within +-32767. */
static int take(net_state *state, const float *frames)
{
    const net_map *map = &maps[0];
    uint32_t *start = START(state, map), found = 0;
    uint16_t *index = INDEX(state, map);
    net_sum *value = VALUE(state, map);
    const size_t pixels = (size_t)map->height * (size_t)map->width;
    for (size_t i = 0; i < pixels * (size_t)map->channels; i++)
        if (!(frames[i] >= -net_LARGEST && frames[i] <= net_LARGEST))
            return -1;
    for (size_t pixel = 0; pixel < pixels; pixel++) {
        start[pixel] = found;
        for (int c = 0; c < map->channels; c++) {
            const net_sum count = net_COUNT(frames[(size_t)c * pixels + pixel]);
            if (count != 0) {
                index[found] = (uint16_t)c;
                value[found++] = count;
            }
        }
    }
    start[pixels] = found;
    return 0;
}

static void head(net_state *state, const net_layer *layer, float *logits)
{
    net_sum sums[MOST_BLOCK];
    const int stride = maps[layer->output].stride;
    for (int first = 0, block; first < stride; first += block) {
        block = block_of(stride - first);
        currents(state, layer, first, block, 0, 0, sums);
        for (int k = 0; k < block && first + k < net_CLASSES; k++)
            logits[first + k] = net_LOGIT(sums[k], first + k);
    }
}

/* ---- what net.h promises -------------------------------------------------------------------- */

size_t net_state_size(void)
{
    return sizeof(net_state);
}

void net_reset(net_state *state)
{
    memset(state, 0, sizeof *state);
}

int net_step(net_state *state, const float *frames, float *logits)
{
    if (take(state, frames) != 0)
        return -1;
    for (size_t i = 0; i < sizeof operations / sizeof operations[0]; i++) {
        const net_operation *o = &operations[i];
        switch (o->kind) {
        case net_LAYER: run_layer(state, &layers[o->first]); break;
        case net_SUM_2X2: pool(state, &maps[o->first], &maps[o->output], 2, 2, 0, 0); break;
        case net_MAX_3X3: pool(state, &maps[o->first], &maps[o->output], 3, 2, 1, 1); break;
        case net_ADD: add(state, &maps[o->first], &maps[o->second], &maps[o->output]); break;
        case net_LIST: list(state, &maps[o->first]); break;
        case net_TOTAL: total(state, &maps[o->first], &maps[o->output]); break;
        case net_HEAD: head(state, &layers[o->first], logits); break;
        }
    }
    for (int k = 0; k < net_CLASSES; k++)
        state->sum[k] += logits[k];
    state->step++;
    return 0;
}

int net_decide(const net_state *state, int *label, float *confidence)
{
    if (state->step == 0)
        return 0;
    const int last = state->step < net_STEPS ? state->step - 1 : net_STEPS - 1;
    const float scale = 1.0f / ((float)state->step * temperatures[last]);
    int best = 0;
    for (int k = 1; k < net_CLASSES; k++)
        if (state->sum[k] > state->sum[best])
            best = k;
    float others = 0;
    for (int k = 0; k < net_CLASSES; k++)
        others += expf((state->sum[k] - state->sum[best]) * scale);
    *label = best;
    *confidence = 1.0f / others;
    return state->step >= net_STEPS || *confidence >= thresholds[last];
}
