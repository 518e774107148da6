#include "elements.h"

#include "gradient.h"

// On the Cortex-M0+ the loops are assembly, armv6m/elements.S, which adds half of what is cut before it shifts.
#ifdef __ARM_ARCH_6M__
void tl_m0_scale_apart(void *at, const void *end, int32_t step, int32_t width, const tl_through_t *through);
void tl_m0_narrow(void *at, const void *end, const int32_t *from, int32_t width, const tl_through_t *through);

void tl_scale_apart(void *at, const void *end, int32_t step, int32_t width, const tl_through_t *through) {
    tl_through_t t = *through;
    if (t.by < -30) { // of products below 2^30 nothing is left
        t.mantissa = t.by = 0;
    } else if (t.by > 0) { // at most 14, or all are 0
        t.mantissa <<= t.by & 15;
        t.by = 0;
    }
    tl_m0_scale_apart(at, end, step, width, &t);
}
#else
int32_t tl_top_bits(const int32_t *v, const int32_t *end, int32_t off) {
    uint32_t any = 0;
    for (; end - v >= 4; v += 4) {
        any |= tl_size(v[0] - off) | tl_size(v[1] - off) | tl_size(v[2] - off) | tl_size(v[3] - off);
    }
    while (v < end) {
        any |= tl_size(*v++ - off);
    }
    return tl_bits(any);
}

// Each loop is there for either width.
#define OF_WIDTH static inline __attribute__((always_inline))

OF_WIDTH int32_t sum_apart(const char *g, const char *end, int32_t step, int32_t width) {
    int32_t sum = 0;
    for (; g != end; g += step) {
        sum += tl_grad_value(g, width, 0);
    }
    return sum;
}

int32_t tl_sum_apart(const void *at, const void *end, int32_t step, int32_t width) {
    return tl_is_wide(width) ? sum_apart(at, end, step, 16) : sum_apart(at, end, step, 8);
}

OF_WIDTH uint32_t most_apart(const char *g, const char *end, int32_t step, int32_t width) {
    int32_t most = 0, least = 0;
    for (; g != end; g += step) {
        const int32_t v = tl_grad_value(g, width, 0);
        most = v > most ? v : most;
        least = v < least ? v : least;
    }
    return (uint32_t)(most > -least ? most : -least);
}

uint32_t tl_most_apart(const void *at, const void *end, int32_t step, int32_t width) {
    return tl_is_wide(width) ? most_apart(at, end, step, 16) : most_apart(at, end, step, 8);
}

void tl_fill(int32_t *v, int32_t n, int32_t value) {
    for (; n >= 4; n -= 4, v += 4) {
        v[0] = v[1] = v[2] = v[3] = value;
    }
    for (; n > 0; n--) {
        *v++ = value;
    }
}
#endif

static void put(void *at, int32_t width, int32_t v, int32_t limit) {
#ifdef __ARM_ARCH_6M__
    v = v > limit ? limit : v < -limit ? -limit : v;
#else
    if ((uint32_t)v + (uint32_t)limit > 2 * (uint32_t)limit) { // seldom
        v = v > 0 ? limit : -limit;
    }
#endif
    if (!tl_is_wide(width)) {
        *(int8_t *)at = (int8_t)v;
    } else {
        *(int16_t *)at = (int16_t)v;
    }
}

#ifndef __ARM_ARCH_6M__
// Mostly it goes down by up to 31 bits.
OF_WIDTH void scale_apart(char *g, const char *end, int32_t step, int32_t width, tl_through_t t) {
    if (t.by < 0 && t.by >= -31) {
        for (const int32_t by = -t.by - 1; g != end; g += step) {
            put(g, width, ((tl_grad_value(g, width, 0) * t.mantissa >> by) + 1) >> 1, t.limit);
        }
    }
    for (; g != end; g += step) {
        put(g, width, tl_shift(tl_grad_value(g, width, 0) * t.mantissa, t.by), t.limit);
    }
}

void tl_scale_apart(void *at, const void *end, int32_t step, int32_t width, const tl_through_t *through) {
    if (tl_is_wide(width)) {
        scale_apart(at, end, step, 16, *through);
    } else {
        scale_apart(at, end, step, 8, *through);
    }
}

OF_WIDTH void narrow(char *g, const char *end, const int32_t *from, int32_t width, tl_through_t t) {
    if (t.by < 0 && t.by >= -31) {
        for (const int32_t by = -t.by - 1; g != end; g += width / 8) {
            put(g, width, ((*from++ >> by) + 1) >> 1, t.limit);
        }
    }
    for (; g != end; g += width / 8) {
        put(g, width, tl_shift(*from++, t.by), t.limit);
    }
}

void tl_narrow(void *at, const void *end, const int32_t *from, int32_t width, const tl_through_t *through) {
    if (tl_is_wide(width)) {
        narrow(at, end, from, 16, *through);
    } else {
        narrow(at, end, from, 8, *through);
    }
}
#else
void tl_narrow(void *at, const void *end, const int32_t *from, int32_t width, const tl_through_t *through) {
    const tl_through_t t = *through;
    if (t.by < 0 && t.by >= (tl_is_wide(width) ? -15 : -23)) { // what fits its width after that is below 2^30
        tl_m0_narrow(at, end, from, width, through);
        return;
    }
    for (char *g = at; g != end; g += width / 8) {
        put(g, width, tl_shift(*from++, t.by), t.limit);
    }
}
#endif
