// Back through convolutions; a dense layer is one of a single pixel.
//     dx[i] = sum over the windows p that cover it, their taps t and channels o of G[p, o] * w[o, t, i]
//     dw[o, t, i] = sum_p G[p, o] * (x[p + t, i] - x zero)
// Depthwise: output channel o has only input channel o / multiplier.

#include "elements.h"
#include "gradient.h"
#include "window.h"

void tl_grad_input(const tl_back_t *back, tl_scatter_t *scatter, tl_rows_t *dx, int32_t *row, int32_t exponent) {
    const tl_window_t *g = back->g;
    const int32_t n = g->in_w * g->in_c;
    for (int32_t y = 0; y < g->in_h; y++) {
        tl_clear(row, n);
        for (int32_t tap = 0, top = y + g->pad_top; tap < g->k_h && top >= 0; tap++, top -= g->dilation_h) {
            const int32_t oy = (int32_t)((uint32_t)top / (uint32_t)g->stride_h);
            if (oy < g->out_h && oy * g->stride_h == top) {
                scatter(back, y, oy, tap, row);
            }
        }
        tl_rows_put(dx, y * n, row, n, exponent);
    }
}

void tl_conv2d_scatter(const tl_back_t *back, int32_t y, int32_t oy, int32_t tap, int32_t *row) {
    (void)y;
    const tl_window_t *g = back->g;
    const int32_t in_c = g->in_c, kernel = g->k_h * g->k_w * in_c;
    int32_t from = oy * g->out_w * g->out_c;
    for (int32_t left = -g->pad_left, ox = 0; ox < g->out_w; ox++, left += g->stride_w) {
        const tl_taps_t taps = tl_taps(left, g->in_w, g->k_w, g->dilation_w);
        const int8_t *w = back->w + (tap * g->k_w + taps.first) * in_c;
        for (int32_t o = 0; o < g->out_c; o++, w += kernel) {
            const int32_t v = tl_grad_get(back->dy, from++);
            if (v == 0) {
                continue;
            }
            const int8_t *weight = w;
            int32_t *at = row + taps.start * in_c;
            for (int32_t t = taps.first; t < taps.last; t++, at += g->dilation_w * in_c) {
                for (int32_t i = 0; i < in_c; i++) {
                    at[i] += v * *weight++;
                }
            }
        }
    }
}

// One tap of one window, all channels: at[i] += G[o] * w[o]
static inline void add_channels(
    const tl_window_t *g, const void *dy, int32_t width, int32_t from, const int8_t *w, int32_t *at) {
    const int32_t multiplier = (int32_t)((uint32_t)g->out_c / (uint32_t)g->in_c);
    for (int32_t i = 0; i < g->in_c; i++) {
        for (int32_t m = 0; m < multiplier; m++) {
            at[i] += tl_grad_value(dy, width, from++) * *w++;
        }
    }
}

void tl_depthwise_conv2d_scatter(const tl_back_t *back, int32_t y, int32_t oy, int32_t tap, int32_t *row) {
    (void)y;
    const tl_window_t *g = back->g;
    const tl_grad_t *dy = back->dy;
    int32_t from = oy * g->out_w * g->out_c;
    for (int32_t left = -g->pad_left, ox = 0; ox < g->out_w; ox++, left += g->stride_w, from += g->out_c) {
        const tl_taps_t taps = tl_taps(left, g->in_w, g->k_w, g->dilation_w);
        const int8_t *w = back->w + (tap * g->k_w + taps.first) * g->out_c;
        int32_t *at = row + taps.start * g->in_c;
        for (int32_t t = taps.first; t < taps.last; t++, at += g->dilation_w * g->in_c, w += g->out_c) {
#ifdef __ARM_ARCH_6M__ // where fast kernels have the speed, and code is RAM
            add_channels(g, dy->at, dy->width, from, w, at);
#else
            if (!tl_is_wide(dy->width)) {
                add_channels(g, dy->at, 8, from, w, at);
            } else {
                add_channels(g, dy->at, 16, from, w, at);
            }
#endif
        }
    }
}

// One tap: sum[i] += v * (x[channel i] - zero)
static inline void add_tap(const tl_channels_t *in, const int8_t *x, int32_t v, int32_t zero, int32_t *sum) {
#ifndef __ARM_ARCH_6M__ // where fast kernels have the speed, and code is RAM
    if (!in->list) {
        x += in->first;
        for (int32_t i = 0; i < in->count; i++) {
            sum[i] += v * (x[i] - zero);
        }
        return;
    }
#endif
    for (int32_t i = 0; i < in->count; i++) {
        sum[i] += v * (x[tl_channel_at(in, i)] - zero);
    }
}

void tl_grad_weight(
    const tl_window_t *g, const tl_grad_t *dy, const int8_t *x, int32_t o, const tl_channels_t *in, int32_t *sum) {
    tl_clear(sum, g->k_h * g->k_w * in->count);
    const int32_t next_row = g->dilation_h * g->in_w * g->in_c, next = g->dilation_w * g->in_c;
    for (int32_t oy = 0, top = -g->pad_top; oy < g->out_h; oy++, top += g->stride_h) {
        const tl_taps_t rows = tl_taps(top, g->in_h, g->k_h, g->dilation_h);
        for (int32_t ox = 0, left = -g->pad_left; ox < g->out_w; ox++, left += g->stride_w, o += g->out_c) {
            const int32_t v = tl_grad_get(dy, o);
            if (v == 0) {
                continue;
            }
            const tl_taps_t columns = tl_taps(left, g->in_w, g->k_w, g->dilation_w);
            const int8_t *row = x + (rows.start * g->in_w + columns.start) * g->in_c;
            for (int32_t i = rows.first; i < rows.last; i++, row += next_row) {
                const int8_t *at = row;
                for (int32_t j = columns.first; j < columns.last; j++, at += next) {
                    add_tap(in, at, v, g->x_zero, sum + (i * g->k_w + j) * in->count);
                }
            }
        }
    }
}
