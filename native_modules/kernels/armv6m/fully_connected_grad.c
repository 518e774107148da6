#include "gradient.h"
#include "work.h"

#ifdef __ARM_ARCH_6M__
#include "fast_grad.h"

bool tl_m0_fully_connected_grad_input(
    const tl_back_t *back, tl_rows_t *dx, int32_t *scratch, int32_t bytes, int32_t exponent) {
    const tl_window_t *g = back->g;
    const bool wide = back->dy->width == 16;
    const int32_t n = g->in_c, outputs = g->out_c;
    const tl_m0_pack_t pack = {4, wide ? 2 : 1, wide ? TL_M0_HALVES : TL_M0_BYTES, 0};
    int32_t *gradients = scratch + n;
    const tl_m0_dense_t d = {gradients + outputs, n, n / 4, ((int32_t)(uintptr_t)back->w | n) & 3};
    if (bytes < 4 * (n + outputs)) {
        return false;
    }
    tl_m0_pack((uint32_t *)gradients, back->dy->at, (uint32_t)outputs, &pack);
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

bool tl_m0_fully_connected_step(
    const tl_weights_t *of, tl_update_t *u, int8_t *w, int32_t i, tl_rate_t rate, int32_t *scratch) {
    const tl_window_t *g = of->g;
    const int32_t n = of->in->count, o = tl_channel_at(of->out, i), by = of->dy->exponent + rate.exponent;
    const tl_m0_pack_t pack = {4, 1, TL_M0_BYTES, g->x_zero};
    if (!tl_grad_is_dense(g) || of->dy->width != 8 || of->in->list || by >= 0) {
        return false;
    }
    if (i == 0) {
        tl_m0_pack((uint32_t *)scratch, of->x + of->in->first, (uint32_t)n, &pack);
    }
    return tl_fast_update(
        u, w + o * g->in_c + of->in->first, 1, n, scratch, 0, by, rate.mantissa * tl_grad_get(of->dy, o));
}
#endif
