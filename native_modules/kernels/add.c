#include "requantize.h"
#include "tl.h"

#ifndef __ARM_ARCH_6M__ // armv6m/add.S

void tl_add_s8(const tl_add_t *g, const int8_t *x1, const int8_t *x2, int8_t *y) {
    for (int32_t i = g->n; i > 0; i--) {
        int32_t one = (*x1++ - g->x1_zero) * (1 << g->left_shift);
        int32_t two = (*x2++ - g->x2_zero) * (1 << g->left_shift);
        one = tl_requantize(one, g->x1_mult, g->x1_shift);
        two = tl_requantize(two, g->x2_mult, g->x2_shift);
        int32_t sum = (int32_t)((uint32_t)one + (uint32_t)two);
        *y++ = tl_clamp(tl_requantize(sum, g->y_mult, g->y_shift), g->y_zero, g->y_min, g->y_max);
    }
}

#endif
