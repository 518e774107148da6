// What the host's plan gives a kernel that has a fast variant: which, and memory to work in.

#ifndef TL_WORK_H
#define TL_WORK_H

#include <stdbool.h>

#include "tl.h"

// How many fours of output channels a convolution's panel holds in `bytes` of scratch: the window's column, and per
// four channels 4 words per two weights, the sums and the requantisation.
static inline int32_t tl_conv2d_quads(const tl_window_t *g, uint32_t bytes) {
    uint32_t groups = (uint32_t)(g->k_h * g->k_w * g->in_c + 3) / 4;
    uint32_t column = 4 * groups, quad = 32 * groups + 112;
    uint32_t all = (uint32_t)(g->out_c + 3) / 4, some = bytes > column ? (bytes - column) / quad : 0;
    return (int32_t)(some < all ? some : all);
}

// Whether a depthwise convolution is of the kind that slides down the columns, without scratch: 3x3, stride 1, and one
// pixel of padding left and right.
static inline bool tl_depthwise_slides(const tl_window_t *g) {
    int32_t below = g->out_h + 2 - g->pad_top - g->in_h;
    return g->k_h == 3 && g->k_w == 3 && g->stride_h == 1 && g->stride_w == 1 && g->dilation_h == 1 &&
           g->dilation_w == 1 && g->out_c == g->in_c && g->out_w == g->in_w && g->pad_left == 1 && g->in_w >= 3 &&
           g->pad_top <= 1 && g->in_h + g->pad_top >= 3 && below >= 0 && below <= 1;
}

// Scratch of any other: words for two weights each, for the pixels of as many padded rows as the window is high, and
// for a row of sums.
static inline uint32_t tl_depthwise_scratch(const tl_window_t *g) {
    int32_t height = (g->k_h - 1) * g->dilation_h + 1;
    int32_t width = (g->out_w - 1) * g->stride_w + (g->k_w - 1) * g->dilation_w + 1;
    return 4 * (uint32_t)(g->k_h * ((g->k_w + 1) / 2) + height * width + g->out_w);
}

// A dense layer: its sums.
static inline uint32_t tl_fully_connected_scratch(const tl_dense_t *g) {
    return 4 * (uint32_t)g->n_out;
}

#endif
