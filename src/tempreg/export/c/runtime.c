/* How the network above is run, one timestep a call.
 *
 * Activations are counts, channels last: 0 and 1 where neurons spiked, sums of them after pooling.
 * A layer walks the non-zero inputs that an output pixel sees and adds their rows of weights, BLOCK
 * output channels at a time, which stay in registers; its neurons follow at once.
 */

#if !defined(__GNUC__) || defined(NET_PLAIN)
#define VECTORS 0
#elif defined(__FLT_EVAL_METHOD__) && __FLT_EVAL_METHOD__ == 2 /* x86 of 32 bit without SSE */
#define VECTORS 0
#elif net_INT8 && defined(__AVX2__)
#define VECTORS 1
#include <immintrin.h>
#else
#define VECTORS !net_INT8
#endif

#define MOST_BLOCK 64

#if VECTORS /* of eight numbers, or of sixteen where the processor has room for them */
#define net_OF(lanes) __attribute__((vector_size((lanes) * sizeof(net_sum))))
typedef net_sum net_eight net_OF(8);
typedef net_sum net_eight_row net_OF(8) __attribute__((aligned(sizeof(net_sum)), may_alias));
#if defined(__AVX512F__) && !net_INT8
#define LANES 16
typedef net_sum net_vector net_OF(16);
typedef net_sum net_row net_OF(16) __attribute__((aligned(sizeof(net_sum)), may_alias));
#else
#define LANES 8
typedef net_eight net_vector;
typedef net_eight_row net_row;
#endif
#endif

typedef struct { /* one map of activations, and where it lies in the state's memory */
    int height, width, channels, stride; /* stride: channels, filled up to whole eights */
    size_t dense;                        /* uint8_t [height][width][stride] */
    size_t start;                        /* uint32_t [height * width + 1]: a pixel's place in the lists */
    size_t index;                        /* net_index: column * channels + channel of non-zeros, in order */
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
    size_t spread;          /* net_sum: lines of sums, where few inputs may be spread; else NOWHERE */
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
#define INDEX(state, map) ((net_index *)(void *)room(state, (map)->index))
#define VALUE(state, map) ((net_sum *)(void *)room(state, (map)->value))

/* ---- rows of weights, added where there are inputs ------------------------------------------ */

typedef struct {
    const uint32_t *start;
    const net_index *index;
    const net_sum *value;
    const net_map *map;
} net_inputs;

/* TAPS runs `body` for every non-zero input (number j, weights' row `row`) of an output pixel. A row
 * of taps lies side by side in the input, and so do its rows of weights: one loop for all of them.
 */
#define TAPS(block, body)                                                                          \
    const int width = x->map->width, column = ox * source->step - source->padding;                 \
    const int left = column < 0 ? 0 : column;                                                      \
    const int right = column + source->columns > width ? width : column + source->columns;         \
    const ptrdiff_t wide = (ptrdiff_t)x->map->channels * (block);                                  \
    for (int ky = 0; ky < source->rows && left < right; ky++) {                                    \
        const int y = oy * source->step - source->padding + ky;                                    \
        if (y < 0 || y >= x->map->height)                                                          \
            continue;                                                                              \
        const uint32_t *start = x->start + (ptrdiff_t)y * width;                                   \
        const net_weight *taps = weights + ((ptrdiff_t)ky * source->columns - column) * wide;      \
        for (uint32_t j = start[left], end = start[right]; j < end; j++) {                         \
            const net_weight *row = taps + (ptrdiff_t)x->index[j] * (block);                       \
            body                                                                                   \
        }                                                                                          \
    }

#if VECTORS
#if net_INT8
#define ROW(i, from)                                                                               \
    (net_vector)_mm256_cvtepi8_epi32(                                                              \
        _mm_loadl_epi64((const __m128i *)(const void *)((from) + LANES * i)))
#else
#define ROW(i, from) (*(const net_row *)(const void *)((from) + LANES * i))
#endif
#define DECLARE(i)                                                                                 \
    net_vector r##i;                                                                               \
    memcpy(&r##i, before + LANES * i, sizeof r##i);
#define STORE(i) memcpy(sums + LANES * i, &r##i, sizeof r##i);
#define ADD_ROW(i) r##i += ROW(i, row) * x->value[j];
#define EACH_1(M) M(0)
#define EACH_2(M) M(0) M(1)
#define EACH_4(M) EACH_2(M) M(2) M(3)
#define EACH_8(M) EACH_4(M) M(4) M(5) M(6) M(7)
#define GATHER(block, each)                                                                        \
    static void gather_##block(const net_source *source, const net_inputs *x, int oy, int ox,      \
                               const net_weight *weights, const net_sum *before, net_sum *sums)    \
    {                                                                                              \
        each(DECLARE) TAPS(block, each(ADD_ROW)) each(STORE)                                       \
    }
#else
#define GATHER(block, each)                                                                        \
    static void gather_##block(const net_source *source, const net_inputs *x, int oy, int ox,      \
                               const net_weight *weights, const net_sum *before, net_sum *sums)    \
    {                                                                                              \
        for (int k = 0; k < block; k++)                                                            \
            sums[k] = before[k];                                                                   \
        TAPS(block, for (int k = 0; k < block; k++) sums[k] += x->value[j] * row[k];)              \
    }
