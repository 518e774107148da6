// The way back of convolutions in blocks, for all processors but the Cortex-M0+, which has kernels of its own. Sums
// stay in registers, many at once, while gradients pass by; a gradient of 0 is passed over. The plain kernels' bits.

#include "elements.h"
#include "fast_grad.h"
#include "pairs.h"
#include "window.h"
#include "work.h"

#ifndef __ARM_ARCH_6M__
#define UNROLLED _Pragma("GCC unroll 8")

// A line of gradients and what each meets: from one to the next in elements
typedef struct {
    const void *v; // gradients
    const int8_t *b;
    int32_t v_step, b_step, n; // n: at least 1
} line_t;

enum { BLOCK = TL_HALVES ? 4 : 8 }; // sums that registers hold

#if TL_HALVES
// acc[k] += v * b[k] for four k: v in the low half of a word, or the high one
static inline __attribute__((always_inline)) void add_four(uint32_t v, bool high, const int8_t *b, int32_t *acc) {
    const uint32_t four = tl_four(b);
    const int16x2_t even = tl_even(four), odd = tl_odd(four);
    acc[0] = high ? __smlabt(even, (int32_t)v, acc[0]) : __smlabb(even, (int32_t)v, acc[0]);
    acc[1] = high ? __smlabt(odd, (int32_t)v, acc[1]) : __smlabb(odd, (int32_t)v, acc[1]);
    acc[2] = high ? __smlatt(even, (int32_t)v, acc[2]) : __smlatb(even, (int32_t)v, acc[2]);
    acc[3] = high ? __smlatt(odd, (int32_t)v, acc[3]) : __smlatb(odd, (int32_t)v, acc[3]);
}

// The same of four neighbouring gradients, each with b's next
static inline __attribute__((always_inline)) void add_fours(
    const char *v, int32_t width, const int8_t *b, int32_t b_step, int32_t *acc) {
    const bool wide = tl_is_wide(width);
    const uint32_t first = tl_four((const int8_t *)v), second = wide ? tl_four((const int8_t *)v + 4) : first;
    const uint32_t even = (uint32_t)tl_even(first), odd = (uint32_t)tl_odd(first);
    add_four(wide ? first : even, false, b, acc);
    add_four(wide ? first : odd, wide, b += b_step, acc);
    add_four(wide ? second : even, !wide, b += b_step, acc);
    add_four(wide ? second : odd, true, b += b_step, acc);
}
#endif

// sum[k] += the sum over the line of v * b[k], of so many k
static inline __attribute__((always_inline)) void add_block(
    const line_t *line, int32_t width, int32_t count, const int8_t *b, int32_t *sum) {
    const char *v = line->v;
    const int32_t v_step = line->v_step * (width / 8), b_step = line->b_step;
    int32_t acc[BLOCK], i = line->n;
    UNROLLED for (int32_t k = 0; k < count; k++) {
        acc[k] = sum[k];
    }
#if TL_HALVES
    for (; count == 4 && line->v_step == 1 && i >= 4; i -= 4, v += 4 * v_step, b += 4 * b_step) {
        add_fours(v, width, b, b_step, acc);
    }
#endif
    for (; i > 0; i--, v += v_step, b += b_step) {
        const int32_t value = tl_grad_value(v, width, 0);
        if (value) {
#if TL_HALVES
            if (count == 4) {
                add_four((uint32_t)value, false, b, acc);
                continue;
            }
#endif
            UNROLLED for (int32_t k = 0; k < count; k++) {
                acc[k] += value * b[k];
            }
        }
    }
    UNROLLED for (int32_t k = 0; k < count; k++) {
        sum[k] = acc[k];
    }
}

