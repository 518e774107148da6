#include "requantize.h"
#include "tl.h"

void tl_mean_s8(const tl_mean_t *g, const int8_t *x, int8_t *y) {
    for (int32_t c = 0; c < g->c; c++, x++) {
        const int8_t *pixel = x;
        int32_t sum = -g->n * g->x_zero;
        for (int32_t i = g->n; i > 0; i--, pixel += g->c) {
            sum += *pixel;
        }
        y[c] = tl_clamp(tl_requantize(sum, g->mult, g->shift), g->y_zero, -128, 127);
    }
}
