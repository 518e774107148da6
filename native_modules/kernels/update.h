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

// A row of weights' sums, or words of size and sign (bit 31), which steps take them for
typedef struct {
    uint32_t *words;
    int32_t n;
    int32_t exponent;         // of words: a sum is its size * 2^exponent
    int32_t bits;             // of words: of the largest size, 1 .. 16
    const uint32_t *sixteens; // the sizes of sixteen words each, added up; or NULL
    int32_t off;              // of sums: they are so much too large
    bool sums;                // steps cut them to 15 bits below the largest, and use them up
    const int16_t *list;      // where the weights lie, or NULL: `step` apart
} tl_row_t;

// What one unit of a size is as a step: a whole part, a fraction of 2^32, and the sign to take a word's by
typedef struct {
    uint32_t whole, fraction, sign;
} tl_unit_t;

// A row of one product's sums each: x less its zero point, of the channels `in`. words: [in->count]
tl_row_t tl_update_input(const int8_t *x, int32_t zero, const tl_channels_t *in, uint32_t *words);

// Lets most sixteens of a row be passed over, where it is used again and again. sixteens: (n + 15) / 16 words
void tl_update_sixteens(tl_row_t *row, uint32_t *sixteens);

// The row's weights go by -rate times the row. buffer: int16 [n], 8 fractional bits, or NULL
// with TL_SGD. Error: 2^-32 of a step for each unit of a size, so below 2^-16 at most.
void tl_update_weights(tl_update_t *u, int8_t *w, int32_t step, tl_row_t *row, tl_ratio_t rate, int16_t *buffer);

// One bias goes by -rate * sum, the mantissa within 2^15, and is kept within +-limit. buffer: whole steps, or NULL with
// TL_SGD
void tl_update_bias(tl_update_t *u, int32_t *b, int32_t limit, int32_t sum, tl_ratio_t rate, int32_t *buffer);

// The steps of an operator's output channels, one after the other
typedef struct {
    tl_row_t row; // outer: all channels' alike, times a channel's gradient; else of the sums
    tl_update_t *u;
    const tl_rate_t *rates, *bias_rates; // here and below: the next channel's; of what is not trained NULL
    int8_t *w;
    int32_t *b;
    int32_t *sums;
    const int32_t *totals;   // its gradients' sum, of which `zero` times lies in its sums; not where there are
    const int8_t *gradients; // else NULL
    int32_t outer;
    int32_t next_sums; // from its sums to the next one's
    int32_t exponent;  // of the gradients
    int32_t zero;
    int32_t most;                   // of biases
    int32_t rows;                   // of weights
    int32_t next_row, next_channel; // bytes from one to the next
    int32_t step;                   // and from weight to weight
    int16_t *buffer;
    int32_t *bias_buffer;
} tl_steps_t;

void tl_update_channels(tl_steps_t *s, int32_t n);

#endif
