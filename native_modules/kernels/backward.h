// The way back through a .tlm's tail, as a plan says: gradients, and updates at once, in one call.

#ifndef TL_BACKWARD_H
#define TL_BACKWARD_H

#include "fisher.h"
#include "program.h"
#include "pull.h"
#include "update.h"

// One record of a plan: what to do for one operator. Offsets are bytes in the arena, multiples of 4.
typedef struct {
    int32_t op;          // the operator's index
    int32_t flags;       // TL_TRAIN_WEIGHTS ...
    int32_t dy, dx, dx2; // gradient tensors; dx2: to an add's second input, or -1
    int32_t mask;        // the clip bits that tl_run left, or -1: nothing was clipped
    int32_t scratch;     // int32: conv2d, depthwise, pools: one row of x; to train weights: one output channel's worth
    int32_t scratch_bytes; //
    int32_t first, count;  // trained channels: count = 0 means all
    int32_t list;          // of int16 [count] channels, or -1: those from `first` on
    int32_t axis;          // of the channels: 0 input (conv2d, dense), 1 output; depthwise has output channels only
    int32_t weight_rates;  // tl_rate_t per output channel, from tl_rates; unused without the flag
    int32_t bias_rates;    //
    int32_t buffer;        // int16 per trained weight (output channel, tap, input channel), filled up to a multiple of
                           // 4 bytes, then int32 per trained bias; -1: the mode must be TL_SGD
    int32_t width;         // of the gradients, 8 or 16
} tl_plan_t;

enum {
    TL_TRAIN_WEIGHTS = 1,
    TL_TRAIN_BIAS = 2,
    TL_GRAD_INPUT = 4,
    TL_ADD_TO_DX = 8,   // add to the gradient that another reader of x has left
    TL_ADD_TO_DX2 = 16, // x + x: dx2 is dx, and TL_ADD_TO_DX is set
    // Not every native module has these, since code is RAM: TL_FISHER and TL_PULL are tl_channels', TL_FILTER_2 and
    // TL_FILTER_4 tl_filter's, and tl_grad is TL_LEAN (gradient.h). A record with what a module does not have is
    // refused. A weighted operator that is not trained: the Fisher information of the channels of x from dx, as
    // complete as this record leaves it, or (axis 1) of y from dy. Added to tl_fisher_t [channels] at `buffer`.
    TL_FISHER = 32,
    // Nothing but this, in a record just before the operator's own: dy += weight * (y - reference) for y's chosen
    // channels. Weight: a tl_rate_t at `weight_rates`. Reference: int8 [positions, count] at `buffer`, see pull.h.
    TL_PULL = 64,
    // conv2d, depthwise: gradients on patches of 2 x 2 or 4 x 4 outputs, see filter.h. `dx2`: the patches of x that
    // tl_patches left, if weights are trained; x is not needed. Scratch as tl_filter_scratch says, and to train weights
    // one output channel's worth.
    TL_FILTER_2 = 128,
    TL_FILTER_4 = 256,
};

// What lasts from step to step: the last argument of tl_backward, tl_head_loss and tl_softmax_loss.
typedef struct {
    int32_t random;    // state of the random number generator, not 0
    int32_t exponents; // offset of an int32 per tensor of the model: its gradient's exponent, set as it is written
    int32_t exponent;  // of the gradient that a loss has made, which is the first record's dy
    int32_t mode;      // TL_SGD ...
    int32_t momentum;  // 8 fractional bits, 0 .. 255
    int32_t loss;      // 16 fractional bits
    int32_t best;      // the class with the highest logit
    int32_t reserved;
} tl_state_t;

// Runs a plan's records in order. Trained weights and biases lie in the arena, where places says, or in the model's
// file where places says TL_CHANGED and TL_BACK_WEIGHTS is that file, which may be written to then. dx may lie where dy
// lies for add, clamp and reshape; nothing else that is written overlaps anything.
// Status: TL_E_PLAN + 256 * record where a record does not fit; other codes of a record's operator + 256 * record.
enum { TL_BACK_MODEL, TL_BACK_ARENA, TL_BACK_PLACES, TL_BACK_PLAN, TL_BACK_STATE, TL_BACK_WEIGHTS, TL_BACK_SPANS };
tl_status_t tl_backward(const tl_span_t spans[TL_BACK_SPANS]);

// The rates of an operator's channels. params int32 [4]: operator, 0 weights or 1 bias, rate = mantissa (1 .. 32767) *
// 2^exponent. spans: model, table tl_rate_t [output channels]
tl_status_t tl_rates(const tl_span_t *params, const tl_span_t spans[2]);

// ---- loss.c ---------------------------------------------------------------------------------------------------------
// Softmax cross-entropy: dL/dlogit = p - y. They set state's exponent, loss and best.

// Of a head (heads.h; prototypes of either kind, linear): params int32 [6]: the head's, label. x int8 [n], w, b, dx
// int8 or int16 [n], state, scratch int32 [n + 2 k]
tl_status_t tl_head_loss(const tl_span_t *params, const tl_span_t spans[6]);

// Of the model's own logits: params int32 [4]: zero point; scale = mult / 2^shift; label. x int8 [n], dx int8 or int16
// [n], state, scratch int32 [2 n]
tl_status_t tl_softmax_loss(const tl_span_t *params, const tl_span_t spans[4]);

#endif
