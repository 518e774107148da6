// Back through convolutions where there is a chain for it: on the Cortex-M0+, and with SMLAD.

#include "panel_grad.h"

#if TL_PANELS
#include "elements.h"
#include "fast_grad.h"
#include "window.h"
#include "work.h"

// A function of its own has all registers for itself.
#define ALONE static __attribute__((noinline))

static inline int32_t per_word(const tl_grad_t *g) {
    return !TL_HALVES && tl_is_wide(g->width) ? 1 : 2;
}

#if TL_HALVES
int32_t tl_pack_gradients(const tl_grad_t *g, int32_t at, int32_t step, int32_t n, uint32_t *end) {
    uint32_t *to = end - (n + 1) / 2;
    int32_t sum = 0;
    for (; n > 0; n -= 2, at += 2 * step) {
        const int32_t first = tl_grad_get(g, at), second = n > 1 ? tl_grad_get(g, at + step) : 0;
        sum += first + second;
        *to++ = tl_pair(first, second);
    }
    return sum;
}
#else
int32_t tl_pack_gradients(const tl_grad_t *g, int32_t at, int32_t step, int32_t n, uint32_t *end) {
    const bool pairs = per_word(g) == 2;
    const int32_t bytes = pairs ? 1 : 2, words = pairs ? n >> 1 : n;
    const tl_pack_t pack = {4, step * bytes, pairs ? TL_PACK_HIGH_PAIRS : TL_PACK_HALVES, 2 * step};
    const int8_t *from = (const int8_t *)g->at + at * bytes;
    int32_t sum = 0, last = 0;
    if (pairs && n & 1) {
        last = from[(n - 1) * step];
        *--end = (uint32_t)last << 16;
    }
    if (words) {
        sum = (int32_t)tl_pack(end - words, from, (uint32_t)words, &pack);
    }
    if (pairs) { // the sum of the seconds is an int16
        sum = (int16_t)sum + ((sum - (int16_t)sum) >> 16);
    }
    return sum + last;
}
#endif

// ---- dx -------------------------------------------------------------------------------------------------------------

// Sums of a few rows of dx, which have margins for windows that reach over the image's edges. In the weights, the
// columns of a panel are those that one row of the window's taps adds to neighbouring sums.
typedef struct {
    const tl_back_t *back;
    int32_t *sums;
    int32_t row;          // int32 of sums per row
    int32_t y, rows;      // those that are worked on
    int32_t run, columns; // taps and weights side by side: dilation sets taps apart
    uint32_t *panel;
    int32_t quads; // fours of columns in a panel
    bool kept;     // the panels of all weights fit
} input_t;

// A part of the weights: from an output channel, in a row and a tap of the window, from a column on
typedef struct {
    int32_t o, outputs, words;
    int32_t tap_row, tap, column, quads;
} part_t;

ALONE void pack_weights(const input_t *c, const part_t *part, uint32_t *to) {
    const tl_window_t *g = c->back->g;
    const int32_t kernel = g->k_h * g->k_w * g->in_c, pairs = per_word(c->back->dy) == 2;
    const tl_pack_t pack = {16, kernel, pairs ? TL_PACK_LOW_PAIRS : TL_PACK_BYTES, pairs ? 2 * kernel : 0};
    const int32_t words = pairs ? part->outputs >> 1 : part->outputs;
    const int8_t *w = c->back->w + part->o * kernel + (part->tap_row * g->k_w + part->tap) * g->in_c + part->column;
    int32_t left = c->columns - part->column;
    for (int32_t quad = part->quads; quad > 0; quad--, to += 4 * (part->words - 1)) {
        for (int32_t lane = 4; lane > 0; lane--, to++, w++, left--) {
            uint32_t *last = to + 4 * words;
            if (left <= 0) { // adds nothing to the sums behind the last
                for (uint32_t *at = to; at < to + 4 * part->words; at += 4) {
                    *at = 0;
                }
                continue;
            }
            if (words < part->words) {
                *last = (uint32_t)(int32_t)w[2 * words * kernel];
            }
            if (words) {
                tl_pack(to, w, (uint32_t)words, &pack);
            }
        }
    }
}

