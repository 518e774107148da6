#include "requantize.h"
#include "tl.h"

void tl_mean_s8(const tl_mean_t *g, const int8_t *x, int8_t *y) {
    const int32_t step = g->c;
    for (int32_t c = 0; c < step; c++, x++) {
        const int8_t *pixel = x, *end = x + g->n * step;
        int32_t sum = -g->n * g->x_zero;
        do {
            sum += *pixel;
            pixel += step;
        } while (pixel != end);
        y[c] = tl_clamp(tl_requantize(sum, g->mult, g->shift), g->y_zero, -128, 127);
    }
}
