// What a step does to weights and biases: plain SGD in real numbers, on integers (quantisation-aware scaling). With the
// real weight W = s_w * w and dL/dw = g * 2^e, W -= rate * dL/dW is
//     w -= rate / s_w^2 * g * 2^e,      and with the real bias B = s_x * s_w * b      b -= rate / (s_x * s_w)^2 * g *
//     2^e
// The factor of a channel is a tl_rate_t, prepared once. A step is rounded at random, away from 0 with the probability
// of what is cut off, so that steps below 1 are not lost and none is biased; weights stay within +-127.
//
// The steps of a row of weights share one random number (systematic sampling): their sizes are added up from it on, and
// where the sum passes an integer, that weight goes one further. Each weight's chance is its own; how far the row goes
// altogether is not left to chance. So a random number costs little, and weights that do not move cost almost nothing.

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
    TL_KNOWN_UPDATES = TL_LEAN ? TL_SGD + 1 : TL_UPDATES,
};

typedef struct {
    uint32_t random; // xorshift32's state, not 0
    int32_t mode;
    int32_t momentum; // 8 fractional bits, 0 .. 255
} tl_update_t;

// The sums of a row of weights, as steps take them: size and sign (bit 31)
typedef struct {
    uint32_t *words;
    int32_t n;
    int32_t exponent;         // a sum is its size * 2^exponent
    int32_t bits;             // of the largest size: 1 .. 16
    const uint32_t *sixteens; // the sizes of sixteen words each, added up; or NULL
    int32_t off;              // words that are sums still are so much too large, and 2^exponent too fine
    bool sums;
    const int16_t *list; // of sums: where their weights lie, or NULL
} tl_row_t;

// What one unit of a size is as a step: a whole part, a fraction of 2^32, and the sign to take a word's by
typedef struct {
    uint32_t whole, fraction, sign;
} tl_unit_t;

// Of sums less `off`, which are used up; steps cut them to 15 bits below the largest.
tl_row_t tl_update_row(int32_t *sum, int32_t n, int32_t off);

// The same of one product's sums each: x less its zero point, of the channels `in`. words: [in->count]
tl_row_t tl_update_input(const int8_t *x, int32_t zero, const tl_channels_t *in, uint32_t *words);

// Lets most sixteens of a row be passed over, where it is used again and again. sixteens: (n + 15) / 16 words
void tl_update_sixteens(tl_row_t *row, uint32_t *sixteens);

// n weights, `step` apart or those in `list`, go by -rate times the row. buffer: int16 [n], 8 fractional bits, or NULL
// with TL_SGD. Error: 2^-32 of a step for each unit of a size, so below 2^-16 at most.
void tl_update_weights(
    tl_update_t *u, int8_t *w, int32_t step, const int16_t *list, tl_row_t *row, tl_ratio_t rate, int16_t *buffer);

// One bias against sum * 2^exponent, kept within +-limit. buffer: whole steps, or NULL with TL_SGD
void tl_update_bias(
    tl_update_t *u, int32_t *b, int32_t limit, int32_t sum, int32_t exponent, tl_rate_t rate, int32_t *buffer);

#endif
