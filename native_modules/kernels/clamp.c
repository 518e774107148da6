#include "requantize.h"
#include "tl.h"

void tl_clamp_s8(const tl_clamp_t *g, const int8_t *x, int8_t *y) {
    for (int32_t i = g->n; i > 0; i--) {
        int32_t v = tl_requantize(*x++ - g->x_zero, g->mult, g->shift);
        *y++ = tl_clamp(v, g->y_zero, g->y_min, g->y_max);
    }
}
