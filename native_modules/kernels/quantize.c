#include <string.h>

#include "program.h"

// A float32 taken apart: value = mantissa * 2^(exponent - 23), mantissa in [2^23, 2^24), or 0.
typedef struct {
    uint32_t mantissa;
    int32_t exponent;
} tl_float_t;

#define INFINITE 0x7f800000u

static tl_float_t unpack(uint32_t bits) {
    tl_float_t f = {bits & 0x7fffff, (int32_t)((bits >> 23) & 255) - 127};
    if (f.exponent > -127) {
        f.mantissa |= 0x800000;
    } else if (f.mantissa) { // subnormal
        for (f.exponent = -126; f.mantissa < 0x800000; f.exponent--) {
            f.mantissa <<= 1;
        }
    }
    return f;
}

// |x / scale|: first rounded to float32 (to nearest, ties to even), then to an integer (ties away from zero), at most
// 512.
static int32_t quotient(tl_float_t x, tl_float_t scale) {
    int32_t exponent = x.exponent - scale.exponent;
    if (x.mantissa == 0 || exponent < -2) {
        return 0;
    }
    if (exponent > 9) {
        return 512;
    }
    uint32_t rest = x.mantissa, q = 0;
    if (rest < scale.mantissa) {
        rest <<= 1;
        exponent--;
    }
    for (int i = 0; i < 24; i++) { // long division: q = floor(x / scale * 2^23), 24 bits
        q <<= 1;
        if (rest >= scale.mantissa) {
            rest -= scale.mantissa;
            q |= 1;
        }
        rest <<= 1;
    }
    q += rest > scale.mantissa || (rest == scale.mantissa && (q & 1));
    int32_t shift = 23 - exponent; // 14 .. 26
    return (int32_t)((q + (1u << (shift - 1))) >> shift);
}

tl_status_t tl_quantize(const tl_span_t spans[3], int32_t zero) {
    int8_t *dst = spans[0].at;
    const uint8_t *src = spans[1].at;
    size_t n = spans[0].bytes;
    uint32_t bits;
    if (spans[1].bytes / 4 != n || spans[1].bytes % 4 != 0 || spans[2].bytes != 4) {
        return TL_E_BYTES;
    }
    memcpy(&bits, spans[2].at, 4);
    if (bits < 0x00800000u || bits >= INFINITE) { // not a normal number above 0
        return TL_E_NUMBER;
    }
    tl_float_t scale = unpack(bits);
    for (size_t i = 0; i < n; i++) {
        memcpy(&bits, src + 4 * i, 4);
        if ((bits & INFINITE) == INFINITE) {
            return TL_E_NUMBER + 256 * (tl_status_t)i;
        }
        int32_t q = quotient(unpack(bits), scale);
        q = zero + (bits >> 31 ? -q : q);
        dst[i] = (int8_t)(q < -128 ? -128 : q > 127 ? 127 : q);
    }
    return TL_OK;
}
