#include "tl.h"

static int8_t *fill(int8_t *y, int32_t n, int32_t value) {
    for (; n > 0; n--) {
        *y++ = (int8_t)value;
    }
    return y;
}

void tl_pad_s8(const tl_pad_t *g, const int8_t *x, int8_t *y) {
    int32_t row = g->out_w * g->out_c, back = g->out_c - g->in_c - g->front;
    y = fill(y, g->top * row, g->value);
    for (int32_t i = 0; i < g->in_h; i++) {
        y = fill(y, g->left * g->out_c, g->value);
        for (int32_t j = 0; j < g->in_w; j++) {
            y = fill(y, g->front, g->value);
            for (int32_t c = g->in_c; c > 0; c--) {
                *y++ = *x++;
            }
            y = fill(y, back, g->value);
        }
        y = fill(y, (g->out_w - g->in_w - g->left) * g->out_c, g->value);
    }
    fill(y, (g->out_h - g->in_h - g->top) * row, g->value);
}
