#include "micro.h"

#ifdef __ARM_FEATURE_SAT
#include <arm_acle.h>
#endif

#ifdef __ARM_ARCH_6M__

void tl_requant(tl_requant_t *r, uint32_t mult, int32_t shift, int32_t zero) {
    uint32_t right = (uint32_t)-shift & 31, round = ((1u << right) >> 1) + ((uint32_t)zero << right);
    uint32_t lift = right ? 0 : mult / 4; // TL_LIFT * mult / 2^21
    *r = (tl_requant_t){mult & 2047, (mult >> 11) & 1023, mult >> 21, (round << 10) + (1 << 9) - lift, right + 10};
}

#else

void tl_requant(tl_requant_t *r, uint32_t mult, int32_t shift, int32_t zero) {
    uint32_t right = (uint32_t)-shift & 31, round = ((1u << right) >> 1) + ((uint32_t)zero << right);
    uint32_t lift = right ? 0 : mult / 4; // TL_LIFT * mult / 2^31
    *r = (tl_requant_t){(int32_t)mult, (int32_t)(round - lift), (int32_t)right, {0, 0}};
}

// The high word of a * b, rounded
static inline int32_t high_word(int32_t a, int32_t b) {
#if TL_HALVES
    int32_t high;
    __asm__("smmulr %0, %1, %2" : "=r"(high) : "r"(a), "r"(b));
    return high;
#else
    const int64_t product = (int64_t)a * b;
    return (int32_t)(product >> 32) + (int32_t)((uint32_t)product >> 31);
#endif
}

static inline int8_t finish(int32_t acc, const tl_requant_t *r) {
    const int32_t high = high_word((int32_t)((uint32_t)acc * 2), r->mult);
    int32_t v = (int32_t)((uint32_t)high + (uint32_t)(high >> 31) + (uint32_t)r->round) >> r->shift;
#ifdef __ARM_FEATURE_SAT
    return (int8_t)__ssat(v, 8);
#else
    return (int8_t)(v < -128 ? -128 : v > 127 ? 127 : v);
#endif
}

#if !TL_HALVES // armv7em/dot4.S
void tl_dot4(const int8_t *x, uint32_t words, const uint32_t *panel, tl_dot4_t *d) {
    uint32_t a[TL_CHUNK + 1];
    const uint32_t *four = (const uint32_t *)x, *p = panel;
    for (uint32_t i = 0; i < words; i += 2) {
        uint32_t v = *four++ ^ 0x80808080;
        a[i] = tl_pair_of(v & TL_LANES);
        a[i + 1] = tl_pair_of((v >> 8) & TL_LANES);
    }
    const int32_t *start = d->start;
    int8_t *out = d->out;
    for (uint32_t quad = 0; quad < d->quads; quad++, start += 4) {
        int32_t s0 = start[0], s1 = start[1], s2 = start[2], s3 = start[3];
        for (uint32_t i = 0; i < words; i++, p += 4) {
            s0 = tl_products(s0, a[i], p[0]);
            s1 = tl_products(s1, a[i], p[1]);
            s2 = tl_products(s2, a[i], p[2]);
            s3 = tl_products(s3, a[i], p[3]);
        }
        if (d->raw) {
            int32_t *sums = (int32_t *)d->out + 4 * quad;
            sums[0] = s0;
            sums[1] = s1;
            sums[2] = s2;
            sums[3] = s3;
            continue;
        }
        const tl_requant_t *r = (const tl_requant_t *)p;
        *out++ = finish(s0, r);
        *out++ = finish(s1, r + 1);
        *out++ = finish(s2, r + 2);
        *out++ = finish(s3, r + 3);
        p = (const uint32_t *)(r + 4);
    }
}
#endif

// Two words of a panel from four weights, which are added to sums; and the sum of n weights that this makes
#if TL_HALVES
static inline uint32_t pack_four(uint32_t four, uint32_t *p, uint32_t sums) {
    const int16x2_t even = tl_even(four), odd = tl_odd(four), ones = 0x00010001;
    p[0] = (uint32_t)even;
    p[4] = (uint32_t)odd;
    return (uint32_t)__smlad(even, ones, __smlad(odd, ones, (int32_t)sums));
}

