#include "update.h"

#include <stddef.h>

#include "elements.h"
#include "fast_grad.h"

#include "random.h"

#define SIGN 0x80000000u // of a word
#define FARTHEST 32767u

static int32_t within(int32_t v, int32_t limit) {
    return v > limit ? limit : v < -limit ? -limit : v;
}

// v * 2^by, |v| < 2^30: to an integer at random, within +-limit
static int32_t round_randomly(tl_update_t *u, int32_t v, int32_t by, int32_t limit) {
    if (by < -30) { // a bit of 2^-30 is enough of a chance
        v = tl_shift(v, by + 30);
        by = -30;
    }
    if (by < 0) {
        v = v ? (v + (int32_t)(tl_random(&u->random) >> (32 + by))) >> -by : 0;
    } else {
        by = by > 30 ? 30 : by;
        v = tl_size(v) > (uint32_t)limit >> by ? (v < 0 ? -limit : limit) : v * (1 << by);
    }
    return within(v, limit);
}

// How far the weight goes, from a step with 8 fractional bits
static int32_t through_buffer(tl_update_t *u, int16_t *buffer, int32_t step) {
    enum { MOST = 32767 };
    if (u->mode == TL_MOMENTUM) {
        *buffer = (int16_t)within(round_randomly(u, *buffer * u->momentum, -8, MOST) + step, MOST);
        return round_randomly(u, *buffer, -8, MOST);
    }
    const int32_t sum = within(*buffer + step, MOST);
    const int32_t whole = u->mode == TL_APPLY ? (sum + 128) >> 8 : 0;
    *buffer = (int16_t)(sum - whole * 256);
    return whole;
}

// What a row of sums has to know of them
static void measure(tl_row_t *row) {
    const int32_t *sums = (const int32_t *)row->words, top = tl_top_bits(sums, sums + row->n, row->off);
    row->exponent = top > 15 ? top - 15 : 0;
    row->bits = top > 15 ? 16 : top ? top : 1;
}

// Size to nearest, and sign, in the place of each sum
static void take_words(tl_row_t *row) {
    const uint32_t half = 1u << row->exponent >> 1;
    for (int32_t i = 0; i < row->n && row->sums; i++) {
        const int32_t v = (int32_t)row->words[i] - row->off;
        row->words[i] = ((tl_size(v) + half) >> row->exponent) | ((uint32_t)v & SIGN);
    }
    row->sums = false;
}

tl_row_t tl_update_input(const int8_t *x, int32_t zero, const tl_channels_t *in, uint32_t *words) {
    const int16_t *list = in->list;
    uint32_t any = 1;
    x += list ? 0 : in->first;
    for (int32_t i = 0; i < in->count; i++) {
        const int32_t v = x[list ? list[i] : i] - zero, sign = v >> 31;
        const uint32_t size = (uint32_t)((v ^ sign) - sign);
        any |= size;
        *words++ = size | ((uint32_t)sign & SIGN);
    }
    return (tl_row_t){words - in->count, in->count, 0, tl_bits(any), NULL, 0, false, NULL};
}

void tl_update_sixteens(tl_row_t *row, uint32_t *sixteens) {
    const uint32_t *word = row->words, *end = word + row->n;
    row->sixteens = sixteens;
    while (word < end) {
        uint32_t sum = 0;
        for (int32_t i = 16; i > 0 && word < end; i--) {
            sum += *word++ & ~SIGN;
        }
        *sixteens++ = sum;
    }
}

// What one unit of a size is as a step: its whole part, and its fraction times 2^32. Fractions are even, so a word
// times one is a size times one: the sign is multiplied out.
static tl_unit_t unit(tl_ratio_t r) {
    const uint32_t size = tl_size(r.mantissa);
    const int32_t by = r.exponent;
    uint32_t whole, fraction = 0;
    if (by >= 0) {
        whole = by > 30 || size > FARTHEST >> by ? (size ? FARTHEST : 0) : size << by;
    } else {
        whole = by < -31 ? 0 : size >> -by;
        fraction = (uint32_t)tl_shift((int32_t)size, 32 + by);
    }
    return (tl_unit_t){whole < FARTHEST ? whole : FARTHEST, fraction & ~1u, r.mantissa < 0 ? SIGN : 0};
}

