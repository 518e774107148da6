// The inner loop of convolutions and dense layers.

#ifndef TL_DOT_H
#define TL_DOT_H

#include <stdint.h>

// sum of w * (x - zero) over n neighbours
static inline int32_t tl_dot(const int8_t *x, const int8_t *w, int32_t n, int32_t zero) {
    int32_t acc = 0;
    for (; n >= 4; n -= 4) {
        acc += w[0] * (x[0] - zero);
        acc += w[1] * (x[1] - zero);
        acc += w[2] * (x[2] - zero);
        acc += w[3] * (x[3] - zero);
        x += 4;
        w += 4;
    }
    for (; n > 0; n--) {
        acc += *w++ * (*x++ - zero);
    }
    return acc;
}

#endif
