// Back through depthwise convolutions on the Cortex-M0+, three taps of the window at once.

#include "gradient.h"
#include "work.h"

#ifdef __ARM_ARCH_6M__
#include "armv6m/m0_grad.h"
#include "elements.h"

// A function of its own has all registers for itself.
#define ALONE static __attribute__((noinline))

// ---- dx: what each gradient of a row adds to the sums of a row of dx, which has margins (spread.S)
// -------------------

// Through row `tap_row` of the window, from the output row oy
ALONE void add_row(const tl_back_t *back, int32_t multiplier, int32_t tap_row, int32_t oy, int32_t *row) {
    const tl_window_t *g = back->g;
    const int32_t bytes = tl_is_wide(back->dy->width) ? 2 : 1, apart = 4 * g->dilation_w * g->in_c;
    const char *dy = (const char *)back->dy->at + oy * g->out_w * g->out_c * bytes;
    for (int32_t m = 0; m < multiplier; m++) {
        for (int32_t tap = 0; tap < g->k_w; tap += 3) {
            tl_m0_spread_t d = {.channels = g->in_c,
                .taps = tl_least(3, g->k_w - tap),
                .weight = g->out_c,
                .sum = 4 * g->stride_w * g->in_c,
                .step = g->out_c * bytes,
                .columns = g->out_w * g->out_c * bytes,
                .wide = bytes - 1,
                .channel = multiplier * bytes,
                .w_channel = multiplier};
            d.second = d.taps > 1 ? apart : 0;
            d.third = d.taps > 2 ? 2 * apart : 0;
            const int8_t *w = back->w + (tap_row * g->k_w + tap) * g->out_c + m;
            tl_m0_spread(dy + m * bytes, row + tap * apart / 4, w, &d);
        }
    }
}

static bool slides(const tl_back_t *back) {
    const tl_window_t *g = back->g;
    return !tl_is_wide(back->dy->width) && g->k_h == 3 && g->k_w == 3 && g->stride_h == g->stride_w &&
           g->stride_h <= 2 && g->dilation_h * g->dilation_w == 1 && g->out_c == g->in_c && g->out_h + g->stride_h >= 4;
}

// The kernel for the output rows from `first` on, for a row of dx that is row `at` of the padded image. A row beyond
// has 0. With stride 2 there are two output rows.
ALONE void pack_kernel(const tl_window_t *g, const int8_t *w, int32_t at, int32_t first, uint32_t *to) {
    const int32_t half = g->stride_h - 1;
    for (int32_t c = g->in_c; c > 0; c--, w++, to += TL_M0_SLIDE_WORDS) {
        for (int32_t column = 0; column < 3; column++) {
            int32_t v[3];
            for (int32_t i = 0; i < 3; i++) {
                const int32_t tap_row = at - ((first + i) << half);
                v[i] = tap_row >= 0 && tap_row < 3 ? w[(3 * tap_row + column) * g->in_c] : 0;
            }
            to[column] = (uint32_t)v[1] + ((uint32_t)v[0] << 16);
            if (!half) {
                to[column + 3] = (uint32_t)v[2];
            }
        }
    }
}

// kernel: of stride 2 there are two, for every other row
ALONE void slide_row(const tl_back_t *back, int32_t y, int32_t *row, uint32_t *kernel) {
    const tl_window_t *g = back->g;
    const int32_t bytes = g->out_w * g->out_c, half = g->stride_h - 1, at = y + g->pad_top;
    const int32_t from = (at >> half) - 2 + half, first = tl_most(0, tl_least(from, g->out_h - 3 + half));
    const tl_m0_slide_grad_t d = {g->in_c, bytes, g->out_c - bytes, bytes, 4 * g->in_c};
    kernel += 3 * (at & half);
    if (y <= half || from <= 0 || from != first) {
        pack_kernel(g, back->w, at, first, kernel);
    }
    (half ? tl_m0_stride_grad : tl_m0_slide_grad)((const int8_t *)back->dy->at + first * bytes, row, kernel, &d);
}

