// Gradients in integers: a tensor of int8 or int16, and one exponent, chosen from the data.
//
//     dL/dx_q = g * 2^exponent      with respect to the quantised tensor x_q
//
// So no real scale occurs on the way back; they enter with the update alone (update.h). Rounding in the forward passes
// gradients as if it were not there, a clamp passes them where its output lies strictly inside (a mask bit of 1).
//
// Every operator sums rows of its dx in int32 and gives them to tl_rows_put, which narrows them to the tensor's type.

#ifndef TL_GRADIENT_H
#define TL_GRADIENT_H

#include <stdbool.h>

#include "tl.h"

// Code is RAM: lean, this is without what training seldom takes, which are gradients of 16 bits, maximum pools, and
// steps through buffers (update.h). Of the native modules tl_grad is.
#ifndef TL_LEAN
#define TL_LEAN 0
#endif

typedef struct {
    void *at; // int8_t or int16_t [n]
    int32_t n;
    int32_t width; // 8 or 16; values have width - 1 bits and a sign
    int32_t exponent;
} tl_grad_t;

// Whether gradients have 16 bits
static inline bool tl_is_wide(int32_t width) {
    return !TL_LEAN && width == 16;
}

static inline int32_t tl_grad_value(const void *at, int32_t width, int32_t i) {
    return !tl_is_wide(width) ? ((const int8_t *)at)[i] : ((const int16_t *)at)[i];
}

static inline int32_t tl_grad_get(const tl_grad_t *g, int32_t i) {
    return tl_grad_value(g->at, g->width, i);
}

// v * 2^by to the nearest integer, ties up; what leaves int32 on the left is the caller's to prevent
static inline int32_t tl_shift(int32_t v, int32_t by) {
    if (by >= 0) {
        return (int32_t)((uint32_t)v << by);
    }
    return by < -31 ? 0 : ((v >> (-by - 1)) + 1) >> 1;
}

// How many bits v has
static inline int32_t tl_bits(uint32_t v) {
#ifdef __ARM_FEATURE_CLZ
    return 32 - (v ? __builtin_clz(v) : 32);
#else
    int32_t bits = 0;
    for (; v >> 8; v >>= 8) {
        bits += 8;
    }
    for (; v; v >>= 1) {
        bits++;
    }
    return bits;
#endif
}

static inline uint32_t tl_size(int32_t v) {
    return v < 0 ? 0u - (uint32_t)v : (uint32_t)v;
}

// A positive real number: mantissa * 2^exponent, the mantissa within 2^15
typedef struct {
    int32_t mantissa, exponent;
} tl_ratio_t;

// mult * 2^(shift - 31)
tl_ratio_t tl_ratio(int32_t mult, int32_t shift);

// 1; of int8 a little more, for values of few bits that are to lose some. Of those many end in a half: always rounded
// up, they would push a whole tensor to one side, layer after layer. So they go away from zero.
static inline tl_ratio_t tl_one(int32_t width) {
    return tl_is_wide(width) ? (tl_ratio_t){1, 0} : (tl_ratio_t){(1 << 14) + 1, -14};
}

// ---- gradient.c: into a gradient tensor -----------------------------------------------------------------------------

// A gradient tensor being written, or added to, row by row.
typedef struct {
    tl_grad_t *g;
    bool add;       // every row adds to what lies there
    bool zero;      // nothing but zeros so far, so that the exponent is free
    int32_t filled; // elements before this one have been written, at the tensor's exponent
} tl_rows_t;

tl_rows_t tl_rows(tl_grad_t *g, bool add);

// g[at ..] = or += row * 2^exponent, the rows in order. Where a row does not fit, the tensor's exponent is raised and
// what is written already follows. The row is used up. A sum's low bits are lost below 2^-30 of it.
// Error: at most 1 unit of the exponent that the tensor ends with, per row added to the same place.
void tl_rows_put(tl_rows_t *rows, int32_t at, int32_t *row, int32_t n, int32_t exponent);

// g[at .. at+n] = or += ratio * from[begin .. begin+n]; `from` may lie where g lies, if at <= begin
void tl_rows_scaled(tl_rows_t *rows, int32_t at, const tl_grad_t *from, int32_t begin, int32_t n, tl_ratio_t ratio);

// Clears what the clamp has stopped.
void tl_grad_mask(tl_grad_t *g, const uint8_t *mask);

// From the output of a weighted operator to its sum: g[p, o] *= scale[o], in place, brought to so many bits.
// code, requant: as in a tl_call_t. Error: at most 1 unit, and 2^-15 of the value for the scale.
void tl_grad_scale(tl_grad_t *g, int32_t code, const int32_t *requant, int32_t channels, int32_t bits);

// ---- *_grad.c: back through an operator -----------------------------------------------------------------------------
// dy: after tl_grad_scale or tl_grad_mask.

// What an operator with a window reads on the way back: convolutions w, max_pool x and y, else NULL.
typedef struct {
    const tl_window_t *g;
    const tl_grad_t *dy;
    const int8_t *w, *x, *y;
} tl_back_t;

// Adds to row y of dx (in_w * in_c sums) what row `tap` of the windows in row oy, which lies on it, has for it.
typedef void tl_scatter_t(const tl_back_t *back, int32_t y, int32_t oy, int32_t tap, int32_t *row);

tl_scatter_t tl_conv2d_scatter, tl_depthwise_conv2d_scatter, tl_avg_pool_scatter;
tl_scatter_t tl_max_pool_scatter; // to the first of the largest values under a window

// dx, row by row. row: scratch of in_w * in_c
void tl_grad_input(const tl_back_t *back, tl_scatter_t *scatter, tl_rows_t *dx, int32_t *row, int32_t exponent);

// Some of an operator's channels: `count` from `first` on, or those in `list`.
typedef struct {
    int32_t first, count;
    const int16_t *list;
} tl_channels_t;

static inline int32_t tl_channel_at(const tl_channels_t *c, int32_t i) {
    return c->list ? c->list[i] : c->first + i;
}

// dL/dw of output channel o and the chosen input channels: sum [k_h, k_w, count], at dy's exponent. Depthwise: the one
// input channel that o reads.
void tl_grad_weight(
    const tl_window_t *g, const tl_grad_t *dy, const int8_t *x, int32_t o, const tl_channels_t *in, int32_t *sum);

// What the gradients of an operator's weights are made of.
typedef struct {
    const tl_window_t *g;
    const tl_grad_t *dy;
    const int8_t *x;
    const tl_channels_t *in, *out; // those that are trained
} tl_weights_t;

// dL/db of output channel o
int32_t tl_grad_bias(const tl_grad_t *dy, int32_t channels, int32_t o);

// The bits that avg_pool's sums of dy / count gain on dy's exponent
int32_t tl_avg_pool_bits(const tl_window_t *g, int32_t width);

void tl_mean_grad(const tl_mean_t *g, const tl_grad_t *dy, tl_rows_t *dx);
void tl_pad_grad(const tl_pad_t *g, const tl_grad_t *dy, tl_rows_t *dx);
tl_ratio_t tl_add_ratio(const tl_add_t *g, bool second);

#endif
