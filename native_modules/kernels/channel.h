// One output channel of a convolution: its window on every place of the image.

#ifndef TL_CHANNEL_H
#define TL_CHANNEL_H

#include "requantize.h"
#include "window.h"

// From row to row and from tap to tap of a window, in the image and in the weights; each tap has n neighbouring
// channels.
typedef struct {
    int32_t x_row, x_tap;
    int32_t w_row, w_tap;
    int32_t n;
} tl_steps_t;

// acc + sum of w * x over rows x taps x n
typedef int32_t tl_products_t(
    const tl_steps_t *s, const int8_t *x, const int8_t *w, int32_t rows, int32_t taps, int32_t acc);

// A function of its own has the few registers of the small processors for itself.
#define TL_ALONE static __attribute__((noinline))

// sum of w over rows x taps x n
TL_ALONE int32_t tl_weights(const tl_steps_t *s, const int8_t *w, int32_t rows, int32_t taps) {
    int32_t sum = 0;
    for (; rows > 0; rows--, w += s->w_row) {
        for (int32_t tap = 0; tap < taps; tap++) {
            for (int32_t i = 0; i < s->n; i++) {
                sum += w[tap * s->w_tap + i];
            }
        }
    }
    return sum;
}

// sum of w * (x - zero) = sum of w * x - zero * sum of w, and the last is the same wherever the window is inside the
// image.
static inline void tl_channel(const tl_window_t *g, const tl_steps_t *s, const int8_t *x, const int8_t *w, int32_t bias,
    int32_t mult, int32_t shift, int8_t *y, tl_products_t *products) {
    int32_t bias_inside = bias - g->x_zero * tl_weights(s, w, g->k_h, g->k_w);
    for (int32_t oy = 0, top = -g->pad_top; oy < g->out_h; oy++, top += g->stride_h) {
        tl_taps_t rows = tl_taps(top, g->in_h, g->k_h, g->dilation_h);
        const int8_t *x_row = x + rows.start * g->in_w * g->in_c, *w_row = w + rows.first * s->w_row;
        for (int32_t ox = 0, left = -g->pad_left; ox < g->out_w; ox++, left += g->stride_w) {
            tl_taps_t columns = tl_taps(left, g->in_w, g->k_w, g->dilation_w);
            const int8_t *x_at = x_row + columns.start * g->in_c, *w_at = w_row + columns.first * s->w_tap;
            int32_t n_rows = rows.last - rows.first, n_taps = columns.last - columns.first;
            int32_t acc = bias_inside;
            if (!(rows.all && columns.all)) {
                acc = bias - g->x_zero * tl_weights(s, w_at, n_rows, n_taps);
            }
            acc = products(s, x_at, w_at, n_rows, n_taps, acc);
            *y = tl_clamp(tl_requantize(acc, mult, shift), g->y_zero, g->y_min, g->y_max);
            y += g->out_c;
        }
    }
}

#endif