bool tl_m0_depthwise_grad_input(
    const tl_back_t *back, tl_rows_t *dx, int32_t *scratch, int32_t bytes, int32_t exponent) {
    const tl_window_t *g = back->g;
    const int32_t n = g->in_w * g->in_c, row = tl_grad_input_row(g), multiplier = tl_quotient(g->out_c, g->in_c);
    const bool sliding = slides(back) && bytes >= row + 4 * TL_M0_SLIDE_WORDS * g->in_c;
    const bool margin = g->pad_left + g->in_w > (g->out_w - 1) * g->stride_w + 3; // that no window meets
    if (bytes < row) {
        return false;
    }
    for (int32_t y = 0; y < g->in_h; y++) {
        if (!sliding || margin) {
            tl_clear(scratch, row / 4);
        }
        if (sliding) {
            slide_row(back, y, scratch, (uint32_t *)scratch + row / 4);
        }
        for (int32_t tap = 0; tap < g->k_h && !sliding; tap++) {
            for (int32_t oy = 0, at = tap * g->dilation_h - g->pad_top; oy < g->out_h; oy++, at += g->stride_h) {
                if (at == y) {
                    add_row(back, multiplier, tap, oy, scratch);
                }
            }
        }
        tl_rows_put(dx, y * n, scratch + g->pad_left * g->in_c, n, exponent);
    }
    return true;
}

// ---- dw: one channel of some rows, as int32 without gaps (taps.S)
// ----------------------------------------------------

// The image's rows `top` .. top + rows, less the zero point, which is what lies around it.
ALONE void unpack_x(const tl_window_t *g, const int8_t *x, int32_t top, int32_t rows, int32_t *to) {
    const int32_t width = tl_grad_taps_width(g), inside = tl_least(g->in_w, width - g->pad_left);
    const tl_m0_pack_t pack = {4, g->in_c, TL_M0_BYTES, g->x_zero};
    tl_clear(to, width * rows);
    for (int32_t i = 0; i < rows && inside > 0; i++, top++, to += width) {
        if (top >= 0 && top < g->in_h) {
            tl_m0_pack((uint32_t *)to + g->pad_left, x + top * g->in_w * g->in_c, (uint32_t)inside, &pack);
        }
    }
}

// Adds to the sums of all taps what `rows` rows of outputs have for them.
ALONE void add_taps(const tl_window_t *g, const int32_t *x, const int32_t *gradients, int32_t rows, int32_t *sums) {
    const int32_t width = 4 * tl_grad_taps_width(g), taps = g->k_h * g->k_w;
    tl_m0_taps_t d = {.next = 4 * g->stride_w, .columns = 4 * g->out_w, .rows = rows};
    d.skip = g->stride_h * width - g->out_w * d.next;
    int32_t at[3], column = 0, begin = 0, some[3];
    for (int32_t tap = 0; tap < taps;) {
        const int32_t n = tl_least(3, taps - tap);
        for (int32_t i = 0; i < n; i++) {
            at[i] = begin + 4 * column * g->dilation_w;
            if (++column == g->k_w) {
                column = 0;
                begin += g->dilation_h * width;
            }
        }
        d.second = n > 1 ? at[1] - at[0] : 0;
        d.third = n > 2 ? at[2] - at[0] : 0;
        tl_m0_taps(x + at[0] / 4, gradients, &d, some);
        for (int32_t i = 0; i < n; i++) {
            sums[tap++] += some[i];
        }
    }
}

// Whether three taps in a row meet pairs of gradients
static bool pairs_up(const tl_window_t *g, const tl_grad_t *dy) {
    return !tl_is_wide(dy->width) && g->k_w == 3 && g->stride_w <= 2 && g->dilation_w == 1 && g->out_w <= 512;
}

