#include "augment.h"

#include <string.h>

#include "heads.h"
#include "random.h"

// The largest value of each field; the smallest is 0, or 1 of sizes, or -128 of the zero point.
static const int16_t largest[sizeof(tl_augment_t) / 4] = {TL_AUGMENT_MAX_SIDE, TL_AUGMENT_MAX_SIDE, TL_AUGMENT_MAX_SIDE,
    127, TL_BORDERS - 1, TL_AUGMENT_MAX_SIDE, TL_AUGMENT_MAX_SIDE, TL_AUGMENT_ONE, 25740, 8192, TL_AUGMENT_ONE,
    TL_AUGMENT_GAIN, TL_AUGMENT_GAIN, INT16_MAX, INT16_MAX, 8192, TL_AUGMENT_MAX_SIDE, TL_AUGMENT_MAX_SIDE};

static bool sound(const tl_span_t *params) {
    const tl_augment_t *p = params->at;
    if (p == NULL || params->bytes != sizeof(*p) || (uintptr_t)p % 4) {
        return false;
    }
    const int32_t *field = params->at;
    for (int32_t i = 0; i < (int32_t)sizeof(*p) / 4; i++) {
        const int32_t least = i < 3 ? 1 : i == 3 ? -128 : 0;
        if (field[i] < least || field[i] > largest[i]) {
            return false;
        }
    }
    return p->shift_h <= p->h && p->shift_w <= p->w && p->mask_h <= p->h && p->mask_w <= p->w &&
           p->h * p->w <= TL_AUGMENT_MAX_VALUES / p->c;
}

// ---- Chance ---------------------------------------------------------------------------------------------------------

// -amount .. amount, amount < 2^15
static int32_t around(uint32_t *random, int32_t amount) {
    return ((2 * (int32_t)(tl_random(random) >> 16) - 65535) * amount + 32768) >> 16;
}

// 0 .. n - 1, n <= 2^16
static int32_t below(uint32_t *random, int32_t n) {
    return (int32_t)((tl_random(random) >> 16) * (uint32_t)n >> 16);
}

// Four uniform bytes make a bell: mean 0, standard deviation 147.8
static int32_t bell(uint32_t *random) {
    const uint32_t v = tl_random(random);
    return (int32_t)((v & 255) + (v >> 8 & 255) + (v >> 16 & 255) + (v >> 24)) - 510;
}

// ---- The affine map -------------------------------------------------------------------------------------------------

// Where output (row, column) comes from, 14 fractional bits: row = h0 + row * h_row + column * h_column, column
// likewise
typedef struct {
    int32_t h0, h_row, h_column;
    int32_t w0, w_row, w_column;
} map_t;

static int32_t product(int32_t a, int32_t b) {
    return (a * b + TL_AUGMENT_ONE / 2) >> 14;
}

// Taylor's: within 2^-10 up to 90 degrees, 2^-13 up to 60
static void sine_cosine(int32_t angle, int32_t *sine, int32_t *cosine) {
    const int32_t one = TL_AUGMENT_ONE, square = product(angle, angle);
    *cosine = one - product(square, one - product(square, one - square / 30) / 12) / 2;
    *sine = product(angle, one - product(square, one - product(square, one - square / 42) / 20) / 6);
}

// About the middle: columns are flipped and sheared, then rows and columns turned and zoomed, then shifted.
static map_t draw_map(const tl_augment_t *p, uint32_t *random) {
    int32_t sine, cosine;
    const int32_t flip = (int32_t)(tl_random(random) >> 18) < p->flip ? -1 : 1;
    const int32_t shift_h = below(random, 2 * p->shift_h + 1) - p->shift_h;
    const int32_t shift_w = below(random, 2 * p->shift_w + 1) - p->shift_w;
    sine_cosine(around(random, p->rotate), &sine, &cosine);
    const int32_t size = TL_AUGMENT_ONE + around(random, p->zoom), shear = around(random, p->shear);
    map_t m = {
        .h_row = product(size, cosine + product(sine, shear)),
        .h_column = product(size, sine) * flip,
        .w_row = product(size, product(cosine, shear) - sine),
        .w_column = product(size, cosine) * flip,
    };
    const int32_t h = p->h - 1, w = p->w - 1; // twice the middle
    m.h0 = (h * TL_AUGMENT_ONE - h * m.h_row - w * m.h_column) / 2 - shift_h * TL_AUGMENT_ONE;
    m.w0 = (w * TL_AUGMENT_ONE - h * m.w_row - w * m.w_column) / 2 - shift_w * TL_AUGMENT_ONE;
    return m;
}

