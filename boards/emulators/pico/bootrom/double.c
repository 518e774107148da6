// Double precision, table 'SD': arithmetic is libgcc's, the functions are those of math.c.
#include "bootrom.h"

typedef union {
    double d;
    uint64_t u;
} bits_t;

// In place of libgcc's, which is a second copy of its addition
double __aeabi_dsub(double x, double y) {
    bits_t negated = {y};
    negated.u ^= (uint64_t)1 << 63;
    return x + negated.d;
}

double double_add(double x, double y) {
    return flush_double(flush_double(x) + flush_double(y));
}

double double_sub(double x, double y) {
    return flush_double(flush_double(x) - flush_double(y));
}

double double_mul(double x, double y) {
    return flush_double(flush_double(x) * flush_double(y));
}

double double_div(double x, double y) {
    return flush_double(flush_double(x) / flush_double(y));
}

int double_compare(double x, double y) {
    x = flush_double(x);
    y = flush_double(y);
    return x < y ? -1 : x > y;
}

float double_to_float(double x) {
    return flush_float((float)flush_double(x));
}

double double_sqrt(double x) {
    return math_sqrt(flush_double(x));
}

double double_cos(double x) {
    return math_sincos(flush_double(x)).cos;
}

double double_sin(double x) {
    return math_sincos(flush_double(x)).sin;
}

void double_sincos_to(double x, sincos_t *result) {
    *result = math_sincos(flush_double(x));
}

double double_tan(double x) {
    sincos_t r = math_sincos(flush_double(x));
    return r.sin / r.cos;
}

double double_atan2(double y, double x) {
    return math_atan2(flush_double(y), flush_double(x));
}

double double_exp(double x) {
    return math_exp(flush_double(x));
}

double double_ln(double x) {
    return math_ln(flush_double(x));
}

double double_from_int(int32_t x) {
    return x;
}

double double_from_uint(uint32_t x) {
    return x;
}

double double_from_int64(int64_t x) {
    return x;
}

double double_from_uint64(uint64_t x) {
    return x;
}

double double_from_fix(int32_t x, int fraction_bits) {
    return math_scale(x, -fraction_bits);
}

double double_from_ufix(uint32_t x, int fraction_bits) {
    return math_scale(x, -fraction_bits);
}

double double_from_fix64(int64_t x, int fraction_bits) {
    return math_scale(x, -fraction_bits);
}

double double_from_ufix64(uint64_t x, int fraction_bits) {
    return math_scale(x, -fraction_bits);
}

int32_t double_to_fix(double x, int fraction_bits) {
    return (int32_t)fixed_signed(x, fraction_bits, 32);
}

uint32_t double_to_ufix(double x, int fraction_bits) {
    return (uint32_t)fixed_unsigned(x, fraction_bits, 32);
}

int64_t double_to_fix64(double x, int fraction_bits) {
    return fixed_signed(x, fraction_bits, 64);
}

uint64_t double_to_ufix64(double x, int fraction_bits) {
    return fixed_unsigned(x, fraction_bits, 64);
}

int32_t double_to_int(double x) {
    return double_to_fix(x, 0);
}

uint32_t double_to_uint(double x) {
    return double_to_ufix(x, 0);
}

int64_t double_to_int64(double x) {
    return double_to_fix64(x, 0);
}

uint64_t double_to_uint64(double x) {
    return double_to_ufix64(x, 0);
}
