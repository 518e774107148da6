// What a step does to weights and biases: plain SGD in real numbers, on integers (quantisation-aware scaling). With the
// real weight W = s_w * w and dL/dw = g * 2^e, W -= rate * dL/dW is
//     w -= rate / s_w^2 * g * 2^e,      and with the real bias B = s_x * s_w * b      b -= rate / (s_x * s_w)^2 * g *
//     2^e
// The factor of a channel is a tl_rate_t, prepared once. A step is rounded at random, up with the probability of what
// is cut off, so that steps below 1 are not lost and none is biased; weights stay within +-127.

#ifndef TL_UPDATE_H
#define TL_UPDATE_H

#include "gradient.h"

// mantissa * 2^exponent, the mantissa of 15 bits
typedef struct {
    int16_t mantissa, exponent;
} tl_rate_t;

enum {
    TL_SGD,
    TL_MOMENTUM,   // buffer = momentum * buffer + step; weight -= buffer
    TL_ACCUMULATE, // buffer += step
    TL_APPLY,      // buffer += step; weight -= its whole part, the rest stays
    TL_UPDATES,
};

typedef struct {
    uint32_t random; // xorshift32's state, not 0
    int32_t mode;
    int32_t momentum; // 8 fractional bits, 0 .. 255
} tl_update_t;

// n weights, `step` apart or those in `list`, against sum[n] * 2^exponent. buffer: int16 [n], 8 fractional bits, or
// NULL with TL_SGD. Sums are cut to 15 bits below the largest.
void tl_update_weights(tl_update_t *u, int8_t *w, int32_t step, const int16_t *list, int32_t n, const int32_t *sum,
    int32_t exponent, tl_rate_t rate, int16_t *buffer);

// One bias against sum * 2^exponent, kept within +-limit. buffer: whole steps, or NULL with TL_SGD
void tl_update_bias(
    tl_update_t *u, int32_t *b, int32_t limit, int32_t sum, int32_t exponent, tl_rate_t rate, int32_t *buffer);

#endif
