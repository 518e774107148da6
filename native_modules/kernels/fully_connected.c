#include <string.h>

#include "fast.h"
#include "micro.h"

// a * m / 2^32, rounded down
static uint32_t high_word(uint32_t a, uint32_t m) {
    return (uint32_t)(tl_wide_multiply(a, m) >> 32);
}

// |y| of scale_as_float64 whatever the sum: a = |acc|, the scale m * 2^-e, m = m_high * 2^32 + m_low of 53 bits
static __attribute__((noinline)) uint32_t scale_exactly(uint32_t a, uint32_t m_low, uint32_t m_high, uint32_t e) {
    uint64_t p_low = tl_wide_multiply(a, m_low);
    uint64_t p_high = tl_wide_multiply(a, m_high) + (p_low >> 32); // a * m = p_high * 2^32 + p_low
    uint32_t shift = e - 32;
    uint64_t half = (uint64_t)1 << (shift - 1);
    uint64_t r = (p_high + half) >> shift;
    if ((p_high + half + 1) >> shift != r) {
        // Less than 2^32 below a tie: what half a unit of the 53rd bit makes of it. A tie has an even 53rd bit.
        uint32_t half_unit = 0;
        for (uint64_t bits = p_high >> 21; bits; bits >>= 1) {
            half_unit = half_unit ? half_unit << 1 : 1;
        }
        uint32_t rest = (uint32_t)p_low;
        r += rest + half_unit < rest;
    }
    return r > INT32_MAX ? INT32_MAX : (uint32_t)r;
}

// round(acc * scale) as float64 arithmetic gives it: the product to 53 bits, ties to even, then to an integer, ties
// away from zero. low and high are the words of a float64 within [2^-31, 2^16): scale = m * 2^-e, m of 53 bits, e in 37
// .. 83. Its upper 32 bits are enough unless the product comes close to a tie.
static int32_t scale_as_float64(int32_t acc, uint32_t low, uint32_t high) {
    const uint32_t a = acc < 0 ? 0u - (uint32_t)acc : (uint32_t)acc;
    const uint32_t m_high = (high & 0xfffff) | 0x100000, e = 1075 - (high >> 20), shift = e - 53;
    const uint32_t v = high_word(a, m_high << 11 | low >> 21) + ((1u << (shift & 31)) >> 1);
    uint32_t y = v >> (shift & 31);
    if (shift - 1 > 29 || (v + 2) >> shift != y) {
        y = scale_exactly(a, low, m_high, e);
    }
    return acc < 0 ? -(int32_t)y : (int32_t)y;
}

#ifdef __ARM_ARCH_6M__ // code is RAM, and the speed is in armv6m/
enum { ROWS = 1 };

// sums[r] += w[r] . (x - zero) over n neighbours, for ROWS rows that meet one x
static void dots(const int8_t *x, const int8_t *const w[ROWS], int32_t n, int32_t zero, int32_t sums[ROWS]) {
    *sums += tl_m0_dot(x, w[0], n, zero);
}
#else
enum { ROWS = 4 };

static void dots(const int8_t *x, const int8_t *const w[ROWS], int32_t n, int32_t zero, int32_t sums[ROWS]) {
    const int8_t *w0 = w[0], *w1 = w[1], *w2 = w[2], *w3 = w[3];
    int32_t s0 = sums[0], s1 = sums[1], s2 = sums[2], s3 = sums[3];
#if TL_HALVES
    const uint32_t zeros = tl_pair(zero, zero);
#define DOT(s, w)                                                                                                      \
    four = tl_four(w);                                                                                                 \
    s = __smlad(__sxtb16(four), even, s);                                                                              \
    s = __smlad(__sxtb16(four >> 8 | four << 24), odd, s);                                                             \
    w += 4;
#else
#define DOT(s, w)                                                                                                      \
    s += w[0] * v0 + w[1] * v1 + w[2] * v2 + w[3] * v3;                                                                \
    w += 4;
#endif
    for (; n >= 4; n -= 4, x += 4) {
#if TL_HALVES
        uint32_t four = tl_four(x), even = __ssub16(__sxtb16(four), zeros);
        uint32_t odd = __ssub16(__sxtb16(four >> 8 | four << 24), zeros);
#else
        int32_t v0 = x[0] - zero, v1 = x[1] - zero, v2 = x[2] - zero, v3 = x[3] - zero;
#endif
        DOT(s0, w0)
        DOT(s1, w1)
        DOT(s2, w2)
        DOT(s3, w3)
    }
    for (; n > 0; n--) {
        int32_t v = *x++ - zero;
        s0 += *w0++ * v;
        s1 += *w1++ * v;
        s2 += *w2++ * v;
        s3 += *w3++ * v;
    }
    sums[0] = s0;
    sums[1] = s1;
    sums[2] = s2;
    sums[3] = s3;
}
#endif

static void put(const tl_dense_t *g, const tl_layer_t *of, int32_t o, int32_t acc) {
    const uint32_t *scale = (const uint32_t *)of->mult + 2 * o;
    of->y[o] = tl_clamp(scale_as_float64(acc, scale[0], scale[1]), g->y_zero, g->y_min, g->y_max);
}

void tl_fully_connected_s8(const tl_dense_t *g, const tl_layer_t *of, const tl_work_t *work) {
    const int32_t step = work->variant ? tl_fast_fully_connected(g, of, work) : 0;
    const int32_t *sum = step ? work->at : NULL;
    for (int32_t first = 0; first < step; first++) {
        for (int32_t o = first; o < g->n_out; o += step) {
            put(g, of, o, *sum++);
        }
    }
    for (int32_t o = step ? g->n_out : 0; o < g->n_out; o += ROWS) {
        const int8_t *rows[ROWS];
        int32_t sums[ROWS];
        for (int32_t r = 0; r < ROWS; r++) {
            int32_t i = o + r < g->n_out ? o + r : o; // beyond the last row anything will do
            rows[r] = of->w + i * g->n_in;
            sums[r] = of->b ? of->b[i] : 0;
        }
        dots(of->x, rows, g->n_in, g->x_zero, sums);
        for (int32_t r = 0; r < ROWS && o + r < g->n_out; r++) {
            put(g, of, o + r, sums[r]);
        }
    }
}
