// Gradient filtering (Yang et al., CVPR 2023, arXiv 2301.00330; from its mathematics): gradients on patches of r x r
// pixels, which makes the way back through a convolution r^2 cheaper and what the forward saves for it, too.
// Opt-in. The authors name US provisional patent application 63/435,321: see docs/training.md before you use it.
//
//     g~[p, o]    = mean of G over the outputs of patch p                                  (equation 2)
//     dx~[x, i]   = sum_o g~[p(x), o] T[o, i],   T[o, i] = sum over taps of w[o, t, i]     (equation 3)
//     dw~[o, t, i] = sum_p g~[p, o] x~[p, i], the same for every tap t; x~ = sum of x over the inputs of p  (equation
//     5)
// both divided by stride^2, which makes their sums over pixels what they are without a filter. With S[p, o] the sum of
// G over a patch of count outputs, n inputs in it and xm their mean, count / n is that 1 / stride^2, and
//     dx~ = sum_o S T / n,      dw~ = sum_p S (xm - zero),      db = sum_p S (exact)
// So the forward keeps xm, int8 [patches, channels], instead of x. Masks stop gradients before they are summed.

#ifndef TL_FILTER_H
#define TL_FILTER_H

#include "gradient.h"
#include "program.h"

// A convolution in patches of r x r outputs. Every input belongs to the patch whose windows are centred there, those
// beyond the outer ones to these.
typedef struct {
    const tl_window_t *g;
    int32_t r;
    int32_t h, w; // patches
} tl_filter_t;

tl_filter_t tl_filter(const tl_window_t *g, int32_t r);

// Patches as the pixels of one row: what a 1 x 1 kernel's gradients are on them
tl_window_t tl_filter_reduced(const tl_filter_t *f);

// Bytes of scratch to reduce dy, and where dx is wanted
uint64_t tl_filter_scratch(const tl_filter_t *f, bool input);

// dy [out_h, out_w, out_c] becomes its sums S [h, w, out_c], where it lies. row: scratch of out_c. Error: at most 1
// unit of the exponent that it ends with.
void tl_filter_sums(const tl_filter_t *f, tl_grad_t *dy, int32_t *row);

// dx from S, after tl_grad_scale. Of more scratch than that a 1 x 1 kernel's fast variant has the use. Error: half a
// unit of S, besides tl_rows_put's.
void tl_filter_input(const tl_filter_t *f, const tl_grad_t *sums, const int8_t *w, bool depthwise, tl_rows_t *dx,
    int32_t *scratch, int32_t bytes);

// What a filtered record needs of its operator's x. params int32 [3]: operator, r (2 or 4), offset in the arena of int8
// [patches, in_c], which takes the means of x, to nearest. Once x is there, and before it is overwritten.
tl_status_t tl_patches(const tl_span_t *params, const tl_span_t spans[3]); // model, places, arena

#endif
