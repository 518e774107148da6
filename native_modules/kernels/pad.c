#include <string.h>

#include "tl.h"

void tl_pad_s8(const tl_pad_t *g, const int8_t *x, int8_t *y) {
    memset(y, g->value, (size_t)(g->out_h * g->out_w * g->out_c));
    y += (g->top * g->out_w + g->left) * g->out_c + g->front;
    for (int32_t i = g->in_h; i > 0; i--, y += (g->out_w - g->in_w) * g->out_c) {
        for (int32_t j = g->in_w; j > 0; j--, y += g->out_c - g->in_c) {
            for (int32_t c = g->in_c; c > 0; c--) {
                *y++ = *x++;
            }
        }
    }
}