static inline __attribute__((always_inline)) void add_line_of(
    const line_t *line, int32_t width, int32_t count, int32_t *sum) {
    const int8_t *b = line->b;
    for (; count >= BLOCK; count -= BLOCK, b += BLOCK, sum += BLOCK) {
        add_block(line, width, BLOCK, b, sum);
    }
    if (BLOCK > 4 && count >= 4) {
        add_block(line, width, 4, b, sum);
        count -= 4, b += 4, sum += 4;
    }
    for (; count > 0; count--) {
        add_block(line, width, 1, b++, sum++);
    }
}

// sum[k] += the sum over the line of v * b[k]
static void add_line(const line_t *line, int32_t width, int32_t count, int32_t *sum) {
    if (!tl_is_wide(width)) {
        add_line_of(line, 8, count, sum);
    } else {
        add_line_of(line, 16, count, sum);
    }
}

void tl_block_conv2d_scatter(const tl_back_t *back, int32_t y, int32_t oy, int32_t tap, int32_t *row) {
    (void)y;
    const tl_window_t *g = back->g;
    const int32_t in_c = g->in_c, width = back->dy->width, pixel = g->out_c * (width / 8);
    const char *dy = (const char *)back->dy->at + oy * g->out_w * pixel;
    line_t line = {NULL, NULL, 1, g->k_h * g->k_w * in_c, g->out_c};
    for (int32_t left = -g->pad_left, ox = 0; ox < g->out_w; ox++, left += g->stride_w, dy += pixel) {
        const tl_taps_t taps = tl_taps(left, g->in_w, g->k_w, g->dilation_w);
        int32_t *at = row + taps.start * in_c;
        line.v = dy;
        line.b = back->w + (tap * g->k_w + taps.first) * in_c;
        for (int32_t t = taps.first; t < taps.last; t++, at += g->dilation_w * in_c, line.b += in_c) {
            add_line(&line, width, in_c, at);
        }
    }
}

// ---- Depthwise: four channels at a time -----------------------------------------------------------------------------

// acc[k] += v[k] * (b[k] - zero) for four k; off: whether there is a zero
static inline __attribute__((always_inline)) void add_products(
    const void *v, int32_t width, const int8_t *b, bool off, int32_t zero, int32_t *acc) {
#if TL_HALVES
    const int16x2_t less = (int16x2_t)tl_pair(-zero, -zero);
    const uint32_t four = tl_four(b), first = tl_four(v);
    const int16x2_t even = off ? tl_even_more(four, less) : tl_even(four);
    const int16x2_t odd = off ? tl_odd_more(four, less) : tl_odd(four);
    if (!tl_is_wide(width)) {
        acc[0] = __smlabb(tl_even(first), even, acc[0]);
        acc[1] = __smlabb(tl_odd(first), odd, acc[1]);
        acc[2] = __smlatt(tl_even(first), even, acc[2]);
        acc[3] = __smlatt(tl_odd(first), odd, acc[3]);
    } else {
        const uint32_t second = tl_four((const int8_t *)v + 4);
        acc[0] = __smlabb((int32_t)first, even, acc[0]);
        acc[1] = __smlatb((int32_t)first, odd, acc[1]);
        acc[2] = __smlabt((int32_t)second, even, acc[2]);
        acc[3] = __smlatt((int32_t)second, odd, acc[3]);
    }
#else
    UNROLLED for (int32_t k = 0; k < 4; k++) {
        acc[k] += tl_grad_value(v, width, k) * (off ? b[k] - zero : b[k]);
    }
#endif
}

// Where taps meet outputs at one place of an axis: every tap_step-th tap, with outputs out_step apart
typedef struct {
    int32_t tap, tap_step, out, out_step, n;
} meeting_t;

static meeting_t meeting(int32_t at, int32_t k, int32_t stride, int32_t dilation, int32_t out) {
    meeting_t m = {0, 0, 0, 0, 0};
    for (int32_t tap = 0; tap < k && at >= 0; tap++, at -= dilation) {
        const int32_t o = (int32_t)((uint32_t)at / (uint32_t)stride);
        if (o * stride != at || o >= out) {
            continue;
        }
        if (m.n++ == 0) {
            m.tap = tap;
            m.out = o;
        } else if (m.n == 2) {
            m.tap_step = tap - m.tap;
            m.out_step = o - m.out;
        }
    }
    return m;
}

