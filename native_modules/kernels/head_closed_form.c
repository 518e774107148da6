// Linear discriminant analysis with shrinkage: the nearest class mean where distances are whitened by the covariance
// within classes (Hastie, Tibshirani, Friedman, The Elements of Statistical Learning, equation 4.10, equal priors):
//     logit_k = d_k' S^-1 (x - m) - d_k' S^-1 d_k / 2,   d_k = c_k - m
// c_k: class means, m: the mean of those. Z: the samples of this call, each less the mean of its row's samples; f =
// samples - rows present. A covariance from few examples is shrunk to a sphere of the same size, as if `prior`
// examples had shown that one:
//     S = (Z'Z + rho I) / (f + prior),   rho = |Z|^2 prior / (f n)
// Distances from few examples are far too sure of themselves, so S is then scaled to a mean d_k' S^-1 d_k of 8: of all
// scales the one whose confidences fit best, on digits and on gestures, with 1 to 20 examples.
// The matrix is n x n, or with fewer samples than features, samples x samples (Woodbury):
//     (Z'Z + rho I)^-1 d = (d - Z' (ZZ' + rho I)^-1 Z d) / rho
// Its Cholesky factor is computed in place in fixed point: scaled to a diagonal below 1, no entry of the factor exceeds
// 1, and no eigenvalue is below rho. Vectors are block floating point.

#include <stdbool.h>

#include "heads.h"

enum {
    MEAN_BITS = 6,
    ONE_BITS = 30,
    VECTOR_BITS = 26,
    MAX_SIZE = 512,
    MIN_RHO = 1 << 12,
    LIMIT = 255 << MEAN_BITS,
    DISTANCE = 8
};

typedef struct {
    tl_head_t h;
    int32_t samples;
    int32_t size; // of the matrix: the smaller of n and samples
    const int8_t *x;
    const uint8_t *labels;
    const int32_t *sums, *counts;
    int16_t *w;
    int32_t *b;
    int32_t *factor;   // [size (size + 1) / 2]: rows of the lower triangle, 30 fractional bits
    int32_t *v;        // [size]
    int32_t *m;        // [n]: mean of the class means, 6 fractional bits, as d and z
    int32_t *row;      // [n]: d of one class, then its row
    int32_t *exponent; // [k]: of each row while they differ: w * 2^-exponent
    int16_t *means;    // [k, n]: of this call's samples, 6 fractional bits
    int32_t shift;     // matrix = what factor was made of * 2^shift
    int32_t rho;       // in the factor's unit
} closed_t;

static int64_t scaled(int64_t v, int32_t right) { // v / 2^right, to nearest
    if (right <= 0) {
        return right < -62 ? 0 : v * ((int64_t)1 << -right);
    }
    return right > 62 ? 0 : (v + ((int64_t)1 << (right - 1))) >> right;
}

static int32_t bits(uint64_t v) {
    int32_t n = 0;
    for (; v; v >>= 1) {
        n++;
    }
    return n;
}

static int32_t top_bits(const int32_t *v, int32_t count) { // of the largest magnitude
    uint32_t all = 0;
    for (int32_t i = 0; i < count; i++) {
        all |= (uint32_t)(v[i] < 0 ? -v[i] : v[i]);
    }
    return bits(all);
}

// ---- Means ----------------------------------------------------------------------------------------------------------

// c: the mean of a row's samples, of all calls
static int32_t class_mean(const closed_t *s, int32_t c, int32_t j) {
    const int64_t count = s->counts[c] < 0 ? -(int64_t)s->counts[c] : s->counts[c];
    const int64_t mean = tl_divide((int64_t)s->sums[c * s->h.n + j] * (1 << MEAN_BITS), count ? count : 1);
    return mean > LIMIT ? LIMIT : mean < -LIMIT ? -LIMIT : (int32_t)mean;
}

static void mean_of_means(closed_t *s) {
    for (int32_t j = 0; j < s->h.n; j++) {
        int32_t total = 0;
        for (int32_t c = 0; c < s->h.k; c++) {
            total += class_mean(s, c, j);
        }
        s->m[j] = (int32_t)tl_divide(total, s->h.k);
    }
}

static void difference(closed_t *s, int32_t c) { // row = d
    for (int32_t j = 0; j < s->h.n; j++) {
        s->row[j] = class_mean(s, c, j) - s->m[j];
    }
}