static inline int32_t sum_of(uint32_t sums, int32_t n) {
    (void)n;
    return (int32_t)sums;
}
#else
static inline uint32_t pack_four(uint32_t four, uint32_t *p, uint32_t sums) {
    const uint32_t v = four ^ 0x80808080, even = v & TL_LANES, odd = (v >> 8) & TL_LANES;
    p[0] = tl_weights_of(even);
    p[4] = tl_weights_of(odd);
    return sums + even + odd;
}

static inline int32_t sum_of(uint32_t sums, int32_t n) {
    return (int32_t)((sums & 0xffff) + (sums >> 16)) - 128 * tl_fours(n);
}
#endif

// One row; gives its sum.
static int32_t pack_row(const int8_t *w, int32_t n, uint32_t *p) {
    uint32_t sums = 0;
    int32_t left = n;
    for (; left >= 4; left -= 4, w += 4, p += 8) {
        sums = pack_four(tl_four(w), p, sums);
    }
    if (left > 0) {
        uint32_t v = 0;
        while (left > 0) {
            v = v << 8 | (uint8_t)w[--left];
        }
        sums = pack_four(v, p, sums);
    }
    return sum_of(sums, n);
}

void tl_pack_rows(const int8_t *w, int32_t n, uint32_t *p, tl_pack_rows_t *d) {
    for (int32_t i = d->rows; i > 0; i--, w += d->step) {
        *d->start++ -= d->zero * pack_row(w, n, p++);
    }
}

// ---- Rows of weights ------------------------------------------------------------------------------------------------

// Four of x less the zero point, each row's four meet them.
#if TL_HALVES
typedef struct {
    int16x2_t even, odd;
} four_t;

static inline four_t four_less(const int8_t *x, int32_t zero) {
    const int16x2_t less = (int16x2_t)tl_pair(-zero, -zero);
    return (four_t){tl_even_more(tl_four(x), less), tl_odd_more(tl_four(x), less)};
}

static inline int32_t add_dot(int32_t sum, four_t x, const int8_t *w) {
    const uint32_t four = tl_four(w);
    return __smlad(tl_odd(four), x.odd, __smlad(tl_even(four), x.even, sum));
}
#else
typedef struct {
    int32_t of[4];
} four_t;

static inline four_t four_less(const int8_t *x, int32_t zero) {
    return (four_t){{x[0] - zero, x[1] - zero, x[2] - zero, x[3] - zero}};
}

static inline int32_t add_dot(int32_t sum, four_t x, const int8_t *w) {
    return sum + w[0] * x.of[0] + w[1] * x.of[1] + w[2] * x.of[2] + w[3] * x.of[3];
}
#endif

static int32_t dot(const int8_t *x, const int8_t *w, int32_t n, int32_t zero, int32_t sum) {
    for (; n >= 4; n -= 4, x += 4, w += 4) {
        sum = add_dot(sum, four_less(x, zero), w);
    }
    for (; n > 0; n--) {
        sum += *w++ * (*x++ - zero);
    }
    return sum;
}

static void four_dots(const int8_t *x, const int8_t *w, int32_t n, int32_t zero, int32_t *sums) {
    const int8_t *v = w + 2 * n;
    const int32_t next = n;
    int32_t s0 = sums[0], s1 = sums[1], s2 = sums[2], s3 = sums[3];
    for (; n >= 4; n -= 4, x += 4, w += 4, v += 4) {
        const four_t four = four_less(x, zero);
        s0 = add_dot(s0, four, w);
        s1 = add_dot(s1, four, w + next);
        s2 = add_dot(s2, four, v);
        s3 = add_dot(s3, four, v + next);
    }
    for (; n > 0; n--, w++, v++) {
        const int32_t one = *x++ - zero;
        s0 += one * w[0];
        s1 += one * w[next];
        s2 += one * v[0];
        s3 += one * v[next];
    }
    sums[0] = s0;
    sums[1] = s1;
    sums[2] = s2;
    sums[3] = s3;
}

