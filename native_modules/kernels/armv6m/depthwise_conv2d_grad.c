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

// ---- dw: four channels of some rows of x, with the zero point around them (taps.S) ----------------------------------

enum {
    LANES = 4,  // bytes from pixel to pixel
    MORE = 128, // x lies there without a sign, so much larger
};

typedef struct {
    const tl_weights_t *of;
    int32_t first, n; // of the output channels
    int32_t oy, rows; // of the outputs that are worked on
    uint8_t *x;       // padded
    int32_t *sums, *totals;
} weight_t;

static int32_t x_channel(const weight_t *c, int32_t lane) {
    const tl_window_t *g = c->of->g;
    const int32_t o = tl_channel_at(c->of->out, c->first + lane);
    return g->out_c == g->in_c ? o : tl_quotient(o, tl_quotient(g->out_c, g->in_c));
}

ALONE void copy_fours(uint8_t *to, const int8_t *from, int32_t n, int32_t step) {
    for (const uint8_t *end = to + LANES * n; to != end; to += LANES, from += step) {
        *(uint32_t *)(void *)to = *(const uint32_t *)(const void *)from ^ MORE * 0x01010101u;
    }
}

ALONE void copy_bytes(uint8_t *to, const int8_t *from, int32_t n, int32_t step) {
    for (const uint8_t *end = to + LANES * n; to != end; to += LANES, from += step) {
        *to = (uint8_t)(*from + MORE);
    }
}

// What `high` rows of the image from `top` on have of these channels. Neighbours on a multiple of 4 go together.
ALONE void copy_x(const weight_t *c, int32_t top, int32_t high) {
    const tl_window_t *g = c->of->g;
    const int32_t width = tl_grad_taps_width(g), inside = tl_least(g->in_w, width - g->pad_left);
    const int32_t row = g->in_w * g->in_c, begin = tl_most(0, -top), end = tl_least(high, g->in_h - top);
    tl_fill((int32_t *)(void *)c->x, width * high, (int32_t)((uint32_t)(g->x_zero + MORE) * 0x01010101u));
    for (int32_t lane = 0, step = 1; lane < c->n && inside > 0; lane += step) {
        const int32_t i = x_channel(c, lane);
        const int8_t *from = c->of->x + i + (top + begin) * row;
        uint8_t *to = c->x + LANES * (begin * width + g->pad_left) + lane;
        if (lane + LANES == c->n && g->out_c == g->in_c && !c->of->out->list &&
            (((int32_t)(uintptr_t)from | g->in_c) & 3) == 0) {
            step = LANES;
        }
        for (int32_t y = begin; y < end; y++, from += row, to += LANES * width) {
            (step > 1 ? copy_fours : copy_bytes)(to, from, inside, g->in_c);
        }
    }
}

// What some taps have of each channel, up to three from `tap` on
ALONE void add_taps(const weight_t *c, int32_t tap, const uint8_t *x, tl_m0_taps_t *d) {
    const tl_window_t *g = c->of->g;
    const char *dy = (const char *)c->of->dy->at + ((c->oy * g->out_w * g->out_c) << d->wide);
    int32_t *sums = c->sums + tap;
    for (int32_t lane = 0; lane < c->n; lane += d->lanes, sums += d->next_sums / 4) {
        d->totals = tap ? NULL : c->totals + lane;
        tl_m0_taps(x + lane, dy + (tl_channel_at(c->of->out, c->first + lane) << d->wide), d, sums);
    }
}

ALONE void add_rows(const weight_t *c) {
    const tl_window_t *g = c->of->g;
    const int32_t width = LANES * tl_grad_taps_width(g), taps = g->k_h * g->k_w, wide = tl_is_wide(c->of->dy->width);
    tl_m0_taps_t d;
    d.lanes = c->of->out->list ? 1 : c->n;
    d.next = LANES * g->stride_w;
    d.apart = g->out_c << wide;
    d.next_sums = 4 * taps;
    d.wide = wide;
    d.skip = g->stride_h * width - g->out_w * d.next;
    d.columns = g->out_w * d.apart;
    d.all = c->rows * d.columns;
    int32_t at[3], column = 0, begin = 0;
    for (int32_t tap = 0, n; tap < taps; tap += n) {
        n = tl_least(3, taps - tap);
        at[1] = at[2] = 0;
        for (int32_t i = 0; i < n; i++) {
            at[i] = begin + LANES * column * g->dilation_w;
            if (++column == g->k_w) {
                column = 0;
                begin += g->dilation_h * width;
            }
        }
        d.second = n > 1 ? at[1] - at[0] : 0;
        d.third = n > 2 ? at[2] - at[0] : 0;
        d.odd = (g->out_w & 1) + ((d.next == LANES && d.second == LANES && d.third == 2 * LANES) << 1);
        d.taps = n;
        add_taps(c, tap, c->x + at[0], &d);
    }
}

int32_t tl_m0_depthwise_grad_weight(
    const tl_weights_t *of, int32_t first, int32_t *scratch, int32_t bytes, int32_t *row) {
    const tl_window_t *g = of->g;
    const int32_t taps = g->k_h * g->k_w;
    const int32_t rows = tl_grad_taps_rows(g, bytes, 1); // rather all of one channel than few of four
    if (rows == 0) {
        return 0;
    }
    const int32_t room = (bytes >> 2) - tl_grad_taps_high(g, rows) * tl_grad_taps_width(g);
    weight_t c;
    c.of = of;
    c.first = first;
    c.oy = 0;
    c.sums = scratch;
    c.n = tl_least(LANES, of->out->count - first);
    while (c.n * (taps + 1) > room) { // by one, which there is room for
        c.n--;
    }
    c.totals = scratch + c.n * taps;
    c.x = (uint8_t *)(c.totals + c.n);
    tl_clear(scratch, c.n * (taps + 1));
    for (int32_t top = -g->pad_top; c.oy < g->out_h; c.oy += rows, top += rows * g->stride_h) {
        c.rows = tl_least(rows, g->out_h - c.oy);
        copy_x(&c, top, tl_grad_taps_high(g, c.rows));
        add_rows(&c);
    }
    *row = taps;
    return c.n;
}
#endif
