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

// Depthwise: at[i] += v[i] * w[i]
static inline __attribute__((always_inline)) void add_channels(
    const void *v, int32_t width, const int8_t *w, int32_t n, int32_t *at) {
    const char *value = v;
    const int32_t bytes = width / 8;
    for (; n >= 4; n -= 4, value += 4 * bytes, w += 4, at += 4) {
        at[0] += tl_grad_value(value, width, 0) * w[0];
        at[1] += tl_grad_value(value, width, 1) * w[1];
        at[2] += tl_grad_value(value, width, 2) * w[2];
        at[3] += tl_grad_value(value, width, 3) * w[3];
    }
    for (; n > 0; n--, value += bytes) {
        *at++ += tl_grad_value(value, width, 0) * *w++;
    }
}

void tl_block_depthwise_scatter(const tl_back_t *back, int32_t y, int32_t oy, int32_t tap, int32_t *row) {
    const tl_window_t *g = back->g;
    if (g->in_c != g->out_c) {
        tl_depthwise_conv2d_scatter(back, y, oy, tap, row);
        return;
    }
    const int32_t n = g->in_c, width = back->dy->width, pixel = n * (width / 8);
    const char *dy = (const char *)back->dy->at + oy * g->out_w * pixel;
    for (int32_t left = -g->pad_left, ox = 0; ox < g->out_w; ox++, left += g->stride_w, dy += pixel) {
        const tl_taps_t taps = tl_taps(left, g->in_w, g->k_w, g->dilation_w);
        const int8_t *w = back->w + (tap * g->k_w + taps.first) * n;
        int32_t *at = row + taps.start * n;
        for (int32_t t = taps.first; t < taps.last; t++, at += g->dilation_w * n, w += n) {
            if (!tl_is_wide(width)) {
                add_channels(dy, 8, w, n, at);
            } else {
                add_channels(dy, 16, w, n, at);
            }
        }
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

// As many of a row's steps, which are below 1: where the sum of the fractions passes 1, its weight goes one further.
static uint32_t step_some(
    int8_t *w, int32_t step, const uint32_t *word, int32_t n, const tl_unit_t *unit, uint32_t sum) {
    const uint32_t fraction = unit->fraction;
    for (const uint32_t *end = word + n; word < end; word++, w += step) {
        const uint32_t low = *word * fraction; // which is even, so that the sign has no part in it
        sum += low;
        if (sum < low) {
            const int32_t to = (*word ^ unit->sign) >> 31 ? *w + 1 : *w - 1;
            *w = (int8_t)(to > 127 ? 127 : to < -127 ? -127 : to);
        }
    }
    return sum;
}

bool tl_block_update(int8_t *w, int32_t step, const tl_row_t *row, const tl_unit_t *unit, uint32_t sum) {
    if (row->sums) {
        return false;
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
