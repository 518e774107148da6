#include "elements.h"

#include "gradient.h"

// On the Cortex-M0+ the loops are assembly, armv6m/elements.S: all of them, or for shifts to the right, where the value
// and half of what is cut fit an int32. Of tl_narrow they do, since what it gives fits its width.
#ifdef __ARM_ARCH_6M__
void tl_m0_scale_apart(void *at, const void *end, int32_t step, int32_t width, const tl_through_t *through);
void tl_m0_narrow(void *at, const void *end, const int32_t *from, int32_t width, const tl_through_t *through);
#define FAST(least, call)                                                                                              \
    if (through->by < 0 && through->by >= (least)) {                                                                   \
        call;                                                                                                          \
        return;                                                                                                        \
    }
#else
#define FAST(least, call)

int32_t tl_top_bits(const int32_t *v, const int32_t *end, int32_t off) {
    uint32_t any = 0;
    while (v < end) {
        any |= tl_size(*v++ - off);
    }
    return tl_bits(any);
}

int32_t tl_sum_apart(const void *at, const void *end, int32_t step, int32_t width) {
    int32_t sum = 0;
    for (const char *g = at; g != end; g += step) {
        sum += tl_grad_value(g, width, 0);
    }
    return sum;
}

uint32_t tl_most_apart(const void *at, const void *end, int32_t step, int32_t width) {
    uint32_t most = 0;
    for (const char *g = at; g != end; g += step) {
        const uint32_t size = tl_size(tl_grad_value(g, width, 0));
        most = size > most ? size : most;
    }
    return most;
}

void tl_fill(int32_t *v, int32_t n, int32_t value) {
    for (int32_t *end = v + n; v < end; v++) {
        *v = value;
    }
}
#endif

static void put(void *at, int32_t width, int32_t v, int32_t limit) {
    v = v > limit ? limit : v < -limit ? -limit : v;
    if (!tl_is_wide(width)) {
        *(int8_t *)at = (int8_t)v;
    } else {
        *(int16_t *)at = (int16_t)v;
    }
}

void tl_scale_apart(void *at, const void *end, int32_t step, int32_t width, const tl_through_t *through) {
    FAST(-30, tl_m0_scale_apart(at, end, step, width, through))
    const tl_through_t t = *through;
    for (char *g = at; g != end; g += step) {
        put(g, width, tl_shift(tl_grad_value(g, width, 0) * t.mantissa, t.by), t.limit);
    }
}

void tl_narrow(void *at, const void *end, const int32_t *from, int32_t width, const tl_through_t *through) {
    FAST(tl_is_wide(width) ? -15 : -23, tl_m0_narrow(at, end, from, width, through))
    const tl_through_t t = *through;
    for (char *g = at; g != end; g += width / 8) {
        put(g, width, tl_shift(*from++, t.by), t.limit);
    }
}
