// The way back on the Cortex-M0+; micro.h says how one multiplication makes two products. Gradients lie within +-127,
// so weights and x may be any int8.

#ifndef TL_M0_GRAD_H
#define TL_M0_GRAD_H

#include "update.h"

// ---- chain.S: back through convolutions -----------------------------------------------------------------------------

typedef struct {
    int32_t *sums, *end; // fours of sums: added to
    uint32_t single;     // 0: a word is two int8, 1: an int16
} tl_m0_chain_t;

// gradients: TL_GRAD_CHUNK words, of which the last `words` count, the earlier of two in the high half. panel: per four
// sums 4 * words words, the earlier of two in the low half.
void tl_m0_chain(const uint32_t *gradients, uint32_t words, const uint32_t *panel, const tl_m0_chain_t *d);

// ---- pack.S ---------------------------------------------------------------------------------------------------------

enum {
    TL_M0_HIGH_PAIRS, // int8, the first of two in the high half
    TL_M0_LOW_PAIRS,  // int8, the first in the low half
    TL_M0_BYTES,      // int8, one in a word
    TL_M0_HALVES,     // int16, one in a word
};

typedef struct {
    int32_t to_step, from_step; // bytes from word to word, from value to value
    uint32_t how;
} tl_m0_pack_t;

// words > 0
void tl_m0_pack(uint32_t *to, const void *from, uint32_t words, const tl_m0_pack_t *d);

// ---- update.S -------------------------------------------------------------------------------------------------------

typedef struct {
    int32_t step;     // bytes from weight to weight
    int32_t mantissa; // of the rate
    int32_t up, down; // to the left, then to the right to nearest by one more: 15 bits of a sum
    uint32_t unused;  // bits of a random number that are beyond those cut off
    int32_t cut;      // fractional bits of the product: 2 .. 30
} tl_m0_update_t;

// w -= sum * mantissa / 2^cut, rounded at random, for the sums up to end: tl_update_weights without a buffer. Gives the
// state of the random number generator after it.
uint32_t tl_m0_update(int8_t *w, const int32_t *sum, const int32_t *end, const tl_m0_update_t *d, uint32_t random);

// ---- C --------------------------------------------------------------------------------------------------------------

// tl_grad_input of convolutions. false: nothing done, for the scratch is too small.
bool tl_m0_conv2d_grad_input(const tl_back_t *back, tl_rows_t *dx, int32_t *scratch, int32_t bytes, int32_t exponent);

// tl_grad_weight of convolutions, for as many output channels from the `first` chosen one on as the scratch holds, into
// its begin, *row sums each. Gives how many, or 0 where it is too small.
int32_t tl_m0_conv2d_grad_weight(const tl_weights_t *of, int32_t first, int32_t *scratch, int32_t bytes, int32_t *row);

#endif
