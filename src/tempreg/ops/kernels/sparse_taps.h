/* One list of inputs, and up to 3 x 3 taps of one input channel, for BLOCK output channels. */

typedef struct {
    const int32_t *position;
    const REAL *value; /* null where all are 1 */
    int64_t number;
} input_list;

/* Rows of BLOCK numbers: tap (r, c)'s at `first` + r * down + c * across. */
typedef struct {
    REAL *first;
    int64_t down, across;
} tap_rows;

#define EACH_TAP _Pragma("GCC unroll 9") for (int i = 0; i < high * wide; i++)
#define EACH_VECTOR _Pragma("GCC unroll 2") for (int j = 0; j < VECTORS; j++)
#define ROW_OF_TAP(rows) ((rows).first + i / wide * (rows).down + i % wide * (rows).across)

/* The result: each input adds its taps' weights, times what it is, to the sums around it. */
static ALWAYS_INLINE void spread(input_list inputs, tap_rows weights, REAL *sums, int64_t row,
                                 const int high, const int wide, const int ones) {
    vector w[MOST_TAPS * MOST_TAPS][VECTORS];
    EACH_TAP EACH_VECTOR memcpy(&w[i][j], ROW_OF_TAP(weights) + j * LANES, sizeof(vector));
    for (int64_t k = 0; k < inputs.number; k++) {
        REAL *here = sums + (int64_t)inputs.position[k] * BLOCK;
        const REAL value = ones ? 1 : inputs.value[k];
        EACH_TAP EACH_VECTOR {
            REAL *at = here - (i / wide * row + i % wide) * BLOCK + j * LANES;
            vector sum;
            memcpy(&sum, at, sizeof sum);
            if (ones)
                sum += w[i][j];
            else
                sum += w[i][j] * value;
            memcpy(at, &sum, sizeof sum);
        }
    }
}

/* The gradient of the weights: each input adds the result's gradient around it, times what it is. */
static ALWAYS_INLINE void collect(input_list inputs, tap_rows sums, const REAL *g, int64_t row,
                                  const int high, const int wide, const int ones) {
    vector w[MOST_TAPS * MOST_TAPS][VECTORS];
    EACH_TAP EACH_VECTOR memcpy(&w[i][j], ROW_OF_TAP(sums) + j * LANES, sizeof(vector));
    for (int64_t k = 0; k < inputs.number; k++) {
        const REAL *here = g + (int64_t)inputs.position[k] * BLOCK;
        const REAL value = ones ? 1 : inputs.value[k];
        EACH_TAP EACH_VECTOR {
            vector part;
            memcpy(&part, here - (i / wide * row + i % wide) * BLOCK + j * LANES, sizeof part);
            if (ones)
                w[i][j] += part;
            else
                w[i][j] += part * value;
        }
    }
    EACH_TAP EACH_VECTOR memcpy(ROW_OF_TAP(sums) + j * LANES, &w[i][j], sizeof(vector));
}

#define SHAPES(CALL, ones)                                                          \
    switch (high * 4 + wide) {                                                      \
        case 5: CALL(1, 1, ones); break;                                            \
        case 6: CALL(1, 2, ones); break;                                            \
        case 7: CALL(1, 3, ones); break;                                            \
        case 9: CALL(2, 1, ones); break;                                            \
        case 10: CALL(2, 2, ones); break;                                           \
        case 11: CALL(2, 3, ones); break;                                           \
        case 13: CALL(3, 1, ones); break;                                           \
        case 14: CALL(3, 2, ones); break;                                           \
        case 15: CALL(3, 3, ones); break;                                           \
    }
#define SPREAD(high, wide, ones) spread(inputs, rows, numbers, row, high, wide, ones)
#define COLLECT(high, wide, ones) collect(inputs, rows, numbers, row, high, wide, ones)

/* `numbers` are the sums of the result, or its gradient, where tap (0, 0) finds its place at an
 * input's position; `row` is a row of theirs, in columns. */
static void spread_any(input_list inputs, tap_rows rows, REAL *numbers, int64_t row, int64_t high,
                       int64_t wide) {
    if (inputs.value) SHAPES(SPREAD, 0) else SHAPES(SPREAD, 1)
}

static void collect_any(input_list inputs, tap_rows rows, REAL *numbers, int64_t row, int64_t high,
                        int64_t wide) {
    if (inputs.value) SHAPES(COLLECT, 0) else SHAPES(COLLECT, 1)
}
