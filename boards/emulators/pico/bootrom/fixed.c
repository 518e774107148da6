// Floating point to fixed point: floor(x * 2**fraction_bits), held at the ends of the range.
#include "bootrom.h"

typedef union {
    double d;
    uint64_t u;
} bits_t;

// |x| * 2**fraction_bits as magnitude, and whether anything was cut off below it. Magnitudes from 2**64 are all ones.
static uint64_t magnitude(double x, int fraction_bits, bool *cut) {
    bits_t v = {x};
    int exponent = (int)(v.u >> 52 & 0x7ff);
    *cut = false;
    if (exponent == 0) {
        return 0;
    }
    uint64_t mantissa = (v.u & 0xfffffffffffffu) | (uint64_t)1 << 52;
    // beyond these no result depends on the fraction bits any more, and the sum cannot overflow
    fraction_bits = fraction_bits > 4096 ? 4096 : fraction_bits < -4096 ? -4096 : fraction_bits;
    int shift = exponent - 1075 + fraction_bits;
    if (exponent == 0x7ff || shift > 11) {
        return ~(uint64_t)0;
    }
    if (shift >= 0) {
        return mantissa << shift;
    }
    if (shift <= -64) {
        *cut = true;
        return 0;
    }
    *cut = (mantissa & (((uint64_t)1 << -shift) - 1)) != 0;
    return mantissa >> -shift;
}

int64_t fixed_signed(double x, int fraction_bits, unsigned width) {
    bool cut;
    uint64_t m = magnitude(x, fraction_bits, &cut), limit = (uint64_t)1 << (width - 1);
    if ((bits_t){x}.u >> 63) {
        m += cut; // towards minus infinity
        return m >= limit ? -(int64_t)(limit - 1) - 1 : -(int64_t)m;
    }
    return m >= limit ? (int64_t)(limit - 1) : (int64_t)m;
}

uint64_t fixed_unsigned(double x, int fraction_bits, unsigned width) {
    bool cut;
    uint64_t m = magnitude(x, fraction_bits, &cut), limit = ~(uint64_t)0 >> (64 - width);
    if ((bits_t){x}.u >> 63) {
        return 0;
    }
    return m > limit ? limit : m;
}
