#include "channel.h"
#include "fast.h"

void tl_depthwise_conv2d_s8(const tl_window_t *g, const tl_layer_t *of, const tl_work_t *work) {
    if (work->variant && tl_fast_depthwise_conv2d(g, of, work)) {
        return;
    }
    const tl_steps_t steps = {.x_row = g->dilation_h * g->in_w * g->in_c,
        .x_tap = g->dilation_w * g->in_c,
        .w_row = g->k_w * g->out_c,
        .w_tap = g->out_c,
        .n = 1};
    const int8_t *x = of->x;
    for (int32_t o = 0, part = 0; o < g->out_c; o++) {
        tl_channel(g, &steps, of, o, x, of->w + o);
        part += g->in_c; // of the output channels that read the same x
        if (part == g->out_c) {
            x++;
            part = 0;
        }
    }
}