void tl_dots(const int8_t *x, const int8_t *w, int32_t rows, int32_t n, int32_t zero, int32_t *sums) {
    if (rows == TL_DOTS) {
        four_dots(x, w, n, zero, sums);
    } else {
        for (; rows > 0; rows--, w += n, sums++) {
            *sums = dot(x, w, n, zero, *sums);
        }
    }
}

// ---- Depthwise ------------------------------------------------------------------------------------------------------

// Three neighbouring pixels, and what a kernel row makes of them
typedef struct {
#if TL_HALVES
    uint32_t w01;
#else
    int32_t w0, w1;
#endif
    int32_t w2;
} row_t;

static inline row_t row_of(uint32_t w01, int32_t w2) {
#if TL_HALVES
    return (row_t){w01, w2};
#else
    return (row_t){(int32_t)(w01 + 0x8000) >> 16, (int16_t)w01, w2};
#endif
}

static inline int32_t add_row(int32_t acc, const row_t *row, const int8_t *left, int32_t channels) {
#if TL_HALVES
    acc = tl_products(acc, tl_pair(left[0], left[channels]), row->w01);
#else
    acc += row->w0 * left[0] + row->w1 * left[channels];
#endif
    return acc + row->w2 * left[2 * channels];
}

void tl_slide(const int8_t *x, const tl_slide_t *d) {
    const row_t top = row_of(d->w[0], d->w02), middle = row_of(d->w[1], d->w12), bottom = row_of(d->w[2], d->w22);
    const int32_t channels = d->channels, down = d->step + channels, start = d->start;
    for (int32_t column = d->columns; column > 0; column--) {
        const int8_t *end = x + d->height;
        int32_t ends = 0, goes_on = d->start_top, begins = 0;
        for (int32_t i = d->warm; i > 0; i--, x += down) {
            ends = add_row(goes_on, &middle, x, channels);
            goes_on = add_row(start, &top, x, channels);
        }
        for (; x != end; ends = goes_on, goes_on = begins) {
            ends = add_row(ends, &bottom, x, channels);
            goes_on = add_row(goes_on, &middle, x, channels);
            begins = add_row(start, &top, x, channels);
            x += down;
            *(int8_t *)((uintptr_t)x + (uintptr_t)d->out) = finish(ends, &d->requant);
        }
        if (d->pad_bottom) {
            *(int8_t *)((uintptr_t)x + (uintptr_t)d->out_last) = finish(ends + d->bottom, &d->requant);
        }
        x += d->next;
    }
}

void tl_line(const int8_t *x, int8_t *y, const tl_line_t *d) {
    const int32_t w0 = d->w[0], w1 = d->w[1], w2 = d->w[2], start = d->start, zero = d->zero, step = d->step;
    const int8_t *end = x + d->n * step;
    const tl_requant_t requant = d->requant;
    int32_t ends = start + w0 * zero;
    if (!d->left) {
        ends = start + w0 * *x;
        x += step;
    }
    ends += w1 * *x;
    int32_t goes_on = start + w0 * *x;
    x += step;
    const uintptr_t out = (uintptr_t)y - (uintptr_t)x;
    for (; x != end; x += step) {
        const int32_t v = *x, sum = ends + w2 * v;
        ends = goes_on + w1 * v;
        goes_on = start + w0 * v;
        *(int8_t *)((uintptr_t)x + out) = finish(sum, &requant);
    }
    if (d->right) {
        *(int8_t *)((uintptr_t)x + out) = finish(ends + w2 * zero, &requant);
    }
}

// ---- Four channels --------------------------------------------------------------------------------------------------

typedef struct {
    int32_t a, b, c, d;
} sums_t;