// Lines of gradients and what they meet, of all channels: from one to the next, and from line to line, in bytes
typedef struct {
    const int8_t *v, *b;
    int32_t channels, width;
    int32_t columns, v_step, b_step;
    int32_t rows, v_down, b_down;
    int32_t zero;          // here and below, of weights alone: taken off b
    const int32_t *totals; // times it, each channel's sum begins with
    int32_t sum_step;      // from one channel's sum to the next; of dx they are neighbours
} lines_t;

static inline __attribute__((always_inline)) int32_t whole_fours(
    const lines_t *m, int32_t width, bool weights, int32_t *sum) {
    const int32_t step = weights ? m->sum_step : 1;
    int32_t c = 0;
    for (; c + 4 <= m->channels; c += 4, sum += 4 * step) {
        const int8_t *v = m->v + c * (width / 8), *b = m->b + c;
        int32_t acc[4];
        UNROLLED for (int32_t k = 0; k < 4; k++) {
            acc[k] = weights ? m->zero * m->totals[c + k] : 0;
        }
        for (int32_t row = m->rows; row > 0; row--, v += m->v_down, b += m->b_down) {
            const int8_t *value = v, *at = b;
            for (int32_t i = m->columns; i > 0; i--, value += m->v_step, at += m->b_step) {
                add_products(value, width, at, weights, m->zero, acc);
            }
        }
        UNROLLED for (int32_t k = 0; k < 4; k++) {
            sum[k * step] = acc[k];
        }
    }
    return c;
}

static int32_t one_channel(const lines_t *m, bool weights, int32_t c) {
    const int8_t *v = m->v + c * (m->width / 8), *b = m->b + c;
    int32_t sum = weights ? m->zero * m->totals[c] : 0;
    for (int32_t row = m->rows; row > 0; row--, v += m->v_down, b += m->b_down) {
        const int8_t *value = v, *at = b;
        for (int32_t i = m->columns; i > 0; i--, value += m->v_step, at += m->b_step) {
            sum += tl_grad_value(value, m->width, 0) * (weights ? *at - m->zero : *at);
        }
    }
    return sum;
}

static inline __attribute__((always_inline)) void add_lines(const lines_t *m, bool weights, int32_t *sum) {
    int32_t c = tl_is_wide(m->width) ? whole_fours(m, 16, weights, sum) : whole_fours(m, 8, weights, sum);
    for (; c < m->channels; c++) {
        sum[weights ? c * m->sum_step : c] = one_channel(m, weights, c);
    }
}

void tl_block_depthwise_grad_input(const tl_back_t *back, tl_rows_t *dx, int32_t *scratch, int32_t exponent) {
    const tl_window_t *g = back->g;
    const int32_t n = g->in_c, width = back->dy->width, bytes = n * (width / 8);
    for (int32_t y = 0; y < g->in_h; y++) {
        const meeting_t rows = meeting(y + g->pad_top, g->k_h, g->stride_h, g->dilation_h, g->out_h);
        for (int32_t x = 0; x < g->in_w; x++) {
            const meeting_t columns = meeting(x + g->pad_left, g->k_w, g->stride_w, g->dilation_w, g->out_w);
            const lines_t pixel = {
                .v = (const int8_t *)back->dy->at + (rows.out * g->out_w + columns.out) * bytes,
                .b = back->w + (rows.tap * g->k_w + columns.tap) * n,
                .channels = n,
                .width = width,
                .columns = columns.n,
                .v_step = columns.out_step * bytes,
                .b_step = columns.tap_step * n,
                .rows = rows.n,
                .v_down = rows.out_step * g->out_w * bytes,
                .b_down = rows.tap_step * g->k_w * n,
            };
            add_lines(&pixel, false, scratch + x * n);
        }
        tl_rows_put(dx, y * g->in_w * n, scratch, g->in_w * n, exponent);
    }
}

