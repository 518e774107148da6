// The elementary functions in double precision: reduce the argument to a small range, sum the power series.
// Where a constant is split (_HIGH + _LOW), all parts but the last have trailing zeros: small multiples are exact.
#include "bootrom.h"

#define INFINITY_ (__builtin_inf())
#define NAN_ (__builtin_nan(""))
#define PI 0x1.921fb54442d18p+1
#define PI_2 0x1.921fb54442d18p+0
#define PI_4 0x1.921fb54442d18p-1
#define PI_2_TAIL 0x1.1a62633145c07p-54
#define PI_2_HIGH 0x1.921fb54400000p+0
#define PI_2_MIDDLE 0x1.0b4611a600000p-34
#define PI_2_LOW 0x1.3198a2e037073p-69
#define TWO_OVER_PI 0x1.45f306dc9c883p-1
#define LN2_HIGH 0x1.62e42fee00000p-1
#define LN2_LOW 0x1.a39ef35793c76p-33
#define ONE_OVER_LN2 0x1.71547652b82fep+0
#define COUNT(table) ((int)(sizeof(table) / sizeof(table[0])))

typedef union {
    double d;
    uint64_t u;
} bits_t;

static uint64_t bits_of(double x) {
    return (bits_t){x}.u;
}

static double with_sign_of(double magnitude, double sign) {
    bits_t v = {magnitude};
    v.u = (v.u & ~((uint64_t)1 << 63)) | (bits_of(sign) & (uint64_t)1 << 63);
    return v.d;
}

static bool is_nan(double x) {
    return bits_of(x) << 1 > (uint64_t)0x7ff << 53;
}

static double absolute(double x) {
    return with_sign_of(x, 1);
}

// c[0] + c[1] x + c[2] x**2 + ...
static double polynomial(double x, const double *c, int terms) {
    double sum = c[terms - 1];
    for (int i = terms - 2; i >= 0; i--) {
        sum = sum * x + c[i];
    }
    return sum;
}

double math_scale(double x, int exponent) {
    bits_t v = {x};
    int e = (int)(v.u >> 52 & 0x7ff);
    if (e == 0 || e == 0x7ff) {
        return x;
    }
    exponent = exponent > 4096 ? 4096 : exponent < -4096 ? -4096 : exponent;
    e += exponent;
    if (e <= 0) {
        return with_sign_of(0, x);
    }
    if (e >= 0x7ff) {
        return with_sign_of(INFINITY_, x);
    }
    v.u = (v.u & ~((uint64_t)0x7ff << 52)) | (uint64_t)e << 52;
    return v.d;
}

static int nearest(double x) {
    return (int)(x + with_sign_of(0.5, x));
}

// The root of the mantissa, digit by digit: 53 bits and one for rounding. It is never halfway between two doubles.
double math_sqrt(double x) {
    if (x == 0 || is_nan(x)) {
        return x;
    }
    if (x < 0) {
        return -INFINITY_; // as the RP2040's ROM has it
    }
    int exponent = (int)(bits_of(x) >> 52) - 1023;
    if (exponent == 1024) {
        return x;
    }
    uint64_t mantissa = (bits_of(x) & 0xfffffffffffffu) | (uint64_t)1 << 52;
    uint64_t radicand = mantissa << (10 + (exponent & 1)), root = 0, remainder = 0; // 1.0 has its top bit at 62
    for (int digit = 0; digit < 54; digit++) {
        remainder = remainder << 2 | radicand >> 62;
        radicand <<= 2;
        uint64_t trial = root << 2 | 1;
        root <<= 1;
        if (remainder >= trial) {
            remainder -= trial;
            root |= 1;
        }
    }
    root = (root + 1) >> 1;
    return math_scale((double)root, (exponent >> 1) - 52);
}