// The sums of four channels and one tap more: w[i] * (x[i] - zero), or x[0] of all where they share it
#if TL_HALVES
static inline sums_t add_tap(sums_t s, const int8_t *x, const int8_t *w, int32_t zero, bool shared) {
    const int16x2_t even = tl_even(tl_four(w)), odd = tl_odd(tl_four(w));
    if (shared) {
        const int32_t v = *x - zero;
        return (sums_t){__smlabb(v, even, s.a), __smlabb(v, odd, s.b), __smlabt(v, even, s.c), __smlabt(v, odd, s.d)};
    }
    const int16x2_t less = (int16x2_t)tl_pair(-zero, -zero);
    const uint32_t four = tl_four(x);
    const int16x2_t x_even = tl_even_more(four, less), x_odd = tl_odd_more(four, less);
    return (sums_t){
        __smlabb(x_even, even, s.a), __smlabb(x_odd, odd, s.b), __smlatt(x_even, even, s.c), __smlatt(x_odd, odd, s.d)};
}
#else
static inline sums_t add_tap(sums_t s, const int8_t *x, const int8_t *w, int32_t zero, bool shared) {
    const int32_t first = x[0] - zero;
    s.a += first * w[0];
    s.b += (shared ? first : x[1] - zero) * w[1];
    s.c += (shared ? first : x[2] - zero) * w[2];
    s.d += (shared ? first : x[3] - zero) * w[3];
    return s;
}
#endif

static __attribute__((noinline)) void put_any(int8_t *y, sums_t s, const tl_quad_t *d) {
    const int32_t sums[4] = {s.a, s.b, s.c, s.d};
    for (int32_t i = 0; i < 4; i++) {
        y[i] = tl_clamp(tl_requantize(sums[i], d->of.mult[i], d->of.shift[i]), d->y_zero, -128, 127);
    }
}

static inline __attribute__((always_inline)) void region(const tl_quad_t *d, const tl_region_t *r, const bool shared) {
    const int8_t *x_run = d->of.x + r->x;
    int8_t *y_run = d->of.y + r->y;
    const int32_t x_tap = d->x_tap, w_tap = d->w_tap, zero = d->x_zero;
    for (int32_t runs = r->runs.n; runs > 0; runs--, x_run += r->runs.x, y_run += r->runs.y) {
        const int8_t *x_first = x_run;
        int8_t *y = y_run;
        for (int32_t n = r->run.n; n > 0; n--, x_first += r->run.x, y += r->run.y) {
            const int8_t *x = x_first, *w = d->of.w + r->w;
            sums_t s = {d->start[0], d->start[1], d->start[2], d->start[3]};
            for (int32_t rows = r->rows; rows > 0; rows--, x += r->x_gap, w += r->w_gap) {
                for (const int8_t *end = x + r->x_row; x != end; x += x_tap, w += w_tap) {
                    s = add_tap(s, x, w, zero, shared);
                }
            }
            if (d->small) {
                y[0] = finish(s.a, d->requant);
                y[1] = finish(s.b, d->requant + 1);
                y[2] = finish(s.c, d->requant + 2);
                y[3] = finish(s.d, d->requant + 3);
            } else {
                put_any(y, s, d);
            }
        }
    }
}

void tl_quad(const tl_quad_t *d, const tl_region_t *r) {
    if (d->shared) {
        region(d, r, true);
    } else {
        region(d, r, false);
    }
}

void tl_ring(const uint32_t *at, void *y, uint32_t n, const tl_ring_t *d) {
    int8_t *out = y;
    for (; n > 0; n--, out += d->y_step, at += d->stride / 4) {
        const uint32_t *row = at, *w = d->w;
        int32_t acc = d->start;
        do {
            const uint32_t *pair = row;
            for (uint32_t i = d->pairs; i > 0; i--, pair += d->right / 4) {
                acc = tl_products(acc, *pair, *w++);
            }
            row += d->down / 4;
            row -= row >= d->end ? d->around / 4 : 0;
        } while (w != d->w_end);
        if (d->raw) {
            *(int32_t *)out = acc;
        } else {
            *out = finish(acc, &d->requant);
        }
    }
}
#endif
