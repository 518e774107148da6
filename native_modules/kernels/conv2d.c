#include "channel.h"
#include "fast.h"

void tl_conv2d_s8(const tl_window_t *g, const int8_t *x, const int8_t *w, const int32_t *b, const int32_t *mult,
    const int8_t *shift, int8_t *y, const tl_work_t *work) {
    if (work && work->variant && tl_fast_conv2d(g, x, w, b, mult, shift, y, work)) {
        return;
    }
    const int32_t c = g->in_c;
    const tl_steps_t steps = {
        .x_row = g->dilation_h * g->in_w * c, .x_tap = g->dilation_w * c, .w_row = g->k_w * c, .w_tap = c, .n = c};
    for (int32_t o = 0; o < g->out_c; o++) {
        tl_channel(g, &steps, x, w, b ? b[o] : 0, mult[o], shift[o], y + o);
        w += g->k_h * steps.w_row;
    }
}