// What the output row oy adds to row y of dx through a part of the weights
ALONE void add_row(const input_t *c, const part_t *part, const uint32_t *panel, int32_t oy, int32_t y) {
    const tl_window_t *g = c->back->g;
    const tl_grad_t *dy = c->back->dy;
    const int32_t wide = tl_is_wide(dy->width), step = g->out_c << wide;
    const char *from = (const char *)dy->at + ((oy * g->out_w * g->out_c + part->o) << wide);
    tl_chain_t chain = {.sums = c->sums + (y - c->y) * c->row + part->tap * g->dilation_w * g->in_c + part->column,
        .bytes = 16 * part->quads,
        .single = TL_HALVES ? 0 : (uint32_t)wide,
        .how = wide ? TL_CHAIN_HALVES_ON : TL_CHAIN_BYTES_ON,
        .count = (uint32_t)g->out_w,
        .step = step,
        .apart = 1 << wide,
        .values = part->outputs};
    chain.sums_step = 4 * g->stride_w * g->in_c - chain.bytes;
    if (((int32_t)(uintptr_t)from | step | part->outputs) & 3) {
        chain.how = wide ? TL_CHAIN_HALVES_APART : TL_CHAIN_BYTES_APART;
    }
    tl_chain(from, (uint32_t)part->words, panel, &chain);
}

ALONE void add_part(const input_t *c, const part_t *part, const uint32_t *panel) {
    const tl_window_t *g = c->back->g;
    for (int32_t oy = 0, y = part->tap_row * g->dilation_h - g->pad_top; oy < g->out_h; oy++, y += g->stride_h) {
        if (y >= c->y && y < c->y + c->rows) {
            add_row(c, part, panel, oy, y);
        }
    }
}

// All parts of the weights, for the rows that are worked on
ALONE void add_parts(const input_t *c) {
    const tl_window_t *g = c->back->g;
    const int32_t per = per_word(c->back->dy), chunk = per * TL_GRAD_CHUNK, quads = (c->columns + 3) / 4;
    uint32_t *panel = c->panel;
    for (part_t part = {0}; part.tap_row < g->k_h; part.tap_row++) {
        for (part.tap = 0; part.tap < g->k_w; part.tap += c->run) {
            for (part.o = 0; part.o < g->out_c; part.o += chunk) {
                part.outputs = tl_least(chunk, g->out_c - part.o);
                part.words = (part.outputs + per - 1) >> (per - 1);
                for (int32_t quad = 0; quad < quads; quad += c->quads) {
                    part.column = 4 * quad;
                    part.quads = tl_least(c->quads, quads - quad);
                    if (!c->kept || c->y == 0) {
                        pack_weights(c, &part, panel);
                    }
                    add_part(c, &part, panel);
                    panel += c->kept ? 4 * part.words * part.quads : 0;
                }
            }
        }
    }
}

// Bytes of a part of the weights, if there are as many: what more there is becomes rows, for all weights are packed
// again for each few of them.
enum { PART = 2048 };

// Lays out the scratch; false where it is too small.
static bool lay_out(input_t *c, int32_t *scratch, int32_t bytes) {
    const tl_window_t *g = c->back->g;
    const int32_t width = c->back->dy->width, words = tl_grad_words(g->out_c, width), row = tl_grad_input_row(g);
    const int64_t all = 16 * (int64_t)g->k_h * tl_grad_input_quads(g) * words;
    c->kept = bytes - row >= all;
    c->rows = c->kept ? 1 : tl_most(1, tl_least(g->in_h, bytes < PART ? 0 : tl_quotient(bytes - PART, row)));
    c->run = g->dilation_w == 1 ? g->k_w : 1;
    c->columns = c->run * g->in_c;
    c->row = row / 4 - 3;
    c->sums = scratch;
    c->panel = (uint32_t *)scratch + c->rows * c->row + 3;
    c->quads = (c->columns + 3) / 4;
    if (!c->kept) {
        const int32_t room = bytes - 4 * (c->rows * c->row + 3);
        c->quads = tl_least(c->quads, tl_quotient(tl_most(room, 0), 16 * tl_least(words, TL_GRAD_CHUNK)));
    }
    return c->quads > 0;
}