// ---- Z and its products ---------------------------------------------------------------------------------------------

static void sample_means(closed_t *s, int32_t *present) {
    const int32_t n = s->h.n;
    *present = 0;
    for (int32_t c = 0; c < s->h.k; c++) {
        int32_t count = 0;
        for (int32_t j = 0; j < n; j++) {
            s->row[j] = 0;
        }
        for (int32_t i = 0; i < s->samples; i++) {
            if (s->labels[i] == c) {
                count++;
                for (int32_t j = 0; j < n; j++) {
                    s->row[j] += s->x[i * n + j] - s->h.zero;
                }
            }
        }
        *present += count > 0;
        for (int32_t j = 0; j < n && count; j++) {
            s->means[c * n + j] = (int16_t)tl_divide((int64_t)s->row[j] * (1 << MEAN_BITS), count);
        }
    }
}

static inline int32_t z(const closed_t *s, int32_t i, int32_t j) { // |z| < 2^14
    const int32_t n = s->h.n;
    return (s->x[i * n + j] - s->h.zero) * (1 << MEAN_BITS) - s->means[s->labels[i] * n + j];
}

// One entry of Z'Z or ZZ'
static int64_t product(const closed_t *s, int32_t a, int32_t b) {
    const bool primal = s->size == s->h.n;
    int64_t total = 0;
    for (int32_t i = primal ? s->samples : s->h.n; i-- > 0;) {
        total += primal ? z(s, i, a) * z(s, i, b) : z(s, a, i) * z(s, b, i);
    }
    return total;
}

// ---- The matrix, its factor, solving --------------------------------------------------------------------------------

// factor = lower triangle of (Z'Z or ZZ') + rho I; the unit matrix where nothing varies within a class
static void matrix(closed_t *s, int32_t f, int32_t prior) {
    uint64_t trace = 0, top = 0, rho = 0;
    int32_t e = 0;
    for (int32_t i = 0; i < s->size; i++) {
        uint64_t square = (uint64_t)product(s, i, i);
        trace += square;
        top = square > top ? square : top;
    }
    if (trace) { // < 2^55
        e = bits(trace) - 40;
        rho = (uint64_t)scaled((int64_t)trace, e) * (uint32_t)prior / ((uint64_t)((uint32_t)f * (uint32_t)s->h.n) << 8);
    }
    rho = rho == 0 ? 1 : rho >> 46 ? (uint64_t)1 << 46 : rho; // at most 64 times the trace
    s->shift = bits(top + (uint64_t)scaled((int64_t)rho, -e)) - ONE_BITS;
    s->rho = (int32_t)scaled((int64_t)rho, s->shift - e);
    s->rho = s->rho < MIN_RHO ? MIN_RHO : s->rho; // far above what rounding does to an eigenvalue
    int32_t *at = s->factor;
    for (int32_t i = 0; i < s->size; i++) {
        for (int32_t j = 0; j <= i; j++) {
            *at++ = (int32_t)scaled(product(s, i, j), s->shift) + (i == j ? s->rho : 0);
        }
    }
}

// factor = L with L L' = factor, in place
static void cholesky(closed_t *s) {
    int32_t *row = s->factor;
    for (int32_t i = 0; i < s->size; i++, row += i) {
        const int32_t *other = s->factor;
        for (int32_t j = 0; j <= i; j++, other += j) {
            int64_t left = (int64_t)row[j] * (1 << ONE_BITS); // sums of products are below 2^60: Cauchy-Schwarz
            for (int32_t l = 0; l < j; l++) {
                left -= (int64_t)row[l] * other[l];
            }
            if (j < i) {
                row[j] = (int32_t)(left / other[j]);
            } else {
                row[j] = left > 1 ? (int32_t)tl_isqrt((uint64_t)left) : 1;
            }
        }
    }
}

// Brings the length of a vector to at most 2^to and near it; gives by how many bits it went up.
static int32_t normalise(int32_t *v, int32_t count, int32_t to) {
    int32_t up = to - top_bits(v, count) - (bits((uint64_t)count) + 1) / 2;
    for (int32_t i = 0; i < count; i++) {
        v[i] = (int32_t)scaled(v[i], -up);
    }
    return up;
}

