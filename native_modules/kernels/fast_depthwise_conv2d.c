// Depthwise convolutions. 3x3 with stride 1 slides down the columns of the image as it lies, 1x3 along its rows. All
// others go four channels at a time; where there are fewer: a ring of rows of one channel, padded, each word of it a
// pixel and the one that the next tap meets. The Cortex-M0+ has armv6m/'s.

#include "fast.h"

#ifndef __ARM_ARCH_6M__
#include "micro.h"
#include "window.h"
#include "work.h"

// A function of its own has all registers for itself.
#define ALONE static __attribute__((noinline))

// One output channel
typedef struct {
    const tl_window_t *g;
    const int8_t *x, *w;
    int32_t bias, mult, shift;
    int8_t *y;
} channel_t;

typedef struct {
    const tl_window_t *g;
    tl_layer_t of;
} layer_t;

typedef void one_channel_t(const channel_t *c, const void *how);

ALONE void each_channel(const layer_t *l, one_channel_t *f, const void *how) {
    const tl_window_t *g = l->g;
    const tl_layer_t *of = &l->of;
    const int8_t *x = of->x;
    for (int32_t o = 0, part = 0; o < g->out_c; o++) {
        const channel_t c = {g, x, of->w + o, of->b ? of->b[o] : 0, of->mult[o], of->shift[o], of->y + o};
        f(&c, how);
        part += g->in_c; // of the output channels that read the same x
        if (part == g->out_c) {
            x++;
            part = 0;
        }
    }
}

// ---- 3x3 ------------------------------------------------------------------------------------------------------------

enum { ROW = 5 }; // a row of the kernel, a 0 on either side

// Output columns from `out`, whose three pixels begin at column `left` of the image, and meet three neighbours of each
// row of the kernel: at the edges the window is moved inside, and the weights within it, so that those beyond the edge
// fall out.
ALONE void slide_columns(
    const channel_t *c, tl_slide_t *d, const int32_t *w, int32_t left, int32_t out, int32_t columns) {
    const tl_window_t *g = c->g;
    const int32_t row = g->in_w * g->in_c, zero = g->x_zero;
    const int32_t top = w[0] + w[1] + w[2], bottom = w[2 * ROW] + w[2 * ROW + 1] + w[2 * ROW + 2];
    d->w[0] = tl_weights(w[0], w[1]);
    d->w02 = w[2];
    d->w[2] = tl_weights(w[2 * ROW], w[2 * ROW + 1]);
    d->w22 = w[2 * ROW + 2];
    w += ROW;
    d->w[1] = tl_weights(w[0], w[1]);
    d->w12 = w[2];
    d->columns = columns;
    d->bottom = zero * bottom;
    d->start_top = c->bias - zero * (w[0] + w[1] + w[2]) - d->bottom + tl_lift(c->shift);
    d->start = d->start_top - zero * top;
    const int8_t *x = c->x + left * g->in_c;
    d->out = (ptrdiff_t)((uintptr_t)(c->y + out * g->in_c) - (uintptr_t)x) - (3 - g->pad_top) * row;
    d->out_last = d->out + row;
    tl_slide(x, d);
}

ALONE void slide(const channel_t *c, const void *how) {
    (void)how;
    const tl_window_t *g = c->g;
    const int32_t row = g->in_w * g->in_c;
    const int8_t *w = c->w;
    int32_t kernel[3 * ROW];
    for (int32_t *to = kernel; to < kernel + 3 * ROW; to += ROW) {
        to[0] = to[ROW - 1] = 0;
        for (int32_t i = 1; i < ROW - 1; i++, w += g->in_c) {
            to[i] = *w;
        }
    }
    tl_slide_t d; // one by one: to clear it first takes longer than to fill it
    d.height = g->in_h * row;
    d.next = g->in_c - d.height;
    d.warm = 2 - g->pad_top;
    d.pad_bottom = g->out_h + 2 - g->pad_top - g->in_h;
    d.step = row - g->in_c;
    d.channels = g->in_c;
    tl_requant(&d.requant, (uint32_t)c->mult, c->shift, g->y_zero);
    slide_columns(c, &d, kernel + 2, 0, 0, 1);
    slide_columns(c, &d, kernel + 1, 0, 1, g->in_w - 2);
    slide_columns(c, &d, kernel, g->in_w - 3, g->in_w - 1, 1);
}

// ---- 1x3 ------------------------------------------------------------------------------------------------------------

static bool is_line(const tl_window_t *g) {
    const int32_t right = g->out_w + 2 - g->pad_left - g->in_w; // pixels of padding
    return g->k_h == 1 && g->k_w == 3 && g->out_c == g->in_c && g->in_h == g->out_h && g->pad_top == 0 &&
           g->stride_w == 1 && g->dilation_w == 1 && g->pad_left <= 1 && g->in_w >= 2 && right >= 0 && right <= 1;
}

