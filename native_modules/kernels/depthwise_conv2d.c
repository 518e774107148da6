#include "channel.h"
#include "fast.h"

void tl_depthwise_conv2d_s8(const tl_window_t *g, const int8_t *x, const int8_t *w, const int32_t *b,
    const int32_t *mult, const int8_t *shift, int8_t *y, const tl_work_t *work) {
    if (work && work->variant && tl_fast_depthwise_conv2d(g, x, w, b, mult, shift, y, work)) {
        return;
    }
    const tl_steps_t steps = {.x_row = g->dilation_h * g->in_w * g->in_c,
        .x_tap = g->dilation_w * g->in_c,
        .w_row = g->k_w * g->out_c,
        .w_tap = g->out_c,
        .n = 1};
    int32_t o = 0, multiplier = (int32_t)((uint32_t)g->out_c / (uint32_t)g->in_c);
    for (int32_t i = 0; i < g->in_c; i++) {
        for (int32_t end = o + multiplier; o < end; o++) {
            tl_channel(g, &steps, x + i, w + o, b ? b[o] : 0, mult[o], shift[o], y + o);
        }
    }
}