sincos_t math_sincos(double x) {
    static const double SIN[] = {1, -1 / 6., 1 / 120., -1 / 5040., 1 / 362880., -1 / 39916800., 1 / 6227020800.,
        -1 / 1307674368000., 1 / 355687428096000.};
    static const double COS[] = {1, -1 / 2., 1 / 24., -1 / 720., 1 / 40320., -1 / 3628800., 1 / 479001600.,
        -1 / 87178291200., 1 / 20922789888000., -1 / 6402373705728000.};
    if (!(absolute(x) < 0x1p20)) {
        return (sincos_t){NAN_, NAN_}; // the pico-sdk reduces what is larger than 1024 before it calls
    }
    // x = quadrant * pi/2 + r + tail, |r| <= pi/4
    int quadrant = nearest(x * TWO_OVER_PI);
    double high = x - quadrant * PI_2_HIGH, middle = quadrant * PI_2_MIDDLE;
    double rest = high - middle, low = quadrant * PI_2_LOW - ((high - rest) - middle);
    double r = rest - low, tail = (rest - r) - low, square = r * r;
    double c = polynomial(square, COS, COUNT(COS));
    double s = r + (r * square * polynomial(square, SIN + 1, COUNT(SIN) - 1) + tail * c);
    c -= tail * r;
    switch (quadrant & 3) {
        case 0:
            return (sincos_t){x == 0 ? x : s, c}; // -0 stays -0
        case 1:
            return (sincos_t){c, -s};
        case 2:
            return (sincos_t){-s, -c};
        default:
            return (sincos_t){-c, s};
    }
}

// 1 + x/3 + x**2/5 + ..., the series behind atan (x = -t**2) and ln (x = t**2)
static double odd_reciprocals(double x) {
    static const double ODD[] = {1., 1 / 3., 1 / 5., 1 / 7., 1 / 9., 1 / 11., 1 / 13., 1 / 15., 1 / 17., 1 / 19.,
        1 / 21., 1 / 23., 1 / 25., 1 / 27., 1 / 29., 1 / 31., 1 / 33., 1 / 35., 1 / 37., 1 / 39., 1 / 41.};
    return polynomial(x, ODD + 1, COUNT(ODD) - 1) * x; // without the leading 1
}

double math_ln(double x) {
    if (is_nan(x)) {
        return x;
    }
    if (x <= 0) {
        return -INFINITY_;
    }
    if (x == INFINITY_) {
        return x;
    }
    // x = 2**exponent * (1 + f), 1 + f between sqrt(1/2) and sqrt(2)
    int exponent = (int)(bits_of(x) >> 52) - 1023;
    double m = math_scale(x, -exponent);
    if (m > 0x1.6a09e667f3bcdp+0) {
        exponent++;
        m *= 0.5;
    }
    // ln(1 + f) = 2 atanh(s) = f - f*f/2 + s (f*f/2 + 2 (s**2/3 + s**4/5 + ...))
    double f = m - 1, s = f / (2 + f), half_square = 0.5 * f * f;
    double series = 2 * odd_reciprocals(s * s);
    return exponent * LN2_HIGH + (f - (half_square - (s * (half_square + series) + exponent * LN2_LOW)));
}

double math_exp(double x) {
    static const double EXP[] = {1 / 2., 1 / 6., 1 / 24., 1 / 120., 1 / 720., 1 / 5040., 1 / 40320., 1 / 362880.,
        1 / 3628800., 1 / 39916800., 1 / 479001600., 1 / 6227020800., 1 / 87178291200.};
    if (is_nan(x)) {
        return x;
    }
    if (x > 710) {
        return INFINITY_;
    }
    if (x < -710) {
        return 0;
    }
    // x = exponent * ln 2 + r + tail, |r| <= ln(2) / 2
    int exponent = nearest(x * ONE_OVER_LN2);
    double high = x - exponent * LN2_HIGH, low = exponent * LN2_LOW;
    double r = high - low, tail = (high - r) - low;
    double e = 1 + (r + (r * r * polynomial(r, EXP, COUNT(EXP)) + tail));
    // in two steps, so that 2**1024 * 0.9 is not infinite
    return math_scale(math_scale(e, exponent - exponent / 2), exponent / 2);
}

// atan(t) for t >= 0
static double arc_tangent(double t) {
    if (t > 1) {
        return PI_2 - (arc_tangent(1 / t) - PI_2_TAIL);
    }
    double offset = 0, tail = 0;
    if (t > 0x1.a827999fcef32p-2) { // sqrt(2) - 1
        offset = PI_4;
        tail = PI_2_TAIL / 2;
        t = (t - 1) / (t + 1);
    }
    return offset + (t + (t * odd_reciprocals(-t * t) + tail));
}

double math_atan2(double y, double x) {
    if (is_nan(x) || is_nan(y)) {
        return NAN_;
    }
    double up = absolute(y), right = absolute(x), angle;
    if (up == right) {
        angle = up == 0 ? 0 : PI_4;
    } else {
        angle = right == 0 ? PI_2 : arc_tangent(up / right);
    }
    if (bits_of(x) >> 63) {
        angle = PI - (angle - 2 * PI_2_TAIL);
    }
    return with_sign_of(angle, y);
}
