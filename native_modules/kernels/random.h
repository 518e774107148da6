// The one random number generator: xorshift32 (Marsaglia 2003). The state is the caller's and not 0. Its first numbers
// from a small seed are small, so a seed wants many bits.

#ifndef TL_RANDOM_H
#define TL_RANDOM_H

#include <stdint.h>

static inline uint32_t tl_random(uint32_t *state) {
    uint32_t v = *state;
    v ^= v << 13;
    v ^= v >> 17;
    v ^= v << 5;
    return *state = v;
}

#endif
