#include "channel.h"

TL_ALONE int32_t products(
    const tl_steps_t *s, const int8_t *x, const int8_t *w, int32_t rows, int32_t taps, int32_t acc) {
    const int32_t x_tap = s->x_tap, w_tap = s->w_tap;
    for (; rows > 0; rows--) {
        const int8_t *x_at = x, *w_at = w;
        for (int32_t tap = taps; tap > 0; tap--) {
            acc += *w_at * *x_at;
            x_at += x_tap;
            w_at += w_tap;
        }
        x += s->x_row;
        w += s->w_row;
    }
    return acc;
}

void tl_depthwise_conv2d_s8(const tl_window_t *g, const int8_t *x, const int8_t *w, const int32_t *b,
    const int32_t *mult, const int8_t *shift, int8_t *y, void *scratch) {
    (void)scratch;
    const tl_steps_t steps = {.x_row = g->dilation_h * g->in_w * g->in_c,
        .x_tap = g->dilation_w * g->in_c,
        .w_row = g->k_w * g->out_c,
        .w_tap = g->out_c,
        .n = 1};
    int32_t o = 0, multiplier = g->out_c / g->in_c;
    for (int32_t i = 0; i < g->in_c; i++) {
        for (int32_t end = o + multiplier; o < end; o++) {
            tl_channel(g, &steps, x + i, w + o, b ? b[o] : 0, mult[o], shift[o], y + o, products);
        }
    }
}
