#include "gradient.h"

#include <string.h>

#include "elements.h"
#include "program.h"
#include "requantize.h"

static int32_t bytes_of(const tl_grad_t *g) {
    return tl_is_wide(g->width) ? 2 : 1;
}

// Bits of a value beside its sign
static int32_t value_bits(const tl_grad_t *g) {
    return tl_is_wide(g->width) ? 15 : 7;
}

static void *element(const tl_grad_t *g, int32_t i) {
    return (char *)g->at + i * bytes_of(g);
}

// Rounding up may reach 2^(width - 1), one more than fits.
static int32_t most(const tl_grad_t *g) {
    return (1 << value_bits(g)) - 1;
}

// g[0 .. n] *= 2^by
static void shift_all(const tl_grad_t *g, int32_t n, int32_t by) {
    const tl_ratio_t one = tl_one(g->width);
    const tl_through_t through = {one.mantissa, by + one.exponent, most(g)};
    if (n > 0) {
        tl_scale_apart(g->at, element(g, n), bytes_of(g), g->width, &through);
    }
}

tl_rows_t tl_rows(tl_grad_t *g, bool add) {
    tl_rows_t rows = {g, add, true, 0};
    if (add) { // what lies there uses all of its bits, so that no more is lost than must be
        const uint32_t size = g->n ? tl_most_apart(g->at, element(g, g->n), bytes_of(g), g->width) : 0;
        const int32_t up = value_bits(g) - tl_bits(size);
        rows.filled = g->n;
        rows.zero = size == 0;
        if (size && up > 0) {
            shift_all(g, g->n, up);
            g->exponent -= up;
        }
    }
    return rows;
}

// row += what lies in g, both at an exponent that leaves room for the sum. Gives that exponent.
static int32_t add_present(const tl_grad_t *g, int32_t at, int32_t *row, int32_t n, int32_t exponent, int32_t top) {
    int32_t high = top + exponent > g->width + g->exponent ? top + exponent : g->width + g->exponent;
    int32_t low = exponent < g->exponent ? exponent : g->exponent;
    int32_t common = high - 30 > low ? high - 30 : low;
    for (int32_t i = 0; i < n; i++) {
        row[i] = tl_shift(row[i], exponent - common) + tl_shift(tl_grad_get(g, at + i), g->exponent - common);
    }
    return common;
}

void tl_rows_put(tl_rows_t *rows, int32_t at, int32_t *row, int32_t n, int32_t exponent) {
    tl_grad_t *g = rows->g;
    int32_t top = tl_top_bits(row, row + n, 0);
    if (rows->add && !rows->zero && top) {
        exponent = add_present(g, at, row, n, exponent, top);
        top = tl_top_bits(row, row + n, 0);
    } else if (rows->add && !top) {
        return;
    }
    const int32_t fits = exponent + top - value_bits(g);
    if (rows->zero) {
        g->exponent = fits > exponent ? fits : exponent;
    } else if (top && fits > g->exponent) {
        shift_all(g, rows->filled, g->exponent - fits);
        g->exponent = fits;
    }
    const tl_through_t through = {1, exponent - g->exponent, most(g)};
    if (n > 0) {
        tl_narrow(element(g, at), element(g, at + n), row, g->width, &through);
    }
    rows->zero = rows->zero && !top;
    rows->filled = rows->add ? rows->filled : at + n;
}

// A function of its own has all registers for itself.
static __attribute__((noinline)) void widen(int32_t *to, const int8_t *from, int32_t n, int32_t width, int32_t by) {
    const int32_t *end = to + n;
    do {
        *to++ = tl_grad_value(from, width, 0) * by;
        from += tl_is_wide(width) ? 2 : 1;
    } while (to != end);
}

void tl_rows_scaled(tl_rows_t *rows, int32_t at, const tl_grad_t *from, int32_t begin, int32_t n, tl_ratio_t ratio) {
    enum { PART = 32 };
    int32_t row[PART];
    while (n > 0) {
        const int32_t part = n < PART ? n : PART;
        widen(row, element(from, begin), part, from->width, ratio.mantissa); // 15 bits and 15 bits
        tl_rows_put(rows, at, row, part, from->exponent + ratio.exponent);
        at += part;
        begin += part;
        n -= part;
    }
}

