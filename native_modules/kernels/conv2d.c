#include "channel.h"

TL_ALONE int32_t dot(const int8_t *x, const int8_t *w, int32_t n, int32_t acc) {
    for (; n >= 4; n -= 4) {
        acc += w[0] * x[0];
        acc += w[1] * x[1];
        acc += w[2] * x[2];
        acc += w[3] * x[3];
        x += 4;
        w += 4;
    }
    for (; n > 0; n--) {
        acc += *w++ * *x++;
    }
    return acc;
}

TL_ALONE int32_t products(
    const tl_steps_t *s, const int8_t *x, const int8_t *w, int32_t rows, int32_t taps, int32_t acc) {
    int32_t n = s->n;
    if (s->x_tap == n) { // the taps of a row are neighbours
        n *= taps;
        taps = 1;
    }
    for (; rows > 0; rows--) {
        for (int32_t tap = 0; tap < taps; tap++) {
            acc = dot(x + tap * s->x_tap, w + tap * n, n, acc);
        }
        x += s->x_row;
        w += s->w_row;
    }
    return acc;
}

void tl_conv2d_s8(const tl_window_t *g, const int8_t *x, const int8_t *w, const int32_t *b, const int32_t *mult,
    const int8_t *shift, int8_t *y, void *scratch) {
    (void)scratch;
    const int32_t c = g->in_c;
    const tl_steps_t steps = {
        .x_row = g->dilation_h * g->in_w * c, .x_tap = g->dilation_w * c, .w_row = g->k_w * c, .w_tap = c, .n = c};
    for (int32_t o = 0; o < g->out_c; o++) {
        tl_channel(g, &steps, x, w, b ? b[o] : 0, mult[o], shift[o], y + o, products);
        w += g->k_h * steps.w_row;
    }
}