#if !TL_LEAN // filtered gradients
bool tl_panel_conv2d_grad_sums(const tl_back_t *back, int32_t *scratch, int32_t bytes) {
    input_t c = {.back = back};
    if (!lay_out(&c, scratch, bytes)) {
        return false;
    }
    tl_clear(c.sums, c.row);
    add_parts(&c);
    return true;
}
#endif

bool tl_panel_conv2d_grad_input(
    const tl_back_t *back, tl_rows_t *dx, int32_t *scratch, int32_t bytes, int32_t exponent) {
    const tl_window_t *g = back->g;
    const int32_t n = g->in_w * g->in_c;
    if (tl_grad_is_dense(g)) {
        return tl_fast_fully_connected_grad_input(back, dx, scratch, bytes, exponent);
    }
    input_t c = {.back = back};
    if (!lay_out(&c, scratch, bytes)) {
        return false;
    }
    for (const int32_t rows = c.rows; c.y < g->in_h; c.y += rows) {
        c.rows = tl_least(rows, g->in_h - c.y);
        tl_clear(c.sums, c.rows * c.row);
        add_parts(&c);
        for (int32_t i = 0; i < c.rows; i++) {
            tl_rows_put(dx, (c.y + i) * n, c.sums + i * c.row + g->pad_left * g->in_c, n, exponent);
        }
    }
    return true;
}

// ---- dw -------------------------------------------------------------------------------------------------------------

// The sums of a few output channels: per channel 4 * quads sums, and the sum of all gradients.
typedef struct {
    tl_window_t g; // flat: pixels that no window overlaps lie in one row
    bool flat;
    bool fours; // of x lie side by side, on multiples of 4, and no window leaves the image
    const tl_grad_t *dy;
    const int8_t *x;
    const tl_channels_t *in;
    const tl_channels_t *out;
    int32_t first, n; // of the output channels
    int32_t quads;    // of a channel's sums
    int32_t *sums;    // row after row
    int32_t *totals;  // of each channel's gradients
    uint32_t *panel;
    int32_t panel_quads;
    int32_t oy, rows, ox, pixels, words; // the outputs that are worked on; words of one row of them
} weight_t;

// Where a panel's next column comes from
typedef struct {
    int32_t i, tap, tap_row;
} column_t;

// One value of a row of the image; the zero point beside it
static inline int32_t value(const weight_t *c, const int8_t *row, int32_t left) {
    return (uint32_t)left < (uint32_t)c->g.in_w ? row[left * c->g.in_c] : c->g.x_zero;
}

// The values at left, left + stride .. of a row, as every fourth word from `to` on. row NULL: the zero point
ALONE void pack_line(const weight_t *c, const int8_t *row, int32_t left, uint32_t *to) {
    const int32_t stride = c->g.stride_w, per = per_word(c->dy);
    const int32_t step = stride * c->g.in_c;
    const tl_pack_t pack = {16, step, per == 2 ? TL_PACK_LOW_PAIRS : TL_PACK_BYTES, per == 2 ? 2 * step : 0};
    for (int32_t k = 0; k < c->pixels;) {
        int32_t words = 0;
        if (row && left >= 0) { // as many as lie inside
            int32_t inside = c->pixels - k;
            while (inside > 0 && left + (inside - 1) * stride >= c->g.in_w) {
                inside--;
            }
            words = inside >> (per - 1);
        }
        if (words) {
            tl_pack(to, row + left * c->g.in_c, (uint32_t)words, &pack);
        } else {
            uint32_t v = (uint32_t)(row ? value(c, row, left) : c->g.x_zero);
            if (per == 2) {
                v = tl_pair((int32_t)v, row ? value(c, row, left + stride) : c->g.x_zero);
            }
            *to = v;
            words = 1;
        }
        to += 4 * words;
        left += per * words * stride;
        k += per * words;
    }
}

