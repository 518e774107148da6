// The way back of convolutions in blocks, for all processors but the Cortex-M0+, which has kernels of its own. Sums
// stay in registers, many at once, while gradients pass by; a gradient of 0 is passed over. The plain kernels' bits.

#include "elements.h"
#include "fast_grad.h"
#include "pairs.h"
#include "window.h"

#ifndef __ARM_ARCH_6M__
#define UNROLLED _Pragma("GCC unroll 8")

// A line of gradients and what each meets: from one to the next in elements
typedef struct {
    const void *v; // gradients
    const int8_t *b;
    int32_t v_step, b_step, n; // n: at least 1
} line_t;

// acc[k] += v * b[k] for four k
static inline __attribute__((always_inline)) void add_four(int32_t v, const int8_t *b, int32_t *acc) {
#if TL_HALVES
    const uint32_t four = tl_four(b);
    const int16x2_t even = tl_even(four), odd = tl_odd(four);
    acc[0] = __smlabb(even, v, acc[0]);
    acc[1] = __smlabb(odd, v, acc[1]);
    acc[2] = __smlatb(even, v, acc[2]);
    acc[3] = __smlatb(odd, v, acc[3]);
#else
    UNROLLED for (int32_t k = 0; k < 4; k++) {
        acc[k] += v * b[k];
    }
#endif
}

