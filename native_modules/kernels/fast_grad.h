// As fast.h: the fast kernels of the way back, which do nothing and say so where the processor has none, or the scratch
// is too small.

#ifndef TL_FAST_GRAD_H
#define TL_FAST_GRAD_H

#ifdef __ARM_ARCH_6M__
#include "armv6m/m0_grad.h"

#define tl_fast_conv2d_grad_input tl_m0_conv2d_grad_input
#define tl_fast_depthwise_grad_input tl_m0_depthwise_grad_input
#define tl_fast_conv2d_grad_weight tl_m0_conv2d_grad_weight
#define tl_fast_fully_connected_step tl_m0_fully_connected_step
#define tl_fast_depthwise_grad_weight tl_m0_depthwise_grad_weight

static inline bool tl_fast_update(
    tl_update_t *u, int8_t *w, int32_t step, int32_t n, const int32_t *sum, int32_t cut, int32_t by, int32_t mantissa) {
    const int32_t near = by < -30 ? -30 : by;
    const tl_m0_update_t d = {step, mantissa, cut ? 0 : 1, cut ? cut - 1 : 0, 32 + near, -near, near - by - 1};
    if (by >= -61) { // or all steps are 0
        u->random = tl_m0_update(w, sum, sum + n, &d, u->random);
    }
    return true;
}
#else
#include "update.h"

static inline bool tl_fast_update(
    tl_update_t *u, int8_t *w, int32_t step, int32_t n, const int32_t *sum, int32_t cut, int32_t by, int32_t mantissa) {
    (void)u, (void)w, (void)step, (void)n, (void)sum, (void)cut, (void)by, (void)mantissa;
    return false;
}

static inline bool tl_fast_conv2d_grad_input(
    const tl_back_t *back, tl_rows_t *dx, int32_t *scratch, int32_t bytes, int32_t exponent) {
    (void)back, (void)dx, (void)scratch, (void)bytes, (void)exponent;
    return false;
}

static inline bool tl_fast_fully_connected_step(
    const tl_weights_t *of, tl_update_t *u, int8_t *w, int32_t i, tl_rate_t rate, int32_t *scratch) {
    (void)of, (void)u, (void)w, (void)i, (void)rate, (void)scratch;
    return false;
}

#define tl_fast_depthwise_grad_input tl_fast_conv2d_grad_input

static inline bool tl_fast_depthwise_grad_weight(
    const tl_window_t *g, const tl_grad_t *dy, const int8_t *x, int32_t o, int32_t *scratch, int32_t bytes) {
    (void)g, (void)dy, (void)x, (void)o, (void)scratch, (void)bytes;
    return false;
}

static inline int32_t tl_fast_conv2d_grad_weight(
    const tl_weights_t *of, int32_t first, int32_t *scratch, int32_t bytes, int32_t *row) {
    (void)of, (void)first, (void)scratch, (void)bytes, (void)row;
    return 0;
}
#endif

#endif