// As unpack_x: each value with the one a stride on, the zero point left in, and around. With stride 2 the even words of
// a row are packed first, and then the odd ones.
ALONE void pair_x(const tl_window_t *g, const int8_t *x, int32_t top, int32_t rows, uint32_t *to) {
    const int32_t width = tl_grad_taps_width(g), inside = tl_least(g->in_w, width - g->pad_left), c = g->in_c;
    const int32_t first = tl_most(0, -top), end = tl_least(rows, g->in_h - top), half = g->stride_w - 1;
    tl_fill((int32_t *)to, width * rows, (int32_t)((uint32_t)g->x_zero + ((uint32_t)g->x_zero << 16)));
    to += first * width;
    x += (top + first) * g->in_w * c;
    for (int32_t phase = 0; phase <= half; phase++) {
        const int32_t outside = (g->pad_left - phase + half) >> half, before = outside > 0;
        const int32_t at = phase + (outside << half), from = at - g->pad_left, n = (inside - from + half) >> half;
        const tl_m0_pair_rows_t d = {.values = n,
            .step = c << half,
            .zero = g->x_zero,
            .to_row = 4 * width,
            .from_row = g->in_w * c,
            .rows = end - first,
            .before = before,
            .to_step = 4 << half};
        if (n > 0 && first < end) {
            tl_m0_pair_rows(to + at - (before << half), x + from * c, &d);
        }
    }
}

// Adds to the sums of all taps what `rows` rows of outputs have for them. Gives the sum of the gradients.
ALONE int32_t add_pairs(
    const tl_window_t *g, const tl_grad_t *dy, int32_t at, int32_t rows, const uint32_t *x, int32_t *sums) {
    const int32_t width = tl_grad_taps_width(g), words = (g->out_w + 1) >> 1;
    const bool together = !(g->out_w & 1) && rows * g->out_w <= 512;
    const int32_t parts = together ? 1 : rows, n = together ? rows * g->out_w : g->out_w;
    const tl_m0_pairs_t d = {4 * words, rows, 4 * g->stride_h * width - words * 8 * g->stride_w, 8 * g->stride_w};
    uint32_t *gradients = (uint32_t *)x - words * rows, *end = gradients;
    int32_t total = 0;
    for (int32_t i = 0; i < parts; i++, at += n * g->out_c) {
        end += together ? words * rows : words;
        total += tl_m0_pack_gradients(dy, at, g->out_c, n, end);
    }
    for (int32_t tap_row = 0; tap_row < g->k_h; tap_row++, x += g->dilation_h * width, sums += 3) {
        tl_m0_pair_taps(x, gradients, &d, sums);
    }
    return total;
}

bool tl_m0_depthwise_grad_weight(
    const tl_window_t *g, const tl_grad_t *dy, const int8_t *x, int32_t o, int32_t *scratch, int32_t bytes) {
    const int32_t taps = g->k_h * g->k_w, wide = tl_is_wide(dy->width);
    const bool pairs = pairs_up(g, dy);
    int32_t rows = tl_grad_taps_rows(g, bytes), *gradients = scratch + taps, total = 0;
    if (rows == 0) {
        return false;
    }
    tl_clear(scratch, taps);
    x += g->out_c == g->in_c ? o : tl_quotient(o, tl_quotient(g->out_c, g->in_c));
    for (int32_t oy = 0, top = -g->pad_top; oy < g->out_h; oy += rows, top += rows * g->stride_h) {
        rows = tl_least(rows, g->out_h - oy);
        const int32_t n = rows * g->out_w, high = (rows - 1) * g->stride_h + (g->k_h - 1) * g->dilation_h + 1;
        int32_t *image = gradients + n;
        if (pairs) {
            pair_x(g, x, top, high, (uint32_t *)image);
            total += add_pairs(g, dy, o, rows, (uint32_t *)image, scratch);
        } else {
            const tl_m0_pack_t pack = {4, g->out_c << wide, wide ? TL_M0_HALVES : TL_M0_BYTES, 0};
            const char *from = (const char *)dy->at + (o << wide);
            total += (int32_t)tl_m0_pack((uint32_t *)gradients, from, (uint32_t)n, &pack);
            unpack_x(g, x, top, high, image);
            add_taps(g, image, gradients, rows, scratch);
        }
        o += n * g->out_c;
    }
    for (int32_t i = 0; i < taps && pairs; i++) {
        scratch[i] -= g->x_zero * total;
    }
    scratch[taps] = total;
    return true;
}
#endif
