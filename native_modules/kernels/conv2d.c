#include "channel.h"
#include "fast.h"

void tl_conv2d_s8(const tl_window_t *g, const tl_layer_t *of, const tl_work_t *work) {
    if (work->variant && tl_fast_conv2d(g, of, work)) {
        return;
    }
    const int32_t c = g->in_c;
    const tl_steps_t steps = {
        .x_row = g->dilation_h * g->in_w * c, .x_tap = g->dilation_w * c, .w_row = g->k_w * c, .w_tap = c, .n = c};
    const int8_t *w = of->w;
    for (int32_t o = 0; o < g->out_c; o++) {
        tl_channel(g, &steps, of, o, of->x, w);
        w += g->k_h * steps.w_row;
    }
}
