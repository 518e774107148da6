// Depthwise convolutions. 3x3 with stride 1 slides down the columns of the image as it lies. All others: on the
// Cortex-M0+ a list of taps, else a ring of rows of one channel, padded, each word of it a pixel and the one that the
// next tap meets.

#include "fast.h"
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

ALONE void slide(const channel_t *c) {
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

// ---- Any window -----------------------------------------------------------------------------------------------------

#ifdef __ARM_ARCH_6M__
enum { MAX_TAPS = 25 };

// The taps of the columns that lie inside, row by row
ALONE int32_t list_taps(const channel_t *c, const tl_taps_t *columns, tl_tap_t *to) {
    const tl_window_t *g = c->g;
    const int8_t *w = c->w;
    int32_t row = 0;
    for (int32_t i = 0; i < g->k_h; i++, row += g->dilation_h * g->in_w * g->in_c) {
        for (int32_t j = 0, at = row; j < g->k_w; j++, w += g->out_c) {
            if (j >= columns->first && j < columns->last) {
                *to++ = (tl_tap_t){at, *w};
                at += g->dilation_w * g->in_c;
            }
        }
    }
    return columns->last - columns->first;
}

// Those of the rows that lie inside, `each` to a row
ALONE void choose_rows(const channel_t *c, const tl_tap_t *list, const tl_taps_t *rows, int32_t each, tl_taps_of_t *d) {
    const tl_tap_t *tap = list + rows->first * each;
    int32_t sum = 0, left = (rows->last - rows->first) * each;
    d->begin = tap;
    d->end = tap + left;
    while (tap < d->end) {
        sum += tap++->w;
    }
    while (left > 0) {
        left -= 3;
    }
    d->skip = -14 * left;
    d->start = c->bias - c->g->x_zero * sum + tl_lift(c->shift);
}

// Which taps of a window at `start` lie inside, without a search where all do
ALONE tl_taps_t inside(int32_t start, int32_t in, int32_t k, int32_t dilation) {
    if (start >= 0 && start + (k - 1) * dilation < in) {
        return (tl_taps_t){0, k, start, true};
    }
    return tl_taps(start, in, k, dilation);
}

// Outputs that see the same columns, row by row; the next ones are those of other columns.
ALONE void any_window(const channel_t *c, tl_tap_t *list) {
    const tl_window_t *g = c->g;
    const int32_t down = g->stride_h * g->in_w * g->in_c;
    tl_taps_of_t d;
    tl_requant(&d.requant, (uint32_t)c->mult, c->shift, g->y_zero);
    for (int32_t ox = 0, left = -g->pad_left, n; ox < g->out_w; ox += n) {
        const tl_taps_t columns = inside(left, g->in_w, g->k_w, g->dilation_w);
        const int8_t *x = c->x + (columns.start - g->pad_top * g->in_w) * g->in_c;
        int8_t *y = c->y + ox * g->out_c;
        n = 0;
        do {
            n++;
            left += g->stride_w;
        } while (columns.all && ox + n < g->out_w && left + (g->k_w - 1) * g->dilation_w < g->in_w);
        const int32_t each = list_taps(c, &columns, list);
        int32_t first = -1, last = -1;
        d.x_step = n == 1 ? down : g->stride_w * g->in_c;
        d.y_step = n == 1 ? g->out_w * g->out_c : g->out_c;
        for (int32_t oy = 0, m, top = -g->pad_top; oy < g->out_h; oy += m) {
            const tl_taps_t rows = inside(top, g->in_h, g->k_h, g->dilation_h);
            if (rows.first != first || rows.last != last) {
                choose_rows(c, list, &rows, each, &d);
                first = rows.first;
                last = rows.last;
            }
            m = 0;
            do { // a single column goes down the rows that see all
                m++;
                top += g->stride_h;
            } while (n == 1 && rows.all && oy + m < g->out_h && top + (g->k_h - 1) * g->dilation_h < g->in_h);
            tl_tapped(x, y, (uint32_t)(n * m), &d);
            x += m * down;
            y += m * g->out_w * g->out_c;
        }
    }
}
#else
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

ALONE void ring(const channel_t *c, uint32_t *scratch, bool small) {
    const tl_window_t *g = c->g;
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
#endif

bool tl_fast_depthwise_conv2d(const tl_window_t *g, const int8_t *x, const int8_t *w, const int32_t *b,
    const int32_t *mult, const int8_t *shift, int8_t *y, const tl_work_t *work) {
    bool small = work->variant == TL_FAST_SMALL, slides = small && tl_depthwise_slides(g);
#ifdef __ARM_ARCH_6M__
    // As good as all are small: no sum of 32 taps leaves what they may reach.
    tl_tap_t few[MAX_TAPS], *list = g->k_h * g->k_w <= MAX_TAPS ? few : work->at;
    const bool fits = list == few || work->bytes >= (uint32_t)(g->k_h * g->k_w) * sizeof(tl_tap_t);
    const bool dilated = g->dilation_h > 1 || g->dilation_w > 1; // may fall between the pixels, and see none
    if (!slides && (dilated || !fits || !small)) {
        return false;
    }
#else
    if (!slides && work->bytes < tl_depthwise_scratch(g)) {
        return false;
    }
#endif
    const int32_t multiplier = g->out_c == g->in_c ? 1 : (int32_t)((uint32_t)g->out_c / (uint32_t)g->in_c);
    for (int32_t o = 0, next = multiplier; o < g->out_c; o++) {
        if (o == next) {
            x++;
            next += multiplier;
        }
        channel_t c = {g, x, w + o, b ? b[o] : 0, mult[o], shift[o], y + o};
        if (slides) {
            slide(&c);
        } else {
#ifdef __ARM_ARCH_6M__
            any_window(&c, list);
#else
            ring(&c, work->at, small);
#endif
        }
    }
    tl_fast_clamp(g, y);
    return true;
}
