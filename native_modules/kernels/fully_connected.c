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

#define tl_dots(x, w, rows, n, zero, sums) (*(sums) += tl_m0_dot(x, w, n, zero))
#else
enum { ROWS = TL_DOTS };
#endif

static void put(const tl_dense_t *g, const tl_layer_t *of, int32_t o, int32_t acc) {
    const uint32_t *scale = (const uint32_t *)of->mult + 2 * o;
    of->y[o] = tl_clamp(scale_as_float64(acc, scale[0], scale[1]), g->y_zero, g->y_min, g->y_max);
}

void tl_fully_connected_s8(const tl_dense_t *g, const tl_layer_t *of, const tl_work_t *work) {
    int32_t o = 0;
    if (work->variant && tl_fast_fully_connected(g, of, work)) {
        for (const int32_t *sum = work->at; o < g->n_out; o++) {
            put(g, of, o, *sum++);
        }
    }
    for (; o < g->n_out; o += ROWS) {
        const int32_t rows = ROWS == 1 || g->n_out - o > ROWS ? ROWS : g->n_out - o;
        int32_t sums[ROWS];
        for (int32_t r = 0; r < rows; r++) {
            sums[r] = of->b ? of->b[o + r] : 0;
        }
        tl_dots(of->x, of->w + o * g->n_in, rows, g->n_in, g->x_zero, sums);
        for (int32_t r = 0; r < rows; r++) {
            put(g, of, o + r, sums[r]);
        }
    }
}
