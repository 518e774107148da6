#include "update.h"

#include <stddef.h>

#include "fast_grad.h"

#include "random.h"

// v * 2^by, |v| < 2^30: to an integer at random, within +-limit
static int32_t round_randomly(tl_update_t *u, int32_t v, int32_t by, int32_t limit) {
    if (by < -30) { // a bit of 2^-30 is enough of a chance
        v = tl_shift(v, by + 30 < -31 ? -32 : by + 30);
        by = -30;
    }
    if (v == 0) {
        return 0;
    }
    if (by < 0) {
        v = (v + (int32_t)(tl_random(&u->random) >> (32 + by))) >> -by;
    } else if (by > 30 || tl_size(v) > (uint32_t)limit >> by) {
        return v < 0 ? -limit : limit;
    } else {
        v = v * (1 << by);
    }
    return v > limit ? limit : v < -limit ? -limit : v;
}

static int32_t within(int32_t v, int32_t limit) {
    return v > limit ? limit : v < -limit ? -limit : v;
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

void tl_update_weights(tl_update_t *u, int8_t *w, int32_t step, const int16_t *list, int32_t n, const int32_t *sum,
    int32_t exponent, tl_rate_t rate, int16_t *buffer) {
    const int32_t top = tl_top_bits(sum, n), cut = top > 15 ? top - 15 : 0;
    const int32_t by = exponent + rate.exponent + cut;
    if (!buffer && !list && n > 0 && by < 0 && tl_fast_update(u, w, step, n, sum, cut, by, rate.mantissa)) {
        return;
    }
    for (int32_t i = 0; i < n; i++) {
        const int32_t v = tl_shift(sum[i], -cut) * rate.mantissa;
        int32_t move = round_randomly(u, v, buffer ? by + 8 : by, buffer ? 32767 : 255);
        if (buffer) {
            move = through_buffer(u, buffer + i, move);
        }
        if (move) {
            int8_t *at = list ? w + list[i] : w + i * step;
            *at = (int8_t)within(*at - move, 127);
        }
    }
}

void tl_update_bias(
    tl_update_t *u, int32_t *b, int32_t limit, int32_t sum, int32_t exponent, tl_rate_t rate, int32_t *buffer) {
    enum { MOST = 1 << 29 };
    const int32_t top = tl_top_bits(&sum, 1), cut = top > 15 ? top - 15 : 0;
    const int32_t v = tl_shift(sum, -cut) * rate.mantissa;
    int32_t move = round_randomly(u, v, exponent + rate.exponent + cut, MOST);
    if (buffer) {
        const int32_t past = within(*buffer, MOST);
        move += u->mode == TL_MOMENTUM ? (past >> 8) * u->momentum + (((past & 255) * u->momentum) >> 8) : past;
        move = within(move, MOST);
        *buffer = u->mode == TL_APPLY ? 0 : move;
        move = u->mode == TL_ACCUMULATE ? 0 : move;
    }
    const int64_t to = (int64_t)*b - move;
    *b = to > limit ? limit : to < -limit ? -limit : (int32_t)to;
}