// A step's size, rounded up where *sum of the fractions, a sum modulo 1, passes 1
static int32_t step_size(uint32_t size, tl_unit_t unit, uint32_t *sum) {
    const uint32_t low = size * unit.fraction;
    const uint32_t high =
        size * (unit.fraction >> 16) + (size * (unit.fraction & 0xffff) >> 16); // of 16 bits and 32: 16 bits above low
    *sum += low;
    return (int32_t)(size * unit.whole + (high >> 16) + (*sum < low));
}

void tl_update_weights(tl_update_t *u, int8_t *w, int32_t step, tl_row_t *row, tl_ratio_t rate, int16_t *buffer) {
    buffer = TL_LEAN ? NULL : buffer;
    const int16_t *list = row->list;
    const int32_t most = buffer ? 32767 : 255;
    if (row->sums) {
        measure(row);
    }
    rate.exponent += row->exponent + (buffer ? 8 : 0);
    const tl_unit_t t = unit(rate);
    if (!buffer && (t.whole | t.fraction) == 0) {
        return;
    }
    uint32_t sum = tl_random(&u->random);
    const bool below_1 = (t.whole | t.fraction >> (32 - row->bits)) == 0; // every step
    if (!buffer && !list && below_1 && tl_fast_update(w, step, row, &t, sum)) {
        return;
    }
    take_words(row);
    for (int32_t i = 0; i < row->n; i++) {
        int32_t move = step_size(row->words[i] & ~SIGN, t, &sum);
        move = move > most ? most : move;
        move = (row->words[i] ^ t.sign) & SIGN ? -move : move;
        if (buffer) {
            move = through_buffer(u, buffer + i, move);
        }
        if (move) {
            int8_t *at = list ? w + list[i] : w + i * step;
            *at = (int8_t)within(*at - move, 127);
        }
    }
}

void tl_update_bias(tl_update_t *u, int32_t *b, int32_t limit, int32_t sum, tl_ratio_t rate, int32_t *buffer) {
    enum { MOST = 1 << 29 };
    const int32_t top = tl_bits(tl_size(sum)), cut = top > 15 ? top - 15 : 0;
    const int32_t v = tl_shift(sum, -cut) * rate.mantissa;
    int32_t move = round_randomly(u, v, rate.exponent + cut, MOST);
    if (!TL_LEAN && buffer) {
        const int32_t past = within(*buffer, MOST);
        move += u->mode == TL_MOMENTUM ? (past >> 8) * u->momentum + (((past & 255) * u->momentum) >> 8) : past;
        move = within(move, MOST);
        *buffer = u->mode == TL_APPLY ? 0 : move;
        move = u->mode == TL_ACCUMULATE ? 0 : move;
    }
    if (move > 0 && *b < move - limit) {
        *b = -limit;
    } else if (move < 0 && *b > move + limit) {
        *b = limit;
    } else {
        *b = within(*b - move, limit);
    }
}

static tl_ratio_t next_rate(const tl_steps_t *s, const tl_rate_t **rates) {
    const tl_rate_t *rate = (*rates)++;
    return (tl_ratio_t){rate->mantissa, s->exponent + rate->exponent};
}

// The rows of one channel's weights
static void update_rows(tl_steps_t *s, int32_t total) {
    tl_ratio_t rate = next_rate(s, &s->rates);
    int8_t *w = s->w;
    int32_t *sums = s->sums;
    rate.mantissa *= s->outer ? total : 1;
    s->row.off = s->zero * total;
    for (int32_t left = s->rows; left > 0; left--, w += s->next_row, sums += s->row.n) {
        if (!s->outer) {
            s->row.words = (uint32_t *)sums;
            s->row.sums = true;
        }
        tl_update_weights(s->u, w, s->step, &s->row, rate, s->buffer);
        s->buffer = s->buffer ? s->buffer + s->row.n : NULL;
    }
    s->w += s->next_channel;
    s->sums += s->next_sums;
}

void tl_update_channels(tl_steps_t *s, int32_t n) {
    for (; n > 0; n--) {
        const int32_t total = s->gradients ? *s->gradients++ : *s->totals++;
        if (s->rates) {
            update_rows(s, total);
        }
        if (s->bias_rates) {
            tl_update_bias(s->u, s->b++, s->most, total, next_rate(s, &s->bias_rates), s->bias_buffer);
            s->bias_buffer = s->bias_buffer ? s->bias_buffer + 1 : NULL;
        }
    }
}
