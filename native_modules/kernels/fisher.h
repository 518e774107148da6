// Fisher information of channels, which says where a step would change the loss most (TinyTrain, arXiv 2307.09988,
// equation 2): with the activations a of one channel, g = dL/da and N samples
//     Delta = 1 / (2 N) * sum over samples of (sum over positions of a g)^2
// An activation is s (a_q - z) and its gradient is dL/da_q / s, so their product needs no scale: in integers
// (a_q - z) * g_q * 2^e is a g itself, and channels of all layers can be compared.

#ifndef TL_FISHER_H
#define TL_FISHER_H

#include "gradient.h"

// A sum of squares: mantissa * 2^exponent, the mantissa in [2^30, 2^31); or 0, which it begins with
typedef struct {
    int32_t mantissa, exponent;
} tl_fisher_t;

// into[c] += (sum over positions of (a - zero) * g)^2 for each channel: one sample's part. a int8, g [positions,
// channels]. The sum is exact, each square within 2^-14 of itself, each addition within 2^-30.
void tl_fisher(tl_fisher_t *into, int32_t channels, const int8_t *a, int32_t zero, const tl_grad_t *g);

#endif