#endif

#if VECTORS && LANES == 16
GATHER(16, EACH_1)
GATHER(32, EACH_2)
GATHER(64, EACH_4)
#undef LANES
#define LANES 8
#define net_vector net_eight
#define net_row net_eight_row
GATHER(8, EACH_1)
#undef net_vector
#undef net_row
#else
GATHER(8, EACH_1)
GATHER(16, EACH_2)
GATHER(32, EACH_4)
GATHER(64, EACH_8)
#endif

static int block_of(int left)
{
    return left >= 64 ? 64 : left >= 32 ? 32 : left >= 16 ? 16 : 8;
}

/* What one source adds to `before`, for `block` channels from `first` on of an output pixel. */
static void add_source(net_state *state, const net_source *source, int first, int block, int oy,
                       int ox, const net_sum *before, net_sum *sums)
{
    const net_map *map = &maps[source->map];
    if (source->rows == 0) {
        const unsigned char *counts =
            DENSE(state, map) + ((size_t)oy * (size_t)map->width + (size_t)ox) * (size_t)map->stride;
        for (int k = 0; k < block; k++)
            sums[k] = before[k] +
                      net_sums[source->gain + (size_t)(first + k)] * (net_sum)counts[first + k];
        return;
    }
    const net_inputs x = {START(state, map), INDEX(state, map), VALUE(state, map), map};
    const size_t rows = (size_t)source->rows * (size_t)source->columns * (size_t)map->channels;
    const net_weight *weights = net_weights + source->weights + rows * (size_t)first;
    switch (block) {
    case 64: gather_64(source, &x, oy, ox, weights, before, sums); break;
    case 32: gather_32(source, &x, oy, ox, weights, before, sums); break;
    case 16: gather_16(source, &x, oy, ox, weights, before, sums); break;
    default: gather_8(source, &x, oy, ox, weights, before, sums); break;
    }
}

/* What all sources add to `before`. */
static void add_sources(net_state *state, const net_layer *layer, int first, int block, int oy,
                        int ox, const net_sum *before, net_sum *sums)
{
    for (int i = 0; i < layer->sources; i++, before = sums)
        add_source(state, &sources[layer->source + i], first, block, oy, ox, before, sums);
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
                add_sources(state, layer, first, block, oy, ox, before(layer, first, pixel), sums);
                fire(layer, first, block, place, sums, membrane + place, spikes + place);
            }
    }
}

/* ---- few inputs: each is spread over the outputs that see it --------------------------------- */

/* The inputs of line y, over the lines of sums y, y + 1, ... (modulo their number), in the order in
 * which they would be gathered. A line has `columns - 1` more sums than the input has pixels. */