ALONE void pack_column(const weight_t *c, const column_t *column, uint32_t *to) {
    const tl_window_t *g = &c->g;
    const int8_t *x = c->x + tl_channel_at(c->in, column->i);
    if (c->flat && !(c->pixels & 1)) { // nothing lies outside
        const bool pairs = per_word(c->dy) == 2;
        const tl_pack_t pack = {16, g->in_c, pairs ? TL_PACK_LOW_PAIRS : TL_PACK_BYTES, pairs ? 2 * g->in_c : 0};
        tl_pack(to, x + c->ox * g->in_c, (uint32_t)c->words, &pack);
        return;
    }
    const int32_t left = c->ox * g->stride_w - g->pad_left + column->tap * g->dilation_w;
    int32_t y = c->oy * g->stride_h - g->pad_top + column->tap_row * g->dilation_h;
    for (int32_t row = c->rows; row > 0; row--, y += g->stride_h, to += 4 * c->words) {
        pack_line(c, (uint32_t)y < (uint32_t)g->in_h ? x + y * g->in_w * g->in_c : NULL, left, to);
    }
}

// The next column; behind the last one it stays
static void next(const weight_t *c, column_t *column) {
    if (++column->i == c->in->count) {
        column->i = 0;
        if (++column->tap == c->g.k_w) {
            column->tap = 0;
            column->tap_row++;
        }
    }
}

// Four columns of x at once, of which the first pixel's are at x
ALONE void pack_fours(const weight_t *c, const int8_t *x, uint32_t *to) {
    const int32_t step = c->g.stride_w * c->g.in_c, pairs = c->pixels >> 1;
    for (int32_t i = c->rows;;) {
        if (per_word(c->dy) == 1) {
            tl_pack_byte_fours(to, x, (uint32_t)c->pixels, step);
        } else {
            if (pairs) {
                tl_pack_pair_fours(to, x, (uint32_t)pairs, step);
            }
            if (c->pixels & 1) { // meets nothing with its second half
                tl_pack_pair_fours(to + 4 * pairs, x + 2 * pairs * step, 1, 0);
            }
        }
        if (--i == 0) {
            return;
        }
        x += c->g.stride_h * c->g.in_w * c->g.in_c;
        to += 4 * c->words;
    }
}

ALONE void pack_panel(const weight_t *c, column_t *column, int32_t quad, int32_t quads) {
    const int32_t pixel = c->oy * c->g.stride_h * c->g.in_w + c->ox * c->g.stride_w;
    const int8_t *x = c->x + c->in->first + 4 * quad + pixel * c->g.in_c;
    const int32_t words = 4 * c->rows * c->words;
    uint32_t *to = c->panel;
    for (; quads > 0; quads--, x += 4, to += words) {
        if (c->fours) {
            pack_fours(c, x, to);
            continue;
        }
        for (int32_t lane = 0; lane < 4 && column->tap_row < c->g.k_h; lane++) {
            pack_column(c, column, to + lane);
            next(c, column);
        }
    }
}

// One channel's gradients of some rows, each padded to whole words; their sum
ALONE int32_t pack_rows(const weight_t *c, int32_t at, uint32_t *end) {
    const int32_t row = c->g.out_w * c->g.out_c;
    int32_t total = 0;
    at += c->rows * row;
    for (int32_t i = c->rows; i > 0; i--, end -= c->words) {
        at -= row;
        total += tl_pack_gradients(c->dy, at, c->g.out_c, c->pixels, end);
    }
    return total;
}

