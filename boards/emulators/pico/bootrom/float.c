// Single precision, table 'SF'. Arithmetic is libgcc's, correctly rounded; the functions are computed in double
// precision and rounded once, which leaves them within 0.51 ulp.
#include "bootrom.h"

typedef union {
    float f;
    uint32_t u;
} bits_t;

// In place of libgcc's, which is a second copy of its addition
float __aeabi_fsub(float x, float y) {
    bits_t negated = {y};
    negated.u ^= (uint32_t)1 << 31;
    return x + negated.f;
}

float float_add(float x, float y) {
    return flush_float(flush_float(x) + flush_float(y));
}

float float_sub(float x, float y) {
    return flush_float(flush_float(x) - flush_float(y));
}

float float_mul(float x, float y) {
    return flush_float(flush_float(x) * flush_float(y));
}

float float_div(float x, float y) {
    return flush_float(flush_float(x) / flush_float(y));
}

int float_compare(float x, float y) {
    x = flush_float(x);
    y = flush_float(y);
    return x < y ? -1 : x > y;
}

double float_to_double(float x) {
    return flush_float(x);
}

static float round_to_float(double x) {
    return flush_float((float)x);
}

float float_sqrt(float x) {
    return round_to_float(math_sqrt(float_to_double(x)));
}

float float_cos(float x) {
    return round_to_float(math_sincos(float_to_double(x)).cos);
}

void float_sincos_to(float x, float result[2]) {
    sincos_t r = math_sincos(float_to_double(x));
    result[0] = round_to_float(r.sin);
    result[1] = round_to_float(r.cos);
}

float float_tan(float x) {
    sincos_t r = math_sincos(float_to_double(x));
    return round_to_float(r.sin / r.cos);
}

float float_atan2(float y, float x) {
    return round_to_float(math_atan2(float_to_double(y), float_to_double(x)));
}

float float_exp(float x) {
    return round_to_float(math_exp(float_to_double(x)));
}

float float_ln(float x) {
    return round_to_float(math_ln(float_to_double(x)));
}

float float_from_int(int32_t x) {
    return x;
}

float float_from_uint(uint32_t x) {
    return x;
}

float float_from_int64(int64_t x) {
    return x;
}

float float_from_uint64(uint64_t x) {
    return x;
}

// Scaling by a power of two is exact, so that the only rounding is that of the integer.
float float_from_fix(int32_t x, int fraction_bits) {
    return round_to_float(math_scale(x, -fraction_bits));
}

float float_from_ufix(uint32_t x, int fraction_bits) {
    return round_to_float(math_scale(x, -fraction_bits));
}

float float_from_fix64(int64_t x, int fraction_bits) {
    return round_to_float(math_scale((float)x, -fraction_bits));
}

float float_from_ufix64(uint64_t x, int fraction_bits) {
    return round_to_float(math_scale((float)x, -fraction_bits));
}

int32_t float_to_fix(float x, int fraction_bits) {
    return (int32_t)fixed_signed(float_to_double(x), fraction_bits, 32);
}

uint32_t float_to_ufix(float x, int fraction_bits) {
    return (uint32_t)fixed_unsigned(float_to_double(x), fraction_bits, 32);
}

int64_t float_to_fix64(float x, int fraction_bits) {
    return fixed_signed(float_to_double(x), fraction_bits, 64);
}

uint64_t float_to_ufix64(float x, int fraction_bits) {
    return fixed_unsigned(float_to_double(x), fraction_bits, 64);
}

int32_t float_to_int(float x) {
    return float_to_fix(x, 0);
}

uint32_t float_to_uint(float x) {
    return float_to_ufix(x, 0);
}

int64_t float_to_int64(float x) {
    return float_to_fix64(x, 0);
}

uint64_t float_to_uint64(float x) {
    return float_to_ufix64(x, 0);
}