ALONE void line(const channel_t *c, const void *how) {
    (void)how;
    const tl_window_t *g = c->g;
    const int32_t w0 = c->w[0], w1 = c->w[g->in_c], w2 = c->w[2 * g->in_c], row = g->in_w * g->in_c;
    tl_line_t d = {.w = {w0, w1, w2},
        .start = c->bias + tl_lift(c->shift) - g->x_zero * (w0 + w1 + w2),
        .zero = g->x_zero,
        .n = g->in_w,
        .step = g->in_c,
        .left = g->pad_left,
        .right = g->out_w + 2 - g->pad_left > g->in_w};
    tl_requant(&d.requant, (uint32_t)c->mult, c->shift, g->y_zero);
    const int8_t *x = c->x;
    int8_t *y = c->y;
    for (int32_t rows = g->in_h; rows > 0; rows--, x += row, y += g->out_w * g->in_c) {
        tl_line(x, y, &d);
    }
}

// ---- One channel ----------------------------------------------------------------------------------------------------

// n words: a pixel and the one `other` bytes on
ALONE uint32_t *fill_pairs(uint32_t *row, const int8_t *x, int32_t n, int32_t step, int32_t other) {
    for (; n > 0; n--, x += step) {
        *row++ = tl_pair(x[0], x[other]);
    }
    return row;
}

// A padded row of the channel: word i holds pixel i and the one that the window's next tap meets.
ALONE void fill_row(const channel_t *c, int32_t y, uint32_t *row, int32_t width) {
    const tl_window_t *g = c->g;
    const int32_t step = g->in_c, other = g->dilation_w, in_w = (uint32_t)y < (uint32_t)g->in_h ? g->in_w : 0;
    const int8_t *x = c->x + (y * g->in_w - g->pad_left) * step;
    for (int32_t i = -g->pad_left, end = width + i; i < end; i++, x += step) {
        int32_t inner = (end < in_w ? end : in_w) - other;
        if (i == 0 && inner > 0) {
            row = fill_pairs(row, x, inner, step, other * step);
            x += inner * step;
            i = inner;
        }
        int32_t one = (uint32_t)i < (uint32_t)in_w ? x[0] : g->x_zero;
        int32_t two = (uint32_t)(i + other) < (uint32_t)in_w ? x[other * step] : g->x_zero;
        *row++ = tl_pair(one, two);
    }
}

ALONE void ring(const channel_t *c, const void *how) {
    const tl_window_t *g = c->g;
    const tl_work_t *work = how;
    const bool small = work->variant == TL_FAST_SMALL;
    uint32_t *scratch = work->at;
    const int32_t height = (g->k_h - 1) * g->dilation_h + 1;
    const int32_t width = (g->out_w - 1) * g->stride_w + (g->k_w - 1) * g->dilation_w + 1;
    int32_t *sums = (int32_t *)scratch;
    uint32_t *w = scratch + g->out_w, *rows = w;
    int32_t start = c->bias + (small ? tl_lift(c->shift) : 0);
    for (int32_t i = 0, tap = 0; i < g->k_h; i++) {
        for (int32_t j = 0; j < g->k_w; j += 2) {
            int32_t one = c->w[tap++ * g->out_c], two = j + 1 < g->k_w ? c->w[tap++ * g->out_c] : 0;
            start -= g->x_zero * (one + two);
            *rows++ = tl_weights(one, two);
        }
    }
    tl_ring_t d = {.w = w,
        .w_end = rows,
        .start = start,
        .pairs = (uint32_t)(g->k_w + 1) / 2,
        .right = 8 * (uint32_t)g->dilation_w,
        .down = 4 * (uint32_t)(g->dilation_h * width),
        .end = rows + height * width,
        .around = 4 * (uint32_t)(height * width),
        .stride = 4 * (uint32_t)g->stride_w,
        .y_step = small ? (uint32_t)g->out_c : 4,
        .raw = !small};
    if (small) {
        tl_requant(&d.requant, (uint32_t)c->mult, c->shift, g->y_zero);
    }
    int8_t *y = c->y;
    uint32_t *to = rows;
    const uint32_t *at = rows;
    for (int32_t oy = 0, top = -g->pad_top, next = top; oy < g->out_h; oy++, top += g->stride_h) {
        next = next < top ? top : next; // skipped by the stride
        for (; next < top + height; next++) {
            fill_row(c, next, to, width);
            to += width;
            to = to == d.end ? rows : to;
        }
        tl_ring(at, small ? (void *)y : sums, (uint32_t)g->out_w, &d);
        for (int32_t ox = 0; ox < g->out_w; ox++, y += g->out_c) {
            if (!small) {
                *y = tl_clamp(tl_requantize(sums[ox], c->mult, c->shift), g->y_zero, -128, 127);
            }
        }
        at += (g->stride_h < height ? g->stride_h : height) * width;
        at -= at >= d.end ? height * width : 0;
    }
}

