// From an int32 sum to an output's scale, with the bits of the TFLite int8 specification.

#ifndef TL_REQUANTIZE_H
#define TL_REQUANTIZE_H

#include "tl.h"

// The Cortex-M0+ multiplies 32 x 32 to 32 bits only; a wider product is a library call there. Both forms of each
// function below give the same bits; tests/kernels compare them.
#ifndef TL_SPLIT_MULTIPLY
#ifdef __ARM_ARCH_6M__
#define TL_SPLIT_MULTIPLY 1
#else
#define TL_SPLIT_MULTIPLY 0
#endif
#endif

// a * b of 64 bits
static inline uint64_t tl_wide_multiply(uint32_t a, uint32_t b) {
#if TL_SPLIT_MULTIPLY
    uint32_t a_low = a & 0xffff, b_low = b & 0xffff, a_high = a >> 16, b_high = b >> 16;
    uint32_t low = a_low * b_low, middle = a_high * b_low + (low >> 16);
    uint32_t carry = middle >> 16;
    middle = (middle & 0xffff) + a_low * b_high;
    return (uint64_t)(a_high * b_high + carry + (middle >> 16)) << 32 | (middle << 16 | (low & 0xffff));
#else
    return (uint64_t)a * b;
#endif
}

#if defined(__ARM_ARCH_6M__) && !defined(TL_REQUANTIZE_C)
int32_t tl_high_multiply(int32_t a, int32_t b);
int32_t tl_divide_by_power(int32_t v, int32_t k);
int32_t tl_requantize(int32_t acc, int32_t mult, int32_t shift);
int8_t tl_clamp(int32_t v, int32_t zero, int32_t min, int32_t max);
#else
// floor((a * b + 2^30) / 2^31): gemmlowp's saturating rounding doubling high multiply, where not both are INT32_MIN.
TL_SHARED int32_t tl_high_multiply(int32_t a, int32_t b) {
#if TL_SPLIT_MULTIPLY
    // a * b = high * 2^32 + (one + two) * 2^16 + low. (one + two) may take 33 bits, so their halves are shifted apart.
    int32_t a_high = a >> 16, b_high = b >> 16;
    uint32_t a_low = a & 0xffff, b_low = b & 0xffff;
    int32_t one = a_high * (int32_t)b_low;
    int32_t two = (int32_t)a_low * b_high + (int32_t)((a_low * b_low) >> 16) + (1 << 14);
    int32_t middle = (one >> 15) + (two >> 15) + (((one & 0x7fff) + (two & 0x7fff)) >> 15);
    return (int32_t)((uint32_t)(a_high * b_high) * 2 + (uint32_t)middle);
#else
    return (int32_t)(((int64_t)a * b + (1 << 30)) >> 31);
#endif
}

// v / 2^k to the nearest integer, ties away from zero. v is a result of tl_high_multiply: within +-(2^31 - 1).
TL_SHARED int32_t tl_divide_by_power(int32_t v, int32_t k) {
    if (k == 0) {
        return v;
    }
    return (((v + (v >> 31)) >> (k - 1)) + 1) >> 1;
}

// acc * mult * 2^(shift - 31), rounded twice as TFLite rounds. mult in [0, 2^31), shift in -31 .. 30, positive is left.
TL_SHARED int32_t tl_requantize(int32_t acc, int32_t mult, int32_t shift) {
    if (shift > 0) {
        return tl_high_multiply((int32_t)((uint32_t)acc << shift), mult);
    }
    return tl_divide_by_power(tl_high_multiply(acc, mult), -shift);
}

// zero + v within [min, max], without overflow
TL_SHARED int8_t tl_clamp(int32_t v, int32_t zero, int32_t min, int32_t max) {
    min -= zero;
    max -= zero;
    return (int8_t)((v < min ? min : v > max ? max : v) + zero);
}
#endif

#endif