// v = A^-1 v, A = L L' as a number of 0 .. 1; gives e: what stands in v then is to be taken times 2^-e. Solving with L
// or L' makes a vector at most 1 / sqrt(rho) longer.
static int32_t solve(closed_t *s) {
    const int32_t size = s->size, to = VECTOR_BITS - (ONE_BITS - bits((uint64_t)s->rho) + 2) / 2;
    int32_t *v = s->v, e = normalise(v, size, to);
    const int32_t *row = s->factor;
    for (int32_t i = 0; i < size; i++, row += i) {
        int64_t left = (int64_t)v[i] * (1 << ONE_BITS);
        for (int32_t l = 0; l < i; l++) {
            left -= (int64_t)row[l] * v[l];
        }
        v[i] = (int32_t)(left / row[i]);
    }
    e += normalise(v, size, to);
    row -= size;
    for (int32_t i = size - 1; i >= 0; row -= i, i--) {
        v[i] = (int32_t)(((int64_t)v[i] * (1 << ONE_BITS)) / row[i]);
        for (int32_t l = 0; l < i; l++) { // column by column of L': the row of L is used at once
            v[l] -= (int32_t)scaled((int64_t)row[l] * v[i], ONE_BITS);
        }
    }
    return e;
}

// ---- Rows -----------------------------------------------------------------------------------------------------------

// v = Z d
static int32_t project(closed_t *s) {
    int32_t down = 0;
    for (int32_t i = 0; i < s->size; i++) {
        int64_t total = 0;
        for (int32_t j = 0; j < s->h.n; j++) {
            total += (int64_t)z(s, i, j) * s->row[j];
        }
        while (bits((uint64_t)(total < 0 ? -total : total) >> down) > ONE_BITS) {
            down++;
            for (int32_t l = 0; l < i; l++) {
                s->v[l] /= 2;
            }
        }
        s->v[i] = (int32_t)(total / ((int64_t)1 << down));
    }
    return down;
}

// row = (Z'Z + rho I)^-1 d but for a factor common to all classes; gives e, to take it times 2^-e
static int32_t whiten(closed_t *s) {
    const int32_t n = s->h.n;
    if (s->size == n) {
        for (int32_t j = 0; j < n; j++) {
            s->v[j] = s->row[j];
        }
        const int32_t e = solve(s);
        for (int32_t j = 0; j < n; j++) {
            s->row[j] = s->v[j];
        }
        return e;
    }
    const int32_t down = project(s), e = solve(s) + ONE_BITS + s->shift - down;
    const int32_t up = normalise(s->row, n, VECTOR_BITS);
    for (int32_t j = 0; j < n; j++) {
        int64_t back = 0;
        for (int32_t i = 0; i < s->size; i++) {
            back += (int64_t)z(s, i, j) * s->v[i];
        }
        s->row[j] -= (int32_t)scaled(back, e - up);
    }
    return up;
}

// w = the row with 15 bits
static void keep(closed_t *s, int32_t c, int32_t e) {
    const int32_t down = top_bits(s->row, s->h.n) - 15;
    for (int32_t j = 0; j < s->h.n; j++) {
        const int64_t w = scaled(s->row[j], down);
        s->w[c * s->h.n + j] = (int16_t)(w > INT16_MAX ? INT16_MAX : w);
    }
    s->exponent[c] = down > -15 ? e - down : INT32_MAX; // a row of zeros has no exponent
}

// All rows to the exponent of the largest
static void align(closed_t *s) {
    int32_t lowest = INT32_MAX;
    for (int32_t c = 0; c < s->h.k; c++) {
        lowest = s->exponent[c] < lowest ? s->exponent[c] : lowest;
    }
    for (int32_t c = 0; c < s->h.k; c++) {
        for (int32_t j = 0; j < s->h.n; j++) {
            int16_t *w = &s->w[c * s->h.n + j];
            *w = (int16_t)scaled(*w, s->exponent[c] - lowest);
        }
    }
}