// ---- Four channels --------------------------------------------------------------------------------------------------

enum { FOUR = 4, MAX_REGIONS = 9 };

// A window along one side of the image
typedef struct {
    int32_t in, out, k, stride, dilation, pad;
} axis_t;

// The taps of output `at`, and how many outputs from there on see the same: those whose windows lie inside, or one.
ALONE int32_t alike(const axis_t *a, int32_t at, tl_taps_t *taps) {
    const int32_t start = at * a->stride - a->pad;
    *taps = tl_taps(start, a->in, a->k, a->dilation);
    const int32_t n = taps->all ? (a->in - 1 - (a->k - 1) * a->dilation - start) / a->stride + 1 : 1;
    return n < a->out - at ? n : a->out - at;
}

// Fours of channels that read as many of x, or one: the last four overlap those before.
ALONE void fours(const layer_t *l, tl_quad_t *d, const tl_region_t *regions, const tl_region_t *end) {
    const tl_window_t *g = l->g;
    const tl_layer_t *of = &l->of;
    const int32_t group = d->shared ? g->out_c / g->in_c : g->out_c;
    for (int32_t first = 0, i = 0; first < g->out_c; first += group, i++) {
        for (int32_t next = first, o; next < first + group; next += FOUR) {
            o = next < first + group - FOUR ? next : first + group - FOUR;
            d->of = (tl_layer_t){of->x + (d->shared ? i : o), of->w + o, of->y + o, NULL, of->mult + o, of->shift + o};
            for (int32_t j = 0; j < FOUR; j++, o++) {
                d->start[j] = (of->b ? of->b[o] : 0) + (d->small ? tl_lift(of->shift[o]) : 0);
                tl_requant(d->requant + j, (uint32_t)of->mult[o], of->shift[o], g->y_zero);
            }
            for (const tl_region_t *r = regions; r < end; r++) {
                tl_quad(d, r);
            }
        }
    }
}

ALONE void any_window(const layer_t *l, bool small) {
    const tl_window_t *g = l->g;
    const int32_t row = g->in_w * g->in_c;
    tl_quad_t d = {.x_zero = g->x_zero,
        .y_zero = g->y_zero,
        .x_tap = g->dilation_w * g->in_c,
        .w_tap = g->out_c,
        .small = small,
        .shared = g->in_c < g->out_c};
    const axis_t across = {g->in_w, g->out_w, g->k_w, g->stride_w, g->dilation_w, g->pad_left};
    const axis_t down = {g->in_h, g->out_h, g->k_h, g->stride_h, g->dilation_h, g->pad_top};
    tl_region_t regions[MAX_REGIONS], *r = regions;
    tl_taps_t columns, rows;
    for (int32_t ox = 0, n; ox < g->out_w; ox += n) {
        n = alike(&across, ox, &columns);
        for (int32_t oy = 0, m; oy < g->out_h; oy += m) {
            m = alike(&down, oy, &rows);
            const int32_t taps = columns.last - columns.first;
            *r++ = (tl_region_t){.rows = rows.last - rows.first,
                .x_row = taps * d.x_tap,
                .w_gap = (g->k_w - taps) * g->out_c,
                .x_gap = g->dilation_h * row - taps * d.x_tap,
                .w = (rows.first * g->k_w + columns.first) * g->out_c,
                .x = rows.start * row + columns.start * g->in_c,
                .y = (oy * g->out_w + ox) * g->out_c,
                .run = {n, g->stride_w * g->in_c, g->out_c},
                .runs = {m, g->stride_h * row, g->out_w * g->out_c}};
            if (r == regions + MAX_REGIONS || (ox + n == g->out_w && oy + m == g->out_h)) {
                fours(l, &d, regions, r);
                r = regions;
            }
        }
    }
}

bool tl_fast_depthwise_conv2d(const tl_window_t *g, const tl_layer_t *of, const tl_work_t *work) {
    const bool small = work->variant == TL_FAST_SMALL;
    const int32_t multiplier = g->out_c / g->in_c;
    const layer_t l = {g, *of};
    if (small && tl_depthwise_slides(g)) {
        each_channel(&l, slide, NULL);
    } else if (small && is_line(g)) {
        each_channel(&l, line, NULL);
    } else if (multiplier >= FOUR || (multiplier == 1 && g->in_c >= FOUR)) {
        any_window(&l, small);
    } else if (work->bytes >= tl_depthwise_scratch(g)) {
        each_channel(&l, ring, work);
    } else {
        return false;
    }
    tl_fast_clamp(g, of->y);
    return true;
}
#endif
