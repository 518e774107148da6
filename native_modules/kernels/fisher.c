#include "fisher.h"

// to += value * 2^exponent, value in 1 .. 2^31 - 1
static void add(tl_fisher_t *to, uint32_t value, int32_t exponent) {
    const int32_t up = 31 - tl_bits(value);
    value <<= up;
    exponent -= up;
    const int64_t apart = (int64_t)to->exponent - exponent;
    if (to->mantissa == 0 || apart < -31) {
        *to = (tl_fisher_t){(int32_t)value, exponent};
    } else if (apart <= 31) {
        const int32_t down = apart < 0 ? (int32_t)apart : 0, up_to = apart < 0 ? 0 : (int32_t)apart;
        uint32_t sum = (uint32_t)tl_shift(to->mantissa, down) + (uint32_t)tl_shift((int32_t)value, -up_to);
        exponent += up_to;
        if (sum >> 31) {
            sum = (sum >> 1) + (sum & 1);
            exponent++;
        }
        *to = (tl_fisher_t){(int32_t)(sum & INT32_MAX), exponent};
    }
}

void tl_fisher(tl_fisher_t *into, int32_t channels, const int8_t *a, int32_t zero, const tl_grad_t *g) {
    enum { BITS = 15 };
    for (int32_t c = 0; c < channels; c++) {
        int64_t sum = 0;
        for (int32_t i = c; i < g->n; i += channels) {
            sum += (a[i] - zero) * tl_grad_get(g, i);
        }
        uint64_t size = sum < 0 ? (uint64_t)-sum : (uint64_t)sum;
        int32_t exponent = g->exponent;
        for (; size >> (BITS + 16); exponent += 8) {
            size >>= 8;
        }
        const int32_t cut = tl_bits((uint32_t)size) - BITS;
        if (cut > 0) {
            size = (uint32_t)tl_shift((int32_t)size, -cut);
            exponent += cut;
        }
        if (size) {
            add(into + c, (uint32_t)(size * size), 2 * exponent);
        }
    }
}
