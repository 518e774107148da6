#include "gradient.h"
#include "work.h"

#ifdef __ARM_ARCH_6M__
#include "fast_grad.h"

bool tl_m0_fully_connected_grad_input(
    const tl_back_t *back, tl_rows_t *dx, int32_t *scratch, int32_t bytes, int32_t exponent) {
    const tl_window_t *g = back->g;
    const bool wide = tl_is_wide(back->dy->width);
    const int32_t n = g->in_c, outputs = g->out_c;
    const tl_pack_t pack = {4, wide ? 2 : 1, wide ? TL_PACK_HALVES : TL_PACK_BYTES, 0};
    int32_t *gradients = scratch + n;
    const tl_m0_dense_t d = {gradients + outputs, n, n / 4, ((int32_t)(uintptr_t)back->w | n) & 3};
    if (bytes < 4 * (n + outputs)) {
        return false;
    }
    tl_pack((uint32_t *)gradients, back->dy->at, (uint32_t)outputs, &pack);
    if (d.fours) {
        tl_m0_dense_grad(scratch, back->w, gradients, &d);
    }
    for (int32_t i = n & ~3; i < n; i++) {
        const int8_t *w = back->w + i;
        scratch[i] = 0;
        for (int32_t o = 0; o < outputs; o++, w += n) {
            scratch[i] += gradients[o] * *w;
        }
    }
    tl_rows_put(dx, 0, scratch, n, exponent);
    return true;
}
#endif