// A row or column inside the sample, or -1 for nothing but the zero point
static int32_t inside(int32_t i, int32_t n, int32_t border) {
    if (i >= 0 && i < n) {
        return i;
    }
    if (border == TL_BORDER_WRAP) {
        i %= n;
        return i < 0 ? i + n : i;
    }
    return border == TL_BORDER_ZERO ? -1 : i < 0 ? 0 : n - 1;
}

// One channel of the sample between its pixels, 8 fractional bits
static int32_t between(const tl_augment_t *p, const int8_t *x, int32_t h, int32_t w) {
    h = (h + 32) >> 6;
    w = (w + 32) >> 6;
    int32_t sum = 0;
    for (int32_t i = 0; i < 4; i++) {
        const int32_t down = i >> 1, across = i & 1;
        const int32_t weight = (down ? h & 255 : 256 - (h & 255)) * (across ? w & 255 : 256 - (w & 255));
        if (weight) {
            const int32_t row = inside((h >> 8) + down, p->h, p->border);
            const int32_t column = inside((w >> 8) + across, p->w, p->border);
            sum += weight * (row < 0 || column < 0 ? p->zero : x[(row * p->w + column) * p->c]);
        }
    }
    return (sum + 128) >> 8;
}

// ---- Views ----------------------------------------------------------------------------------------------------------

static void channel(
    const tl_augment_t *p, const map_t *m, int32_t gain, int32_t offset, const int8_t *x, int8_t *y, uint32_t *random) {
    const int32_t zero = p->zero * TL_AUGMENT_STEP;
    const int32_t noise = (p->noise * 443 + 128) >> 8; // 256 / 147.8, 8 fractional bits
    gain = (gain * (TL_AUGMENT_GAIN + around(random, p->channel_gain))) >> 12;
    offset += around(random, p->channel_offset) + zero;
    for (int32_t row = 0; row < p->h; row++) {
        int32_t h = m->h0 + row * m->h_row, w = m->w0 + row * m->w_row;
        for (int32_t i = 0; i < p->w; i++, h += m->h_column, w += m->w_column, y += p->c) {
            int32_t v = (((between(p, x, h, w) - zero) * gain + TL_AUGMENT_GAIN / 2) >> 12) + offset;
            if (noise) {
                v += (bell(random) * noise) >> 8;
            }
            v = (v + TL_AUGMENT_STEP / 2) >> 8;
            *y = (int8_t)(v < -128 ? -128 : v > 127 ? 127 : v);
        }
    }
}

static int32_t mean(const int8_t *x, uint32_t n) {
    uint32_t sum = n / 2;
    for (uint32_t i = 0; i < n; i++) {
        sum += (uint32_t)(x[i] + 128);
    }
    return (int32_t)(sum / n) - 128;
}

// A band of at most so many of n neighbours, each `length` long, in every one of `count` blocks
static void blot(int8_t *y, int32_t most, int32_t n, int32_t length, int32_t count, int32_t value, uint32_t *random) {
    const int32_t wide = below(random, most + 1), first = below(random, n - wide + 1);
    for (; count > 0; count--, y += n * length) {
        memset(y + first * length, value, (size_t)(wide * length));
    }
}

tl_status_t tl_augment(const tl_span_t *params, const tl_span_t spans[3]) {
    if (!sound(params)) {
        return TL_E_PARAMS;
    }
    const tl_augment_t *p = params->at;
    const uint32_t n = (uint32_t)(p->h * p->w * p->c);
    const uintptr_t from = (uintptr_t)spans[0].at, to = (uintptr_t)spans[1].at;
    tl_status_t status;
    if ((status = tl_head_span(&spans[0], n, 1, 0)) || (status = tl_head_span(&spans[1], n, 1, 1)) ||
        (status = tl_head_span(&spans[2], 1, 4, 2))) {
        return status;
    }
    if (from < to + n && to < from + n) {
        return TL_E_BUFFER + 256;
    }
    const int8_t *x = spans[0].at;
    int8_t *y = spans[1].at;
    uint32_t *state = spans[2].at, random = *state ? *state : 1;
    const map_t m = draw_map(p, &random);
    const int32_t gain = TL_AUGMENT_GAIN + around(&random, p->gain), offset = around(&random, p->offset);
    for (int32_t c = 0; c < p->c; c++) {
        channel(p, &m, gain, offset, x + c, y + c, &random);
    }
    if (p->mask_h | p->mask_w) {
        const int32_t value = mean(x, n);
        blot(y, p->mask_h, p->h, p->w * p->c, 1, value, &random);
        blot(y, p->mask_w, p->w, p->c, p->h, value, &random);
    }
    *state = random;
    return TL_OK;
}
