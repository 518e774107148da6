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
    uint32_t all = (uint32_t)(g->out_c + 3) / 4;
    if (bytes >= column + (size_t)all * quad) { // mostly, and a division is slow
        return (int32_t)all;
    }
    return (int32_t)(bytes > column ? (bytes - column) / quad : 0);
}

// Three taps in a row, stride 1, and one pixel of padding left and right
static inline bool tl_depthwise_threes(const tl_window_t *g) {
    return g->k_w == 3 && g->stride_h == 1 && g->stride_w == 1 && g->dilation_h == 1 && g->dilation_w == 1 &&
           g->out_c == g->in_c && g->out_w == g->in_w && g->pad_left == 1 && g->in_w >= 3;
}

// Whether a depthwise convolution of those is of the kind that slides down the columns, without scratch: 3x3.
static inline bool tl_depthwise_slides(const tl_window_t *g) {
    int32_t below = g->out_h + 2 - g->pad_top - g->in_h;
    return tl_depthwise_threes(g) && g->k_h == 3 && g->pad_top <= 1 && g->in_h + g->pad_top >= 3 && below >= 0 &&
           below <= 1;
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

// ---- Backward: what the Cortex-M0+'s kernels want. They make do with less, and the plain ones need only a row of x
// for grad_input and one output channel's sums for grad_weight.

enum {
    TL_GRAD_CHUNK = 16,  // words of gradients that meet a panel at once: two int8 or one int16 each
    TL_GRAD_ROOM = 8704, // bytes beyond which no panel grows
};

static inline int32_t tl_least(int32_t a, int32_t b) {
    return a < b ? a : b;
}

static inline int32_t tl_most(int32_t a, int32_t b) {
    return a > b ? a : b;
}

// Of lengths, so that the small processors need no signed division
static inline int32_t tl_quotient(int32_t a, int32_t b) {
    return (int32_t)((uint32_t)a / (uint32_t)b);
}

static inline int32_t tl_grad_words(int32_t n, int32_t width) {
    return width == 8 ? (n + 1) / 2 : n;
}

// Whether it is a dense layer, or as good as one.
static inline bool tl_grad_is_dense(const tl_window_t *g) {
    return g->in_h * g->in_w * g->k_h * g->k_w == 1;
}

// Fours of sums of one row of dx that one output pixel adds to. The taps of a row lie side by side, unless dilated.
static inline int32_t tl_grad_input_quads(const tl_window_t *g) {
    return g->dilation_w == 1 || g->k_w == 1 ? (g->k_w * g->in_c + 3) / 4 : g->k_w * ((g->in_c + 3) / 4);
}

// Bytes of a row of dx with margins, so that every window lies on it whole; the last four may lie behind.
static inline int32_t tl_grad_input_row(const tl_window_t *g) {
    const int32_t reach = (g->out_w - 1) * g->stride_w + (g->k_w - 1) * g->dilation_w + 1;
    return 4 * (tl_most(g->pad_left + g->in_w, reach) * g->in_c + 3);
}

// A panel of all weights for a few rows, or else as large a part as there is room for, which serves some rows at once.
static inline int32_t tl_grad_input_scratch(const tl_window_t *g, int32_t width, bool depthwise) {
    if (depthwise) {
        return tl_grad_input_row(g) + 24 * g->in_c; // a 3x3 kernel's words
    }
    if (tl_grad_is_dense(g)) {
        return 4 * (g->in_c + g->out_c);
    }
    const int64_t all = 16 * (int64_t)g->k_h * tl_grad_input_quads(g) * tl_grad_words(g->out_c, width);
    const int32_t rows = all <= TL_GRAD_ROOM ? 1 : tl_least(g->in_h, tl_quotient(31 + g->in_w, g->in_w));
    return rows * tl_grad_input_row(g) + (all <= TL_GRAD_ROOM ? (int32_t)all : TL_GRAD_ROOM);
}

// Bytes per output channel of grad_weight's sums, and of its gradients' sum: `count` input channels are trained.
static inline int32_t tl_grad_weight_row(const tl_window_t *g, int32_t count) {
    return 16 * ((g->k_h * g->k_w * count + 3) / 4) + 4;
}

// Bytes of its panel of x: so many fours of weights
static inline int32_t tl_grad_weight_panel(const tl_window_t *g, int32_t count) {
    return 16 * TL_GRAD_CHUNK * tl_least((g->k_h * g->k_w * count + 3) / 4, 8);
}

// Pixels of a row of x that a depthwise kernel meets
static inline int32_t tl_grad_taps_width(const tl_window_t *g) {
    return (g->out_w - 1) * g->stride_w + (g->k_w - 1) * g->dilation_w + 1;
}

// Rows of x that so many rows of outputs meet
static inline int32_t tl_grad_taps_high(const tl_window_t *g, int32_t rows) {
    return (rows - 1) * g->stride_h + (g->k_h - 1) * g->dilation_h + 1;
}

// Bytes for the sums of some channels, up to four, and of four the x that some rows of outputs meet
static inline int32_t tl_grad_taps_bytes(const tl_window_t *g, int32_t rows, int32_t channels) {
    return 4 * (channels * (g->k_h * g->k_w + 1) + tl_grad_taps_high(g, rows) * tl_grad_taps_width(g));
}

// How many rows `bytes` hold, or 0
static inline int32_t tl_grad_taps_rows(const tl_window_t *g, int32_t bytes, int32_t channels) {
    int32_t rows = g->out_h;
    while (rows > 0 && tl_grad_taps_bytes(g, rows, channels) > bytes) {
        rows--;
    }
    return rows;
}

// As many output channels at once as there is room for, at least 8; of a dense layer, the inputs, and sums of sixteen.
static inline int32_t tl_grad_weight_scratch(const tl_window_t *g, int32_t width, bool depthwise, int32_t count) {
    (void)width;
    if (depthwise) {
        return tl_grad_taps_bytes(g, tl_most(1, tl_grad_taps_rows(g, TL_GRAD_ROOM, 4)), 4);
    }
    if (tl_grad_is_dense(g)) {
        return 4 * (count + (count + 15) / 16);
    }
    const int32_t row = tl_grad_weight_row(g, count), panel = tl_grad_weight_panel(g, count);
    return panel + row * tl_least(g->out_c, tl_most(tl_quotient(TL_GRAD_ROOM - panel, row), 8));
}

#endif
