#include "channel.h"

#include "requantize.h"
#include "window.h"

// A function of its own has the few registers of the small processors for itself.
#define ALONE static __attribute__((noinline))

// acc + sum of w * (x - zero) over rows x taps x n
ALONE int32_t products(
    const tl_steps_t *s, const int8_t *x, const int8_t *w, int32_t rows, int32_t taps, int32_t zero, int32_t acc) {
    for (; rows > 0; rows--, x += s->x_row, w += s->w_row) {
        const int8_t *x_at = x, *w_at = w;
        for (int32_t tap = taps; tap > 0; tap--, x_at += s->x_tap, w_at += s->w_tap) {
            for (int32_t i = 0; i < s->n; i++) {
                acc += w_at[i] * (x_at[i] - zero);
            }
        }
    }
    return acc;
}

void tl_channel(
    const tl_window_t *g, const tl_steps_t *s, const tl_layer_t *of, int32_t o, const int8_t *x, const int8_t *w) {
    const int32_t bias = of->b ? of->b[o] : 0;
    int8_t *y = of->y + o;
    for (int32_t oy = 0, top = -g->pad_top; oy < g->out_h; oy++, top += g->stride_h) {
        const tl_taps_t rows = tl_taps(top, g->in_h, g->k_h, g->dilation_h);
        const int8_t *x_row = x + rows.start * g->in_w * g->in_c, *w_row = w + rows.first * s->w_row;
        for (int32_t ox = 0, left = -g->pad_left; ox < g->out_w; ox++, left += g->stride_w) {
            const tl_taps_t columns = tl_taps(left, g->in_w, g->k_w, g->dilation_w);
            const int32_t acc = products(s, x_row + columns.start * g->in_c, w_row + columns.first * s->w_tap,
                rows.last - rows.first, columns.last - columns.first, g->x_zero, bias);
            *y = tl_clamp(tl_requantize(acc, of->mult[o], of->shift[o]), g->y_zero, g->y_min, g->y_max);
            y += g->out_c;
        }
    }
}
