#include "gradient.h"

#include "program.h"
#include "requantize.h"

int32_t tl_top_bits(const int32_t *v, int32_t n) {
    uint32_t any = 0;
    for (; n > 0; n--) {
        any |= tl_size(*v++);
    }
    return tl_bits(any);
}

static void put(const tl_grad_t *g, int32_t i, int32_t v) {
    if (g->width == 8) {
        ((int8_t *)g->at)[i] = (int8_t)v;
    } else {
        ((int16_t *)g->at)[i] = (int16_t)v;
    }
}

// Rounding up may reach 2^(width - 1), one more than fits.
static int32_t fitting(const tl_grad_t *g, int32_t v) {
    const int32_t most = (1 << (g->width - 1)) - 1;
    return v > most ? most : v < -most ? -most : v;
}

// g[0 .. n] *= 2^by
static void shift_all(const tl_grad_t *g, int32_t n, int32_t by) {
    for (int32_t i = 0; i < n; i++) {
        put(g, i, fitting(g, tl_shift(tl_grad_get(g, i), by)));
    }
}

tl_rows_t tl_rows(tl_grad_t *g, bool add) {
    tl_rows_t rows = {g, add, true, 0};
    if (add) { // what lies there uses all of its bits, so that no more is lost than must be
        uint32_t any = 0;
        for (int32_t i = 0; i < g->n; i++) {
            any |= tl_size(tl_grad_get(g, i));
        }
        int32_t up = g->width - 1 - tl_bits(any);
        rows.filled = g->n;
        rows.zero = any == 0;
        if (any && up > 0) {
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
    int32_t top = tl_top_bits(row, n);
    if (rows->add && !rows->zero && top) {
        exponent = add_present(g, at, row, n, exponent, top);
        top = tl_top_bits(row, n);
    } else if (rows->add && !top) {
        return;
    }
    const int32_t fits = exponent + top - (g->width - 1);
    if (rows->zero) {
        g->exponent = fits > exponent ? fits : exponent;
    } else if (top && fits > g->exponent) {
        shift_all(g, rows->filled, g->exponent - fits);
        g->exponent = fits;
    }
    for (int32_t i = 0; i < n; i++) {
        put(g, at + i, fitting(g, tl_shift(row[i], exponent - g->exponent)));
    }
    rows->zero = rows->zero && !top;
    rows->filled = rows->add ? rows->filled : at + n;
}

void tl_rows_scaled(tl_rows_t *rows, int32_t at, const tl_grad_t *from, int32_t begin, int32_t n, tl_ratio_t ratio) {
    enum { PART = 32 };
    int32_t row[PART];
    while (n > 0) {
        const int32_t part = n < PART ? n : PART;
        for (int32_t i = 0; i < part; i++) {
            row[i] = tl_grad_get(from, begin + i) * ratio.mantissa; // 15 bits and 15 bits
        }
        tl_rows_put(rows, at, row, part, from->exponent + ratio.exponent);
        at += part;
        begin += part;
        n -= part;
    }
}

void tl_grad_mask(tl_grad_t *g, const uint8_t *mask) {
    for (int32_t i = 0; i < g->n; i++) {
        if (!(mask[i >> 3] >> (i & 7) & 1)) {
            put(g, i, 0);
        }
    }
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
    int32_t top = INT32_MIN; // bits of the largest product, its exponent with them
    for (int32_t o = 0; o < channels; o++) {
        const tl_ratio_t scale = channel_scale(code, requant, channels, o);
        uint32_t most = 0;
        for (int32_t i = o; i < g->n; i += channels) {
            const uint32_t size = tl_size(tl_grad_get(g, i));
            most = size > most ? size : most;
        }
        const int32_t end = tl_bits(most * (uint32_t)scale.mantissa) + scale.exponent;
        top = most && scale.mantissa && end > top ? end : top;
    }
    if (top == INT32_MIN) {
        top = bits;
    }
    const int32_t unit = top - bits, limit = (1 << bits) - 1;
    for (int32_t o = 0; o < channels; o++) {
        const tl_ratio_t scale = channel_scale(code, requant, channels, o);
        for (int32_t i = o; i < g->n; i += channels) {
            int32_t v = tl_shift(tl_grad_get(g, i) * scale.mantissa, scale.exponent - unit);
            put(g, i, v > limit ? limit : v < -limit ? -limit : v);
        }
    }
    g->exponent += unit;
}

int32_t tl_grad_bias(const tl_grad_t *dy, int32_t channels, int32_t o) {
    int32_t sum = 0;
    for (int32_t i = o; i < dy->n; i += channels) {
        sum += tl_grad_get(dy, i);
    }
    return sum;
}

// ---- Element by element ---------------------------------------------------------------------------------------------

void tl_mean_grad(const tl_mean_t *g, const tl_grad_t *dy, tl_rows_t *dx) {
    for (int32_t i = 0; i < g->n; i++) {
        tl_rows_scaled(dx, i * g->c, dy, 0, g->c, tl_ratio(g->mult, g->shift));
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
