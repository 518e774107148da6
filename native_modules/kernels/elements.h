// The loops over all elements of a gradient. at .. end: elements of 8 or 16 bits, `step` bytes apart.

#ifndef TL_ELEMENTS_H
#define TL_ELEMENTS_H

#include <stdint.h>

// How many bits the largest |v - off| has
int32_t tl_top_bits(const int32_t *v, const int32_t *end, int32_t off);

void tl_fill(int32_t *v, int32_t n, int32_t value);

#define tl_clear(v, n) tl_fill(v, n, 0)

int32_t tl_sum_apart(const void *at, const void *end, int32_t step, int32_t width);

#ifdef __ARM_ARCH_6M__
// Clears those bytes whose bits are 0 in the mask. at, end: multiples of 8 bytes apart, on multiples of 4
void tl_m0_mask(void *at, const void *end, const uint8_t *mask);
#endif

// The largest |g|
uint32_t tl_most_apart(const void *at, const void *end, int32_t step, int32_t width);

// What a value goes through: multiplied, shifted as by tl_shift, kept within +-limit
typedef struct {
    int32_t mantissa, by, limit;
} tl_through_t;

void tl_scale_apart(void *at, const void *end, int32_t step, int32_t width, const tl_through_t *through);

// Neighbours from int32 (mantissa is 1)
void tl_narrow(void *at, const void *end, const int32_t *from, int32_t width, const tl_through_t *through);

#endif
