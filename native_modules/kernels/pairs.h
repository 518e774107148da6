// Two products per multiplication: two activations share a word, two weights another, and tl_products adds the sum of
// their products. On processors with SMLAD a word is two int16. On all others it is a sum: a = a0 + (a1 << 16), and the
// weights crosswise w = w1 + (w0 << 16), both signed, so that a borrow travels up. Then
//     a * w = ((a0 * w0 + a1 * w1) << 16) + a0 * w1        modulo 2^32
// The sum in the middle fits 16 bits while |w| <= 127. Shifting it down leaves the sign of the low product as a borrow,
// which 2^15 added before gives back. The Cortex-M0+ multiplies 32 x 32 to 32 bits in one cycle and finds that bit in
// the carry: three cycles for two exact products.

#ifndef TL_PAIRS_H
#define TL_PAIRS_H

#include <stdint.h>

#if defined(__ARM_FEATURE_DSP) && defined(__ARM_ARCH_PROFILE) && __ARM_ARCH_PROFILE == 'M'
#include <arm_acle.h>
#define TL_HALVES 1
#else
#define TL_HALVES 0
#endif

// Two activations, and the two weights that meet them in this order.
static inline uint32_t tl_pair(int32_t a0, int32_t a1) {
#if TL_HALVES
    return (uint16_t)a0 | (uint32_t)a1 << 16;
#else
    return (uint32_t)a0 + ((uint32_t)a1 << 16);
#endif
}

static inline uint32_t tl_weights(int32_t w0, int32_t w1) {
#if TL_HALVES
    return tl_pair(w0, w1);
#else
    return tl_pair(w1, w0);
#endif
}

enum { TL_LANES = 0x00ff00ff, TL_SIGNS = 0x00800080 };

// The same of bytes 0 and 2 of a word, with 128 added to each.
static inline uint32_t tl_pair_of(uint32_t lanes) {
#if TL_HALVES
    return __usub16(lanes, TL_SIGNS);
#else
    return lanes - TL_SIGNS;
#endif
}

static inline uint32_t tl_weights_of(uint32_t lanes) {
#if TL_HALVES
    return tl_pair_of(lanes);
#else
    return tl_pair_of(lanes >> 16 | lanes << 16);
#endif
}

// acc + a0 * w0 + a1 * w1
static inline int32_t tl_products(int32_t acc, uint32_t a, uint32_t w) {
#if TL_HALVES
    return __smlad((int16x2_t)a, (int16x2_t)w, acc);
#else
    return acc + ((int32_t)(a * w + 0x8000) >> 16);
#endif
}

// Four bytes of an image or of weights, which may lie anywhere
static inline uint32_t tl_four(const int8_t *at) {
    uint32_t four;
    __builtin_memcpy(&four, at, 4);
    return four;
}

#if TL_HALVES
// Bytes 0 and 2 of four, and bytes 1 and 3
static inline int16x2_t tl_even(uint32_t four) {
    return __sxtb16((int8x4_t)four);
}

static inline int16x2_t tl_odd(uint32_t four) { // the compiler would rotate first
    int16x2_t odd;
    __asm__("sxtb16 %0, %1, ror #8" : "=r"(odd) : "r"(four));
    return odd;
}

// The same, more by what they are given
static inline int16x2_t tl_even_more(uint32_t four, int16x2_t by) {
    return __sxtab16(by, (int8x4_t)four);
}

static inline int16x2_t tl_odd_more(uint32_t four, int16x2_t by) {
    int16x2_t odd;
    __asm__("sxtab16 %0, %1, %2, ror #8" : "=r"(odd) : "r"(by), "r"(four));
    return odd;
}
#endif

#endif