// The outputs whose tap lies inside the image: x's zero point is taken off at last, by the sum of their gradients.
typedef struct {
    tl_taps_t rows, columns;
} inside_t;

// The sum over the line of v * (b - zero)
static inline __attribute__((always_inline)) int32_t products(const line_t *line, int32_t width, int32_t zero) {
    const char *v = line->v;
    const int8_t *b = line->b;
    const int32_t v_step = line->v_step * (width / 8), b_step = line->b_step;
    int32_t sum = 0;
    for (int32_t i = line->n; i > 0; i--, v += v_step, b += b_step) {
        sum += tl_grad_value(v, width, 0) * (*b - zero);
    }
    return sum;
}

// One tap's sums, of neighbouring channels
static void weight_tap(const tl_window_t *g, const tl_grad_t *dy, const int8_t *x, int32_t o, const inside_t *of,
    int32_t count, int32_t *sum) {
    const int32_t bytes = dy->width / 8, columns = of->columns.last - of->columns.first;
    const int32_t down = g->in_w * g->in_c * g->stride_h;
    int32_t rows = of->rows.last - of->rows.first, total = 0;
    const char *v = (const char *)dy->at + ((of->rows.first * g->out_w + of->columns.first) * g->out_c + o) * bytes;
    line_t line = {v, x, g->out_c, g->stride_w * g->in_c, columns};
    line.b += (of->rows.start * g->in_w + of->columns.start) * g->in_c;
    if (columns == g->out_w && down == columns * line.b_step) { // rows lie end to end
        line.n *= rows;
        rows = rows > 0;
    }
    for (; rows > 0 && line.n > 0; rows--, line.b += down) {
        if (count == 1) { // as of a depthwise channel
            *sum += tl_is_wide(dy->width) ? products(&line, 16, g->x_zero) : products(&line, 8, g->x_zero);
        } else {
            const char *end = (const char *)line.v + line.n * g->out_c * bytes;
            add_line(&line, dy->width, count, sum);
            total += tl_sum_apart(line.v, end, g->out_c * bytes, dy->width);
        }
        line.v = (const char *)line.v + g->out_w * g->out_c * bytes;
    }
    for (int32_t k = 0; k < count; k++) {
        sum[k] -= g->x_zero * total;
    }
}

void tl_block_grad_weight(
    const tl_window_t *g, const tl_grad_t *dy, const int8_t *x, int32_t o, const tl_channels_t *in, int32_t *sum) {
    tl_clear(sum, g->k_h * g->k_w * in->count);
    for (int32_t i = 0, top = -g->pad_top; i < g->k_h; i++, top += g->dilation_h) {
        inside_t of = {.rows = tl_taps(top, g->in_h, g->out_h, g->stride_h)};
        for (int32_t j = 0, left = -g->pad_left; j < g->k_w; j++, left += g->dilation_w, sum += in->count) {
            of.columns = tl_taps(left, g->in_w, g->out_w, g->stride_w);
            if (!in->list) {
                weight_tap(g, dy, x + in->first, o, &of, in->count, sum);
            }
            for (int32_t k = 0; k < in->count && in->list; k++) {
                weight_tap(g, dy, x + in->list[k], o, &of, 1, sum + k);
            }
        }
    }
}

