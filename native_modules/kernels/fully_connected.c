#include "fast.h"
#include "requantize.h"
#include "tl.h"

// round(acc * scale) as float64 arithmetic gives it: the product to 53 bits, ties to even, then to an integer, ties
// away from zero. low and high are the words of a float64 within [2^-31, 2^16): scale = m * 2^-e, m of 53 bits, e in 37
// .. 83.
static int32_t scale_as_float64(int32_t acc, uint32_t low, uint32_t high) {
    uint32_t a = acc < 0 ? 0u - (uint32_t)acc : (uint32_t)acc;
    uint64_t p_low = tl_wide_multiply(a, low);
    uint64_t p_high = tl_wide_multiply(a, (high & 0xfffff) | 0x100000) + (p_low >> 32); // a * m = p_high * 2^32 + p_low
    int32_t shift = 1075 - 32 - (int32_t)(high >> 20);                                  // e - 32
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
    int32_t y = r > INT32_MAX ? INT32_MAX : (int32_t)r;
    return acc < 0 ? -y : y;
}

// sum of w * (x - zero) over n neighbours
static int32_t dot(const int8_t *x, const int8_t *w, int32_t n, int32_t zero) {
    int32_t acc = 0;
    for (; n >= 4; n -= 4) {
        acc += w[0] * (x[0] - zero);
        acc += w[1] * (x[1] - zero);
        acc += w[2] * (x[2] - zero);
        acc += w[3] * (x[3] - zero);
        x += 4;
        w += 4;
    }
    for (; n > 0; n--) {
        acc += *w++ * (*x++ - zero);
    }
    return acc;
}

void tl_fully_connected_s8(const tl_dense_t *g, const int8_t *x, const int8_t *w, const int32_t *b,
    const uint32_t *scale, int8_t *y, const tl_work_t *work) {
    int32_t step = work && work->variant ? tl_fast_fully_connected(g, x, w, b, work) : 0;
    const int32_t *sums = step ? work->at : NULL;
    step += step == 0;
    for (int32_t i = 0; i < step; i++) {
        for (int32_t o = i; o < g->n_out; o += step) {
            int32_t acc = sums ? *sums++ : (b ? b[o] : 0) + dot(x, w + o * g->n_in, g->n_in, g->x_zero);
            y[o] = tl_clamp(scale_as_float64(acc, scale[2 * o], scale[2 * o + 1]), g->y_zero, g->y_min, g->y_max);
        }
    }
}
