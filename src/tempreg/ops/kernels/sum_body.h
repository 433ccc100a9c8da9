/* Sums in double precision for one element type; REAL and NAME(n) as elsewhere. Additions one
 * after another wait for each other, so there are four sums of eight lanes each. */
typedef REAL NAME(eight) __attribute__((vector_size(8 * sizeof(REAL))));
typedef double NAME(wide) __attribute__((vector_size(8 * sizeof(double))));

/* sum of row[i] - middle, or of its square, for i < m */
static ALWAYS_INLINE double NAME(sum_of)(const REAL *row, int64_t m, double middle, int square) {
    NAME(wide) lanes[4] = {{0}, {0}, {0}, {0}};
    double total = 0;
    int64_t i = 0;
    for (; i + 32 <= m; i += 32)
#pragma GCC unroll 4
        for (int k = 0; k < 4; k++) {
            NAME(eight) part;
            memcpy(&part, row + i + 8 * k, sizeof part);
            NAME(wide) apart = __builtin_convertvector(part, NAME(wide)) - middle;
            lanes[k] += square ? apart * apart : apart;
        }
    for (; i + 8 <= m; i += 8) {
        NAME(eight) part;
        memcpy(&part, row + i, sizeof part);
        NAME(wide) apart = __builtin_convertvector(part, NAME(wide)) - middle;
        lanes[0] += square ? apart * apart : apart;
    }
    for (; i < m; i++) {
        double apart = (double)row[i] - middle;
        total += square ? apart * apart : apart;
    }
    lanes[0] = (lanes[0] + lanes[1]) + (lanes[2] + lanes[3]);
    for (int l = 0; l < 8; l++) total += lanes[0][l];
    return total;
}

static double NAME(sum)(const REAL *row, int64_t m) { return NAME(sum_of)(row, m, 0, 0); }