static inline void spread(const int block, const net_source *source, const net_inputs *x, int y,
                          const net_weight *weights, net_sum *lines)
{
    const uint32_t channels = (uint32_t)x->map->channels;
    const uint32_t *start = x->start + (ptrdiff_t)y * x->map->width;
    const int wide = (x->map->width + source->columns - 1) * block;
    for (uint32_t j = start[0]; j < start[x->map->width]; j++) {
        const uint32_t column = x->index[j] / channels, channel = x->index[j] % channels;
        const net_weight *row = weights + (ptrdiff_t)channel * block;
        for (int ky = 0; ky < source->rows; ky++) {
            net_sum *to = lines + (ptrdiff_t)((y + source->rows - 1 - ky) % source->rows) * wide;
            to += ((ptrdiff_t)column + source->columns - 1) * block;
            for (int kx = 0; kx < source->columns; kx++) {
                for (int k = 0; k < block; k++)
                    to[k] += row[k] * x->value[j];
                to -= block;
                row += (ptrdiff_t)channels * block;
            }
        }
    }
}

/* A layer of one convolution of step 1: line after line of inputs, and of outputs that are complete. */
static void run_spread(net_state *state, const net_layer *layer)
{
    const net_source *source = &sources[layer->source];
    const net_map *in = &maps[source->map], *out = &maps[layer->output];
    const net_inputs x = {START(state, in), INDEX(state, in), VALUE(state, in), in};
    const int above = source->rows - 1 - source->padding;
    const int beside = source->columns - 1 - source->padding;
    const size_t rows = (size_t)source->rows * (size_t)source->columns * (size_t)in->channels;
    net_sum *lines = (net_sum *)(void *)room(state, layer->spread);
    net_sum *membrane = (net_sum *)(void *)room(state, layer->membrane);
    unsigned char *spikes = DENSE(state, out);
    for (int first = 0, block; first < out->stride; first += block) {
        block = block_of(out->stride - first);
        const net_weight *weights = net_weights + source->weights + rows * (size_t)first;
        const int wide = (in->width + source->columns - 1) * block;
        for (int y = 1 - source->rows; y < in->height + source->rows - 1; y++) {
            const int begun = y + source->rows - 1 - above, done = y - above;
            if (begun >= 0 && begun < out->height) {
                net_sum *to = lines + (ptrdiff_t)((y + source->rows - 1) % source->rows) * wide;
                const size_t pixel = (size_t)begun * (size_t)out->width;
                for (int ox = 0; ox < out->width; ox++)
                    memcpy(to + (ox + beside) * block, before(layer, first, pixel + (size_t)ox),
                           (size_t)block * sizeof(net_sum));
            }
            if (y >= 0 && y < in->height)
                switch (block) {
                case 64: spread(64, source, &x, y, weights, lines); break;
                case 32: spread(32, source, &x, y, weights, lines); break;
                case 16: spread(16, source, &x, y, weights, lines); break;
                default: spread(8, source, &x, y, weights, lines); break;
                }
            if (y >= 0 && done >= 0 && done < out->height) {
                const net_sum *sums = lines + (ptrdiff_t)(y % source->rows) * wide;
                size_t place = (size_t)done * (size_t)out->width * (size_t)out->stride;
                place += (size_t)first;
                for (int ox = 0; ox < out->width; ox++, place += (size_t)out->stride)
                    fire(layer, first, block, place, sums + (ox + beside) * block,
                         membrane + place, spikes + place);
            }
        }
    }
}

/* Whether spreading takes less: of few inputs, gathering would mostly find none. */
static int is_sparse(net_state *state, const net_layer *layer)
{
    const net_map *in = &maps[sources[layer->source].map];
    const size_t pixels = (size_t)in->height * (size_t)in->width;
    return layer->spread != net_NOWHERE &&
           START(state, in)[pixels] < pixels * (size_t)in->channels / 4;
}

/* ---- between layers ------------------------------------------------------------------------- */

/* Eight channels at once: no sum leaves its byte. */
static void sum_2x2(net_state *state, const net_map *in, const net_map *out)
{
    unsigned char *to = DENSE(state, out);
    const size_t stride = (size_t)in->stride, line = (size_t)in->width * stride;
    for (int oy = 0; oy < out->height; oy++) {
        const unsigned char *from = DENSE(state, in) + 2 * (size_t)oy * line;
        for (int ox = 0; ox < out->width; ox++, from += 2 * stride)
            for (size_t c = 0; c < stride; c += 8, to += 8) {
                uint64_t a, b, d, e;
                memcpy(&a, from + c, 8), memcpy(&b, from + c + stride, 8);
                memcpy(&d, from + c + line, 8), memcpy(&e, from + c + line + stride, 8);
                a += b + d + e;
                memcpy(to, &a, 8);
            }
    }
}