// What the panel adds to some fours of each channel's sums
ALONE void add_channels(const weight_t *c, int32_t quad, int32_t quads) {
    const int32_t wide = tl_is_wide(c->dy->width), words = c->rows * c->words, out_c = c->g.out_c;
    const int32_t single = TL_HALVES ? 0 : wide;
    const bool whole = single || c->rows == 1 || !(c->pixels & 1); // words go on from row to row
    const int32_t run = whole && !c->out->list ? c->n : 1;
    uint32_t packed[TL_GRAD_CHUNK];
    tl_chain_t chain = {.bytes = 16 * quads,
        .single = (uint32_t)single,
        .how = wide ? TL_CHAIN_HALVES_APART : TL_CHAIN_BYTES_APART,
        .count = (uint32_t)run,
        .step = 1 << wide,
        .sums_step = 16 * (c->quads - quads),
        .apart = out_c << wide,
        .values = c->rows * c->pixels};
    for (int32_t i = 0; i < c->n; i += run) {
        const int32_t at = (c->oy * c->g.out_w + c->ox) * out_c + tl_channel_at(c->out, c->first + i);
        const void *from = (const char *)c->dy->at + (at << wide);
        chain.sums = c->sums + 4 * (i * c->quads + quad);
        chain.totals = quad ? NULL : c->totals + i;
        if (!whole) {
            const int32_t total = pack_rows(c, at, packed + TL_GRAD_CHUNK);
            c->totals[i] += quad ? 0 : total;
            from = packed;
            chain.how = TL_CHAIN_PACKED;
        }
        tl_chain(from, (uint32_t)words, c->panel, &chain);
    }
}

// What the outputs that are worked on add to the sums
ALONE void add_outputs(const weight_t *c) {
    column_t column = {0, 0, 0};
    for (int32_t quad = 0, quads; quad < c->quads; quad += quads) {
        quads = tl_least(c->panel_quads, c->quads - quad);
        pack_panel(c, &column, quad, quads);
        add_channels(c, quad, quads);
    }
}

// As many outputs at once as a chunk holds: some rows, or a part of one
static void add_all(weight_t *c) {
    const int32_t out_w = c->g.out_w, out_h = c->g.out_h, per = per_word(c->dy);
    int32_t words = (out_w + per - 1) >> (per - 1), parts = 1;
    while (parts * TL_GRAD_CHUNK < words) {
        parts++;
    }
    words = tl_quotient(words + parts - 1, parts);
    int32_t rows = 1;
    while (rows < out_h && (rows + 1) * words <= TL_GRAD_CHUNK) {
        rows++;
    }
    for (c->oy = 0; c->oy < out_h; c->oy += rows) {
        c->rows = tl_least(rows, out_h - c->oy);
        for (c->ox = 0; c->ox < out_w; c->ox += per * words) {
            c->pixels = tl_least(per * words, out_w - c->ox);
            c->words = (c->pixels + per - 1) >> (per - 1);
            add_outputs(c);
        }
    }
}

int32_t tl_panel_conv2d_grad_weight(
    const tl_weights_t *of, int32_t first, int32_t *scratch, int32_t bytes, int32_t *row) {
    const tl_window_t *g = of->g;
    const int32_t count = of->in->count, panel = tl_grad_weight_panel(g, count), each = tl_grad_weight_row(g, count);
    weight_t c = {.g = *g, .dy = of->dy, .x = of->x, .in = of->in, .out = of->out, .first = first};
    if (tl_grad_is_dense(g)) {
        return 0;
    }
    c.n = tl_least(of->out->count - first, bytes < panel ? 0 : tl_quotient(bytes - panel, each));
    if (c.n <= 0 || (c.n < 4 && first + c.n < of->out->count)) {
        return 0;
    }
    const bool whole = g->k_h * g->k_w == 1 && g->pad_top + g->pad_left == 0 &&
                       (g->out_h - 1) * g->stride_h < g->in_h && (g->out_w - 1) * g->stride_w < g->in_w;
    c.fours = whole && !of->in->list && (((int32_t)(uintptr_t)(of->x + of->in->first) | g->in_c | count) & 3) == 0;
    if (whole && g->stride_h * g->stride_w == 1 && g->out_h == g->in_h && g->out_w == g->in_w) {
        c.flat = true;
        c.g.out_w = c.g.in_w = g->out_h * g->out_w;
        c.g.out_h = c.g.in_h = 1;
    }
    c.quads = (g->k_h * g->k_w * count + 3) / 4;
    c.panel_quads = panel / (16 * TL_GRAD_CHUNK);
    c.sums = scratch;
    c.totals = scratch + 4 * c.quads * c.n;
    c.panel = (uint32_t *)c.totals + c.n;
    tl_clear(c.sums, (4 * c.quads + 1) * c.n);
    add_all(&c);
    *row = 4 * c.quads;
    return c.n;
}
#endif
