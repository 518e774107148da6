// Softmax in fixed point, step by step as gemmlowp does it for LiteRT's reference kernel. Q5.26 means 5 bits before the
// binary point and 26 behind it.

#include "requantize.h"
#include "tl.h"

// exp(a) for a in [-1/4, 0), Q0.31: the Taylor series at -1/8
static int32_t exp_of_quarter(int32_t a) {
    const int32_t exp_of_eighth = 1895147668, third = 715827883; // exp(-1/8), 1/3
    int32_t x = a + (1 << 28);
    int32_t x2 = tl_high_multiply(x, x), x3 = tl_high_multiply(x2, x), x4 = tl_high_multiply(x2, x2);
    int32_t sum = tl_high_multiply(tl_divide_by_power(x4, 2) + x3, third) + x2; // x^2 + x^3 / 3 + x^4 / 12
    return exp_of_eighth + tl_high_multiply(exp_of_eighth, x + tl_divide_by_power(sum, 1));
}

// exp(a) for a <= 0 in Q5.26, as Q0.31: exp of the part below a quarter, times exp(-2^k) for every other bit
static int32_t exp_of_negative(int32_t a) {
    const int32_t quarter = 1 << 24;
    if (a == 0) {
        return INT32_MAX;
    }
    int32_t part = (a & (quarter - 1)) - quarter;
    int32_t rest = (part - a) >> 24; // in quarters
    int32_t y = exp_of_quarter(part * 32);
    static const int32_t exps[] = {1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242};
    for (int32_t k = 0; k < 7; k++) { // exp(-1/4) .. exp(-16)
        if (rest >> k & 1) {
            y = tl_high_multiply(y, exps[k]);
        }
    }
    return y;
}

// 1 / (1 + a) for a in [0, 1), Q0.31: Newton and Raphson's division by d = (1 + a) / 2, x in Q2.29
static int32_t inverse_of_one_plus(int32_t a) {
    int32_t d = (int32_t)(((uint32_t)a + (1u << 31)) >> 1);
    int32_t x = 1515870810 + tl_high_multiply(d, -1010580540); // 48/17 - 32/17 d
    for (int i = 0; i < 3; i++) {
        x += tl_high_multiply(x, (1 << 29) - tl_high_multiply(d, x)) * 4;
    }
    return x >= 1 << 30 ? INT32_MAX : x * 2;
}

// The row's exponent of element x: exp(beta * scale * (x - most)) in Q0.31, 0 where it is too small to be counted.
static int32_t exponential(const tl_softmax_t *g, int32_t x, int32_t most) {
    int32_t least = (31 << 26) >> g->shift; // a greater difference leaves Q5.26
    if (most - x > least) {
        return 0;
    }
    return exp_of_negative(tl_requantize(x - most, g->mult, g->shift));
}

static void one_row(const tl_softmax_t *g, const int8_t *x, int8_t *y) {
    int32_t most = -128, sum = 0; // Q12.19
    for (int32_t i = 0; i < g->n; i++) {
        most = x[i] > most ? x[i] : most;
    }
    for (int32_t i = 0; i < g->n; i++) {
        sum += tl_divide_by_power(exponential(g, x[i], most), 12);
    }
    int32_t over = 0; // sum is at least 1: sum = (1 + a) * 2^over
    while (sum >> (20 + over)) {
        over++;
    }
    int32_t inverse = inverse_of_one_plus((int32_t)(((uint32_t)sum << (12 - over)) & INT32_MAX));
    int32_t shift = over + 31 - 8;
    for (int32_t i = 0; i < g->n; i++) {
        int32_t p = tl_high_multiply(inverse, exponential(g, x[i], most));
        y[i] = tl_clamp(shift > 31 ? 0 : tl_divide_by_power(p, shift), -128, -128, 127);
    }
}

void tl_softmax_s8(const tl_softmax_t *g, const int8_t *x, int8_t *y) {
    for (int32_t row = 0; row < g->rows; row++) {
        one_row(g, x, y);
        x += g->n;
        y += g->n;
    }
}