void tl_grad_mask(tl_grad_t *g, const uint8_t *mask) {
    int32_t i = 0;
#ifdef __ARM_ARCH_6M__
    if (!tl_is_wide(g->width)) {
        i = g->n & ~7;
        tl_m0_mask(g->at, (int8_t *)g->at + i, mask);
    }
#endif
    for (int8_t *at = element(g, i); i < g->n; i++, at += bytes_of(g)) {
        if (!(mask[i >> 3] >> (i & 7) & 1)) {
            at[0] = at[bytes_of(g) - 1] = 0;
        }
    }
}

tl_ratio_t tl_ratio(int32_t mult, int32_t shift) {
    for (; mult && mult < 1 << 29; mult *= 2) { // one that rounds once
        shift--;
    }
    return (tl_ratio_t){(int32_t)(((uint32_t)mult + (1 << 15)) >> 16), shift - 15};
}

// One output channel's factor
static tl_ratio_t channel_scale(int32_t code, const int32_t *requant, int32_t channels, int32_t o) {
    if (code == TL_FULLY_CONNECTED) { // the first 15 bits of a float64
        uint32_t high = (uint32_t)requant[2 * o + 1];
        return (tl_ratio_t){
            (int32_t)((((high & 0xfffff) | 0x100000) + (1 << 5)) >> 6), (int32_t)(high >> 20 & 2047) - 1023 - 14};
    }
    return tl_ratio(requant[o], ((const int8_t *)(requant + channels))[o]);
}

void tl_grad_scale(tl_grad_t *g, int32_t code, const int32_t *requant, int32_t channels, int32_t bits) {
    enum { NONE = -(1 << 20) };
    int32_t top = NONE; // bits of the largest product, its exponent with them
    const int32_t step = channels * bytes_of(g);
    for (int32_t o = 0; o < channels; o++) {
        const tl_ratio_t scale = channel_scale(code, requant, channels, o);
        const uint32_t size = tl_most_apart(element(g, o), element(g, g->n + o), step, g->width);
        const uint32_t product = size * (uint32_t)scale.mantissa; // 30 bits
        const int32_t over = top - scale.exponent;
        if (product && (over < 0 || (over < 31 && product >> over))) {
            top = tl_bits(product) + scale.exponent;
        }
    }
    if (top == NONE) {
        top = bits;
    }
    const int32_t unit = top - bits;
    for (int32_t o = 0; o < channels; o++) {
        const tl_ratio_t scale = channel_scale(code, requant, channels, o);
        const tl_through_t through = {scale.mantissa, scale.exponent - unit, (1 << bits) - 1};
        tl_scale_apart(element(g, o), element(g, g->n + o), step, g->width, &through);
    }
    g->exponent += unit;
}

int32_t tl_grad_bias(const tl_grad_t *dy, int32_t channels, int32_t o) {
    return tl_sum_apart(element(dy, o), element(dy, dy->n + o), channels * bytes_of(dy), dy->width);
}

// ---- Element by element ---------------------------------------------------------------------------------------------

void tl_mean_grad(const tl_mean_t *g, const tl_grad_t *dy, tl_rows_t *dx) {
    for (int32_t i = 0; i < g->n; i++) {
        if (i > 1 && !dx->add) { // the first one has found the exponent
            memcpy(element(dx->g, i * g->c), element(dx->g, g->c), (size_t)(g->c * bytes_of(dx->g)));
        } else {
            tl_rows_scaled(dx, i * g->c, dy, 0, g->c, tl_ratio(g->mult, g->shift));
        }
    }
}

void tl_pad_grad(const tl_pad_t *g, const tl_grad_t *dy, tl_rows_t *dx) {
    for (int32_t y = 0, to = 0; y < g->in_h; y++) {
        int32_t from = ((g->top + y) * g->out_w + g->left) * g->out_c + g->front;
        for (int32_t x = 0; x < g->in_w; x++, to += g->in_c, from += g->out_c) {
            tl_rows_scaled(dx, to, dy, from, g->in_c, (tl_ratio_t){1, 0});
        }
    }
}

tl_ratio_t tl_add_ratio(const tl_add_t *g, bool second) {
    int32_t mult = tl_high_multiply(second ? g->x2_mult : g->x1_mult, g->y_mult);
    int32_t shift = (second ? g->x2_shift : g->x1_shift) + g->y_shift + g->left_shift;
    return tl_ratio(mult, shift);
}
