/* Between rows of channels in memory, [BLOCK][n] with `stride` from one to the next, and BLOCK
 * channels side by side, [n][BLOCK]. Only the first `given` rows are there; those beyond are read
 * as zeros and not written. */

typedef REAL quad __attribute__((vector_size(4 * sizeof(REAL)), may_alias, aligned(sizeof(REAL))));
typedef int32_t places4 __attribute__((vector_size(16)));

#ifdef __clang__
#define PICK(a, b, i, j, k, l) __builtin_shufflevector(a, b, i, j, k, l)
#else
#define PICK(a, b, i, j, k, l) __builtin_shuffle(a, b, (places4){i, j, k, l})
#endif

/* out[i * to + j] = in[j * from + i] for i, j < 4. */
static ALWAYS_INLINE void four_by_four(const REAL *in, int64_t from, REAL *out, int64_t to) {
    const quad a = *(const quad *)in, b = *(const quad *)(in + from);
    const quad c = *(const quad *)(in + 2 * from), d = *(const quad *)(in + 3 * from);
    const quad low = PICK(a, b, 0, 4, 1, 5), high = PICK(a, b, 2, 6, 3, 7);
    const quad low2 = PICK(c, d, 0, 4, 1, 5), high2 = PICK(c, d, 2, 6, 3, 7);
    *(quad *)out = PICK(low, low2, 0, 1, 4, 5);
    *(quad *)(out + to) = PICK(low, low2, 2, 3, 6, 7);
    *(quad *)(out + 2 * to) = PICK(high, high2, 0, 1, 4, 5);
    *(quad *)(out + 3 * to) = PICK(high, high2, 2, 3, 6, 7);
}

static void side_by_side(const REAL *in, int64_t stride, int64_t given, REAL *out, int64_t n) {
    int64_t j = 0;
    for (; j + 4 <= given; j += 4) {
        int64_t i = 0;
        for (; i + 4 <= n; i += 4)
            four_by_four(in + j * stride + i, stride, out + i * BLOCK + j, BLOCK);
        for (; i < n; i++)
            for (int k = 0; k < 4; k++) out[i * BLOCK + j + k] = in[(j + k) * stride + i];
    }
    for (; j < BLOCK; j++)
        for (int64_t i = 0; i < n; i++) out[i * BLOCK + j] = j < given ? in[j * stride + i] : 0;
}

static void in_rows(const REAL *in, REAL *out, int64_t stride, int64_t given, int64_t n) {
    int64_t j = 0;
    for (; j + 4 <= given; j += 4) {
        int64_t i = 0;
        for (; i + 4 <= n; i += 4)
            four_by_four(in + i * BLOCK + j, BLOCK, out + j * stride + i, stride);
        for (; i < n; i++)
            for (int k = 0; k < 4; k++) out[(j + k) * stride + i] = in[i * BLOCK + j + k];
    }
    for (; j < given; j++)
        for (int64_t i = 0; i < n; i++) out[j * stride + i] = in[i * BLOCK + j];
}
