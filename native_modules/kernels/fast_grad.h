// As fast.h: the fast kernels of the way back, which do nothing and say so where the processor has none, or the scratch
// is too small.

#ifndef TL_FAST_GRAD_H
#define TL_FAST_GRAD_H

#ifdef __ARM_ARCH_6M__
#include "armv6m/m0_grad.h"

#define tl_fast_fully_connected_grad_input tl_m0_fully_connected_grad_input
#define tl_fast_conv2d_grad_input tl_panel_conv2d_grad_input
#define tl_fast_conv2d_grad_sums tl_panel_conv2d_grad_sums
#define tl_fast_depthwise_grad_input tl_m0_depthwise_grad_input
#define tl_fast_conv2d_grad_weight tl_panel_conv2d_grad_weight
#define tl_fast_depthwise_grad_weight tl_m0_depthwise_grad_weight
#define tl_fast_grad_weight tl_grad_weight
#define tl_fast_update(...) false
#define tl_fast_update_channels tl_m0_update_channels
#else
#include "elements.h"
#include "panel_grad.h"
#include "update.h"

// block_grad.c: what gradient.h has under these names, faster
tl_scatter_t tl_block_conv2d_scatter;
void tl_block_grad_weight(
    const tl_window_t *g, const tl_grad_t *dy, const int8_t *x, int32_t o, const tl_channels_t *in, int32_t *sum);

// Depthwise, of as many channels as x has; and gradients of as many neighbouring output channels' weights as the
// scratch holds, or 0 where they are not that: *row sums each, behind them the sums of their gradients, which times x's
// zero point are to be taken off.
void tl_block_depthwise_grad_input(const tl_back_t *back, tl_rows_t *dx, int32_t *scratch, int32_t exponent);
int32_t tl_block_depthwise_grad_weight(
    const tl_weights_t *of, int32_t first, int32_t *scratch, int32_t bytes, int32_t *row);

// A row's steps, each below 1, from `sum` of the fractions on
bool tl_block_update(int8_t *w, int32_t step, const tl_row_t *row, const tl_unit_t *unit, uint32_t sum);

#define tl_fast_grad_weight tl_block_grad_weight
#define tl_fast_update tl_block_update
#define tl_fast_update_channels tl_update_channels

#define tl_fast_fully_connected_grad_input(...) false

static inline bool tl_fast_conv2d_grad_input(
    const tl_back_t *back, tl_rows_t *dx, int32_t *scratch, int32_t bytes, int32_t exponent) {
    if (TL_PANELS && tl_panel_conv2d_grad_input(back, dx, scratch, bytes, exponent)) {
        return true;
    }
    tl_grad_input(back, tl_block_conv2d_scatter, dx, scratch, exponent);
    return true;
}

static inline bool tl_fast_depthwise_grad_input(
    const tl_back_t *back, tl_rows_t *dx, int32_t *scratch, int32_t bytes, int32_t exponent) {
    (void)bytes;
    if (back->g->in_c != back->g->out_c) {
        return false;
    }
    tl_block_depthwise_grad_input(back, dx, scratch, exponent);
    return true;
}

static inline bool tl_fast_conv2d_grad_sums(const tl_back_t *back, int32_t *scratch, int32_t bytes) {
    if (TL_PANELS && !TL_LEAN && tl_panel_conv2d_grad_sums(back, scratch, bytes)) {
        return true;
    }
    tl_clear(scratch, back->g->in_w * back->g->in_c);
    tl_block_conv2d_scatter(back, 0, 0, 0, scratch);
    return true;
}

static inline int32_t tl_fast_conv2d_grad_weight(
    const tl_weights_t *of, int32_t first, int32_t *scratch, int32_t bytes, int32_t *row) {
    return TL_PANELS ? tl_panel_conv2d_grad_weight(of, first, scratch, bytes, row) : 0;
}

#define tl_fast_depthwise_grad_weight tl_block_depthwise_grad_weight
#endif

#endif
