#include <string.h>

#include "fast.h"
#include "window.h"

// A function of its own has the few registers of the small processors for itself.
#define ALONE static __attribute__((noinline))

// a / count to the nearest integer, ties away from zero. |a| <= 128 * count, count <= 2^16; inverse: 2^24 / count, cut.
static inline int32_t average(int32_t a, int32_t count, uint32_t inverse) {
    uint32_t size = (uint32_t)(a < 0 ? -a : a) + (uint32_t)count / 2; // below 2^24
    uint32_t q = size * inverse >> 24;                                // the quotient or one less
    q += size - q * (uint32_t)count >= (uint32_t)count;
    return a < 0 ? -(int32_t)q : (int32_t)q;
}

// y (n > 0) becomes as large as x where it is smaller.
ALONE void raise(int8_t *y, const int8_t *x, int32_t n) {
    do {
        n--;
        const int32_t v = x[n];
        if (v > y[n]) {
            y[n] = (int8_t)v;
        }
    } while (n > 0);
}

// acc + the sum of n > 0 values, `step` bytes apart
ALONE int32_t sum(int32_t acc, const int8_t *x, int32_t n, int32_t step) {
    do {
        acc += *x;
        x += step;
    } while (--n > 0);
    return acc;
}

void tl_pool_s8(const tl_window_t *g, const int8_t *x, int8_t *y, bool averages) {
    const int32_t c = g->in_c, row = g->in_w * c;
    int8_t *to = y;
    for (int32_t oy = 0, top = -g->pad_top; oy < g->out_h; oy++, top += g->stride_h) {
        const tl_taps_t rows = tl_taps(top, g->in_h, g->k_h, 1);
        for (int32_t ox = 0, left = -g->pad_left; ox < g->out_w; ox++, left += g->stride_w, to += c) {
            const tl_taps_t columns = tl_taps(left, g->in_w, g->k_w, 1);
            const int8_t *from = x + rows.start * row + columns.start * c; // the part that lies inside the image
            const int32_t h = rows.last - rows.first, w = columns.last - columns.first, count = h * w;
            if (averages) {
                const uint32_t inverse = (1u << 24) / (uint32_t)count;
                for (int32_t i = 0; i < c; i++) {
                    int32_t acc = 0;
                    for (int32_t j = 0; j < h; j++) {
                        acc = sum(acc, from + i + j * row, w, c);
                    }
                    to[i] = (int8_t)average(acc, count, inverse);
                }
            } else {
                memcpy(to, from, (size_t)c);
                for (int32_t i = 0; i < h; i++) {
                    for (int32_t j = i == 0; j < w; j++) {
                        raise(to, from + i * row + j * c, c);
                    }
                }
            }
        }
    }
    tl_fast_clamp(g, y);
}
