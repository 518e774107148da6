#include "channel.h"

#include "requantize.h"
#include "window.h"

// Functions of their own have the few registers of the small processors for themselves.
#define ALONE static __attribute__((noinline))

// acc + sum of w * x over rows x taps x n
ALONE int32_t products(const tl_steps_t *s, const int8_t *x, const int8_t *w, int32_t rows, int32_t taps, int32_t acc) {
    int32_t n = s->n;
    if (taps > 0 && s->x_tap == n && s->w_tap == n) { // the taps of a row are neighbours
        n *= taps;
        taps = 1;
    }
    for (; rows > 0; rows--, x += s->x_row, w += s->w_row) {
        const int8_t *x_at = x, *w_at = w;
        for (int32_t tap = taps; tap > 0; tap--, x_at += s->x_tap, w_at += s->w_tap) {
            int32_t i = 0;
#ifndef __ARM_ARCH_6M__   // where fast kernels have the speed, and code is RAM
            if (n == 1) { // depthwise
                acc += *w_at * *x_at;
                continue;
            }
            for (; i + 4 <= n; i += 4) {
                acc += w_at[i] * x_at[i] + w_at[i + 1] * x_at[i + 1] + w_at[i + 2] * x_at[i + 2] +
                       w_at[i + 3] * x_at[i + 3];
            }
#endif
            for (; i < n; i++) {
                acc += w_at[i] * x_at[i];
            }
        }
    }
    return acc;
}

// sum of w over rows x taps x n
ALONE int32_t weights(const tl_steps_t *s, const int8_t *w, int32_t rows, int32_t taps) {
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

void tl_channel(const tl_window_t *g, const tl_steps_t *s, const int8_t *x, const int8_t *w, int32_t bias, int32_t mult,
    int32_t shift, int8_t *y) {
    int32_t bias_inside = bias - g->x_zero * weights(s, w, g->k_h, g->k_w);
    for (int32_t oy = 0, top = -g->pad_top; oy < g->out_h; oy++, top += g->stride_h) {
        tl_taps_t rows = tl_taps(top, g->in_h, g->k_h, g->dilation_h);
        const int8_t *x_row = x + rows.start * g->in_w * g->in_c, *w_row = w + rows.first * s->w_row;
        for (int32_t ox = 0, left = -g->pad_left; ox < g->out_w; ox++, left += g->stride_w) {
            tl_taps_t columns = tl_taps(left, g->in_w, g->k_w, g->dilation_w);
            const int8_t *x_at = x_row + columns.start * g->in_c, *w_at = w_row + columns.first * s->w_tap;
            int32_t n_rows = rows.last - rows.first, n_taps = columns.last - columns.first;
            int32_t acc = bias_inside;
            if (!(rows.all && columns.all)) {
                acc = bias - g->x_zero * weights(s, w_at, n_rows, n_taps);
            }
            acc = products(s, x_at, w_at, n_rows, n_taps, acc);
            *y = tl_clamp(tl_requantize(acc, mult, shift), g->y_zero, g->y_min, g->y_max);
            y += g->out_c;
        }
    }
}