// sum[k] += the sum over the line of v * b[k], of so many k
static inline __attribute__((always_inline)) void add_block(
    const line_t *line, int32_t width, int32_t count, const int8_t *b, int32_t *sum) {
    const char *v = line->v;
    const int32_t v_step = line->v_step * (width / 8), b_step = line->b_step;
    int32_t acc[8];
    UNROLLED for (int32_t k = 0; k < count; k++) {
        acc[k] = sum[k];
    }
    for (int32_t i = line->n; i > 0; i--, v += v_step, b += b_step) {
        const int32_t value = tl_grad_value(v, width, 0);
        if (value) {
            UNROLLED for (int32_t k = 0; k < count; k += 4) {
                if (count >= 4) {
                    add_four(value, b + k, acc + k);
                } else {
                    acc[0] += value * *b;
                }
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
    for (; count >= 8; count -= 8, b += 8, sum += 8) {
        add_block(line, width, 8, b, sum);
    }
    if (count >= 4) {
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
    const uint32_t four = tl_four(b), zeros = tl_pair(zero, zero);
    const int16x2_t even = off ? __ssub16(tl_even(four), (int16x2_t)zeros) : tl_even(four);
    const int16x2_t odd = off ? __ssub16(tl_odd(four), (int16x2_t)zeros) : tl_odd(four);
    const uint32_t first = tl_four(v);
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

// A pixel of dx: from where its gradients and weights go on to the next tap's, and from row to row
typedef struct {
    const int8_t *v, *w;
    int32_t channels, width;
    int32_t columns, v_step, w_step;
    int32_t rows, v_down, w_down;
} pixel_t;

static inline __attribute__((always_inline)) void four_channels(
    const pixel_t *p, const int8_t *v, int32_t width, const int8_t *w, int32_t *sum) {
    int32_t acc[4] = {0, 0, 0, 0};
    for (int32_t row = p->rows; row > 0; row--, v += p->v_down, w += p->w_down) {
        const int8_t *value = v, *weight = w;
        for (int32_t i = p->columns; i > 0; i--, value += p->v_step, weight += p->w_step) {
            add_products(value, width, weight, false, 0, acc);
        }
    }
    UNROLLED for (int32_t k = 0; k < 4; k++) {
        sum[k] = acc[k];
    }
}

static int32_t one_channel(const pixel_t *p, const int8_t *v, const int8_t *w) {
    int32_t sum = 0;
    for (int32_t row = p->rows; row > 0; row--, v += p->v_down, w += p->w_down) {
        const int8_t *value = v, *weight = w;
        for (int32_t i = p->columns; i > 0; i--, value += p->v_step, weight += p->w_step) {
            sum += tl_grad_value(value, p->width, 0) * *weight;
        }
    }
    return sum;
}

static inline __attribute__((always_inline)) int32_t whole_fours(const pixel_t *p, int32_t width, int32_t *sum) {
    int32_t c = 0;
    for (; c + 4 <= p->channels; c += 4) {
        four_channels(p, p->v + c * (width / 8), width, p->w + c, sum + c);
    }
    return c;
}

static void add_pixel(const pixel_t *p, int32_t *sum) {
    int32_t c = tl_is_wide(p->width) ? whole_fours(p, 16, sum) : whole_fours(p, 8, sum);
    for (; c < p->channels; c++) {
        sum[c] = one_channel(p, p->v + c * (p->width / 8), p->w + c);
    }
}

void tl_block_depthwise_grad_input(const tl_back_t *back, tl_rows_t *dx, int32_t *scratch, int32_t exponent) {
    const tl_window_t *g = back->g;
    const int32_t n = g->in_c, width = back->dy->width, bytes = n * (width / 8);
    for (int32_t y = 0; y < g->in_h; y++) {
        const meeting_t rows = meeting(y + g->pad_top, g->k_h, g->stride_h, g->dilation_h, g->out_h);
        for (int32_t x = 0; x < g->in_w; x++) {
            const meeting_t columns = meeting(x + g->pad_left, g->k_w, g->stride_w, g->dilation_w, g->out_w);
            const pixel_t pixel = {
                .v = (const int8_t *)back->dy->at + (rows.out * g->out_w + columns.out) * bytes,
                .w = back->w + (rows.tap * g->k_w + columns.tap) * n,
                .channels = n,
                .width = width,
                .columns = columns.n,
                .v_step = columns.out_step * bytes,
                .w_step = columns.tap_step * n,
                .rows = rows.n,
                .v_down = rows.out_step * g->out_w * bytes,
                .w_down = rows.tap_step * g->k_w * n,
            };
            add_pixel(&pixel, scratch + x * n);
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

// acc[k] += the sum over the line of v[k] * (b[k] - zero) for four channels
static inline __attribute__((always_inline)) void add_channels(
    const line_t *line, int32_t width, int32_t zero, int32_t *acc) {
    const char *v = line->v;
    const int8_t *b = line->b;
    const int32_t v_step = line->v_step, b_step = line->b_step;
    for (int32_t i = line->n; i > 0; i--, v += v_step, b += b_step) {
        add_products(v, width, b, true, zero, acc);
    }
}

// One tap's sums of the four channels from o on
static inline __attribute__((always_inline)) void four_weights(
    const tl_weights_t *of, int32_t width, int32_t o, const inside_t *inside, int32_t *acc) {
    const tl_window_t *g = of->g;
    const int32_t pixel = g->out_c * (width / 8);
    const int32_t first = (inside->rows.first * g->out_w + inside->columns.first) * pixel + o * (width / 8);
    line_t line = {(const char *)of->dy->at + first, of->x + o, pixel, g->stride_w * g->in_c,
        inside->columns.last - inside->columns.first};
    line.b += (inside->rows.start * g->in_w + inside->columns.start) * g->in_c;
    for (int32_t row = inside->rows.last - inside->rows.first; row > 0; row--) {
        add_channels(&line, width, g->x_zero, acc);
        line.v = (const char *)line.v + g->out_w * pixel;
        line.b += g->stride_h * g->in_w * g->in_c;
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

// All taps' sums of the four channels from o on
static void four_rows(const tl_weights_t *of, int32_t o, int32_t *sum) {
    const tl_window_t *g = of->g;
    const int32_t taps = g->k_h * g->k_w;
    for (int32_t i = 0, top = -g->pad_top; i < g->k_h; i++, top += g->dilation_h) {
        inside_t inside = {.rows = tl_taps(top, g->in_h, g->out_h, g->stride_h)};
        for (int32_t j = 0, left = -g->pad_left; j < g->k_w; j++, left += g->dilation_w, sum++) {
            int32_t acc[4] = {0, 0, 0, 0};
            inside.columns = tl_taps(left, g->in_w, g->out_w, g->stride_w);
            if (tl_is_wide(of->dy->width)) {
                four_weights(of, 16, o, &inside, acc);
            } else {
                four_weights(of, 8, o, &inside, acc);
            }
            for (int32_t k = 0; k < 4; k++) {
                sum[k * taps] = acc[k];
            }
        }
    }
}

int32_t tl_block_depthwise_grad_weight(
    const tl_weights_t *of, int32_t first, int32_t *scratch, int32_t bytes, int32_t *row) {
    const tl_window_t *g = of->g;
    const int32_t taps = g->k_h * g->k_w, o = of->out->first + first, n = of->out->count - first < 4 ? 1 : 4;
    if (of->out->list || g->in_c != g->out_c || bytes < 16 * (taps + 1)) {
        return 0;
    }
    int32_t *sum = scratch, *total = scratch + n * taps;
    if (n == 4) {
        four_rows(of, o, scratch);
    } else {
        const tl_channels_t in = {o, 1, NULL};
        tl_block_grad_weight(g, of->dy, of->x, o, &in, scratch);
    }
    for (int32_t k = 0; k < n; k++, total++) {
        *total = tl_grad_bias(of->dy, g->out_c, o + k);
        for (int32_t tap = 0; tap < taps; tap++) {
            *sum++ += g->x_zero * *total; // which the caller takes off
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

// A row of sums, which become words by the way
static void step_sums(int8_t *w, int32_t step, const tl_row_t *row, const tl_unit_t *unit, uint32_t sum) {
    const int32_t off = row->off, exponent = row->exponent;
    const uint32_t half = 1u << exponent >> 1;
    for (uint32_t *at = row->words, *end = at + row->n; at < end; at++, w += step) {
        const int32_t v = (int32_t)*at - off;
        *at = ((tl_size(v) + half) >> exponent) | ((uint32_t)v & 0x80000000u);
        sum = step_one(w, *at, (uint32_t)v, unit, sum);
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