// scale = mult, shift: logit with 16 fractional bits = w . x * mult / 2^shift, of which d . w is DISTANCE on average.
// Smaller where a logit would not fit an int32.
static void head_scale(closed_t *s, int32_t *scale) {
    int64_t distance = 0, longest = 1;
    for (int32_t c = 0; c < s->h.k; c++) {
        int64_t length = 0;
        difference(s, c);
        for (int32_t j = 0; j < s->h.n; j++) {
            const int32_t w = s->w[c * s->h.n + j];
            distance += (int64_t)w * s->row[j];
            length += w < 0 ? -w : w;
        }
        longest = length > longest ? length : longest;
    }
    uint64_t under = distance > 0 ? (uint64_t)distance : 1, factor = (uint64_t)s->h.k * DISTANCE << (16 + MEAN_BITS);
    int32_t shift = 0;
    for (; under >> 40; under >>= 1) {
        shift++;
    }
    for (; factor >> 62 == 0; factor <<= 1) {
        shift++;
    }
    for (factor /= under; factor >> 16; factor >>= 1) {
        shift--;
    }
    while (shift < 0 || (longest * 255 * (int64_t)factor) >> shift >> 30) { // < 2^30 * 2^8 * 2^16
        shift++;
    }
    scale[0] = (int32_t)factor;
    scale[1] = shift;
}

static void biases(closed_t *s, const int32_t *scale) {
    for (int32_t c = 0; c < s->h.k; c++) {
        int64_t total = 0;
        for (int32_t j = 0; j < s->h.n; j++) { // w . (m + c), twice the threshold
            total += (int64_t)s->w[c * s->h.n + j] * (s->m[j] + class_mean(s, c, j));
        }
        total = scaled(total, MEAN_BITS + 1) * scale[0];
        s->b[c] = (int32_t)-scaled(total, scale[1]);
    }
}

static size_t scratch_words(size_t n, size_t k, size_t samples) {
    const size_t size = n < samples ? n : samples;
    return size * (size + 1) / 2 + size + 2 * n + k + (k * n + 1) / 2;
}

tl_status_t tl_closed_form(const tl_span_t *params, const tl_span_t spans[8]) {
    closed_t s;
    tl_status_t status = tl_head_params(&s.h, params, 6);
    if (status) {
        return status;
    }
    const int32_t prior = ((const int32_t *)params->at)[5];
    const size_t n = (size_t)s.h.n, k = (size_t)s.h.k, samples = spans[1].bytes;
    if (samples < 1 || samples > TL_HEAD_MAX_SAMPLES || samples * n > (size_t)1 << 26 || prior < 1 || prior > 1 << 23 ||
        (n > MAX_SIZE && samples > MAX_SIZE)) {
        return TL_E_PARAMS;
    }
    const size_t scratch = scratch_words(n, k, samples);
    if ((status = tl_head_span(&spans[0], samples * n, 1, 0)) || (status = tl_head_span(&spans[1], samples, 1, 1)) ||
        (status = tl_head_span(&spans[2], k * n, 4, 2)) || (status = tl_head_span(&spans[3], k, 4, 3)) ||
        (status = tl_head_span(&spans[4], k * n, 2, 4)) || (status = tl_head_span(&spans[5], k, 4, 5)) ||
        (status = tl_head_span(&spans[6], 2, 4, 6)) || (status = tl_head_span(&spans[7], scratch, 4, 7))) {
        return status;
    }
    s.samples = (int32_t)samples;
    s.size = (int32_t)(n < samples ? n : samples);
    s.x = spans[0].at;
    s.labels = spans[1].at;
    s.sums = spans[2].at;
    s.counts = spans[3].at;
    s.w = spans[4].at;
    s.b = spans[5].at;
    s.factor = spans[7].at;
    s.v = s.factor + s.size * (s.size + 1) / 2;
    s.m = s.v + s.size;
    s.row = s.m + n;
    s.exponent = s.row + n;
    s.means = (int16_t *)(s.exponent + k);
    for (size_t i = 0; i < samples; i++) {
        if (s.labels[i] >= k) {
            return TL_E_LABEL + 256 * (int32_t)i;
        }
    }
    int32_t present, *scale = spans[6].at;
    sample_means(&s, &present);
    mean_of_means(&s);
    matrix(&s, s.samples - present, prior);
    cholesky(&s);
    for (int32_t c = 0; c < s.h.k; c++) {
        difference(&s, c);
        keep(&s, c, whiten(&s));
    }
    align(&s);
    head_scale(&s, scale);
    biases(&s, scale);
    return TL_OK;
}
