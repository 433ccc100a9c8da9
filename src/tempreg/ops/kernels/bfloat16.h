/* A bfloat16 is the upper half of a float. In integers, so that a compiler makes vectors of loops
 * over them on any processor; subnormal numbers are kept, as everywhere else. */
static inline uint32_t float_bits(float r) {
    uint32_t bits;
    memcpy(&bits, &r, sizeof bits);
    return bits;
}

static inline float bfloat16_as_float(uint16_t half) {
    uint32_t bits = (uint32_t)half << 16;
    float wide;
    memcpy(&wide, &bits, sizeof wide);
    return wide;
}

static inline uint16_t bfloat16_of(float r) { return (uint16_t)(float_bits(r) >> 16); }

/* To the nearest, of two the even one: half a unit less one is added, and one where the upper half
 * is odd. A NaN, of which that could make an infinity, stays one by the bit that makes it quiet. */
static inline uint16_t bfloat16_nearest(float r) {
    uint32_t bits = float_bits(r), upper = bits >> 16;
    uint32_t rounded = (bits + 0x7fff + (upper & 1)) >> 16;
    return (uint16_t)(r == r ? rounded : upper | 0x40);
}