int32_t tl_block_depthwise_grad_weight(
    const tl_weights_t *of, int32_t first, int32_t *scratch, int32_t bytes, int32_t *row) {
    const tl_window_t *g = of->g;
    const int32_t taps = g->k_h * g->k_w, o = of->out->first + first, width = of->dy->width;
    const int32_t left = of->out->count - first, pixel = g->out_c * (width / 8);
    const int32_t n = left < 4 ? left : tl_least(left, tl_quotient(bytes, 4 * (taps + 1))) & ~3;
    if (of->out->list || g->in_c != g->out_c || n == 0 || bytes < 4 * n * (taps + 1)) {
        return 0;
    }
    int32_t *sum = scratch, *totals = scratch + n * taps;
    for (int32_t k = 0; k < n; k++) {
        totals[k] = tl_grad_bias(of->dy, g->out_c, o + k);
    }
    lines_t tap = {
        .channels = n,
        .width = width,
        .v_step = pixel,
        .b_step = g->stride_w * g->in_c,
        .v_down = g->out_w * pixel,
        .b_down = g->stride_h * g->in_w * g->in_c,
        .zero = g->x_zero,
        .totals = totals, // the caller takes them off
        .sum_step = taps,
    };
    for (int32_t i = 0, y = -g->pad_top; i < g->k_h; i++, y += g->dilation_h) {
        const tl_taps_t rows = tl_taps(y, g->in_h, g->out_h, g->stride_h);
        tap.rows = rows.last - rows.first;
        for (int32_t j = 0, x = -g->pad_left; j < g->k_w; j++, x += g->dilation_w) {
            const tl_taps_t columns = tl_taps(x, g->in_w, g->out_w, g->stride_w);
            tap.columns = columns.last - columns.first;
            tap.v = (const int8_t *)of->dy->at + (rows.first * g->out_w + columns.first) * pixel + o * (width / 8);
            tap.b = of->x + (rows.start * g->in_w + columns.start) * g->in_c + o;
            add_lines(&tap, true, sum++);
        }
    }
    *row = taps;
    return n;
}

// One of a row's steps, which are below 1: where the sum of the fractions passes 1, its weight goes one further.
static inline uint32_t step_one(int8_t *w, uint32_t size, uint32_t sign, const tl_unit_t *unit, uint32_t sum) {
    const uint32_t low = size * unit->fraction; // which is even, so that a sign beside the size has no part in it
    sum += low;
    if (sum < low) {
        const int32_t to = (sign ^ unit->sign) >> 31 ? *w + 1 : *w - 1;
        *w = (int8_t)(to > 127 ? 127 : to < -127 ? -127 : to);
    }
    return sum;
}

static uint32_t step_some(
    int8_t *w, int32_t step, const uint32_t *word, int32_t n, const tl_unit_t *unit, uint32_t sum) {
    for (const uint32_t *end = word + n; word < end; word++, w += step) {
        sum = step_one(w, *word, *word, unit, sum);
    }
    return sum;
}

// A row of sums, of which words are not needed
static void step_sums(int8_t *w, int32_t step, const tl_row_t *row, const tl_unit_t *unit, uint32_t sum) {
    const int32_t off = row->off, exponent = row->exponent;
    const uint32_t half = 1u << exponent >> 1;
    for (const uint32_t *at = row->words, *end = at + row->n; at < end; at++, w += step) {
        const int32_t v = (int32_t)*at - off;
        sum = step_one(w, (tl_size(v) + half) >> exponent, (uint32_t)v, unit, sum);
    }
}

bool tl_block_update(int8_t *w, int32_t step, const tl_row_t *row, const tl_unit_t *unit, uint32_t sum) {
    if (row->sums) {
        step_sums(w, step, row, unit, sum);
        return true;
    }
    const bool few = row->sixteens && unit->fraction >> (28 - row->bits) == 0; // sixteen stay below 1
    for (int32_t i = 0; i < row->n; i += 16) {
        const uint32_t all = few ? row->sixteens[i / 16] * unit->fraction : 0;
        if (few && sum + all >= sum) { // none passes 1
            sum += all;
        } else {
            const int32_t n = row->n - i < 16 ? row->n - i : 16;
            sum = step_some(w + i * step, step, row->words + i, n, unit, sum);
        }
    }
    return true;
}
#endif