static void largest_3x3(net_state *state, const net_map *in, const net_map *out)
{
    const unsigned char *from = DENSE(state, in);
    unsigned char *to = DENSE(state, out);
    for (int oy = 0; oy < out->height; oy++)
        for (int ox = 0; ox < out->width; ox++, to += out->stride) {
            memset(to, 0, (size_t)out->stride);
            for (int y = 2 * oy - 1; y < 2 * oy + 2; y++)
                for (int x = 2 * ox - 1; x < 2 * ox + 2; x++) {
                    if (y < 0 || x < 0 || y >= in->height || x >= in->width)
                        continue;
                    const unsigned char *pixel =
                        from + ((size_t)y * (size_t)in->width + (size_t)x) * (size_t)in->stride;
                    for (int c = 0; c < out->stride; c++)
                        to[c] = to[c] > pixel[c] ? to[c] : pixel[c];
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
    net_index *index = INDEX(state, map);
    net_sum *value = VALUE(state, map);
    for (int y = 0; y < map->height; y++)
        for (int x = 0; x < map->width; x++, counts += map->stride) {
            *start++ = found;
            for (int c = 0; c < map->stride; c += 8) {
                uint64_t eight;
                memcpy(&eight, counts + c, sizeof eight);
                if (eight == 0)
                    continue;
                for (int k = 0; k < 8; k++) { /* without a branch: most of it would be guessed wrong */
                    index[found] = (net_index)(x * map->channels + c + k);
                    value[found] = (net_sum)counts[c + k];
                    found += counts[c + k] != 0;
                }
            }
        }
    *start = found;
}

/* Sums over all pixels, as a map of one. */
static void total(net_state *state, const net_map *in, const net_map *out)
{
    uint32_t *start = START(state, out), found = 0;
    net_index *index = INDEX(state, out);
    net_sum *value = VALUE(state, out);
    const size_t pixels = (size_t)in->height * (size_t)in->width;
    for (int c = 0; c < in->channels; c++) {
        const unsigned char *counts = DENSE(state, in) + c;
        uint32_t sum = 0;
        for (size_t pixel = 0; pixel < pixels; pixel++)
            sum += counts[pixel * (size_t)in->stride];
        if (sum) {
            index[found] = (net_index)c;
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
    net_index *index = INDEX(state, map);
    net_sum *value = VALUE(state, map);
    const size_t pixels = (size_t)map->height * (size_t)map->width;
    for (size_t i = 0; i < pixels * (size_t)map->channels; i++)
        if (!(frames[i] >= -net_LARGEST && frames[i] <= net_LARGEST))
            return -1;
    for (int y = 0; y < map->height; y++)
        for (int x = 0; x < map->width; x++, frames++) {
            *start++ = found;
            for (int c = 0; c < map->channels; c++) {
                index[found] = (net_index)(x * map->channels + c);
                value[found] = net_COUNT(frames[(size_t)c * pixels]);
                found += value[found] != 0;
            }
        }
    *start = found;
    return 0;
}

static void head(net_state *state, const net_layer *layer, float *logits)
{
    net_sum sums[MOST_BLOCK];
    const int stride = maps[layer->output].stride;
    for (int first = 0, block; first < stride; first += block) {
        block = block_of(stride - first);
        add_sources(state, layer, first, block, 0, 0, before(layer, first, 0), sums);
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
        case net_LAYER:
            (is_sparse(state, &layers[o->first]) ? run_spread : run_layer)(state, &layers[o->first]);
            break;
        case net_SUM_2X2: sum_2x2(state, &maps[o->first], &maps[o->output]); break;
        case net_MAX_3X3: largest_3x3(state, &maps[o->first], &maps[o->output]); break;
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
