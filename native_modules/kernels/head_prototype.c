// Nearest class prototype (Snell et al. 2017, arXiv 1703.05175): a class is the mean of its examples' features, and a
// sample belongs to the nearest: c_k = mean f(x_i), p(k | x) = softmax_k(-d(f(x), c_k))  (equations 1 and 2).
// d is the cosine with temperature 10 (Hu et al. 2022, arXiv 2204.07305), or the squared Euclidean distance.
// A class is kept as the sum and the number of its examples, so that more examples later refine it.

#include <string.h>

#include "heads.h"

tl_status_t tl_class_sums(const tl_span_t *params, const tl_span_t spans[4]) {
    tl_head_t h;
    tl_status_t status = tl_head_params(&h, params, 5);
    const size_t n = (size_t)h.n, k = (size_t)h.k, samples = spans[1].bytes;
    if (status || (status = tl_head_span(&spans[0], samples * n, 1, 0)) ||
        (status = tl_head_span(&spans[1], samples, 1, 1)) || (status = tl_head_span(&spans[2], k * n, 4, 2)) ||
        (status = tl_head_span(&spans[3], k, 4, 3))) {
        return status;
    }
    const int8_t *x = spans[0].at;
    const uint8_t *labels = spans[1].at;
    int32_t *sums = spans[2].at, *counts = spans[3].at;
    for (size_t i = 0; i < samples; i++) {
        if (labels[i] >= k) {
            return TL_E_LABEL + 256 * (int32_t)i;
        }
    }
    for (size_t i = 0; i < samples; i++, x += n) {
        uint32_t *sum = (uint32_t *)sums + labels[i] * n; // wraps instead of overflowing, after 2^23 examples
        if (counts[labels[i]] < 0) {                      // real examples take a pseudo-prototype's place
            counts[labels[i]] = 0;
            memset(sum, 0, 4 * n);
        }
        for (size_t j = 0; j < n; j++) {
            sum[j] += (uint32_t)(x[j] - h.zero);
        }
        counts[labels[i]]++;
    }
    return TL_OK;
}

static int32_t clamp(int64_t v, int32_t limit) {
    return v < -limit ? -limit : v > limit ? limit : (int32_t)v;
}

// As root_of of head.c, of 64 bits.
uint32_t tl_isqrt(uint64_t v) {
    uint64_t root = 0;
    for (uint64_t bit = (uint64_t)1 << 62; bit; bit >>= 2) {
        if (v >= root + bit) {
            v -= root + bit;
            root = (root >> 1) + bit;
        } else {
            root >>= 1;
        }
    }
    return (uint32_t)(root + (v > root && root < UINT32_MAX));
}

int64_t tl_divide(int64_t a, int64_t b) {
    return a < 0 ? -((-a + b / 2) / b) : (a + b / 2) / b;
}

// w = one * v / |v|; the vector is first brought to 15 bits, so that its length is exact to 2^-15
static void unit_row(const int32_t *v, int32_t n, int32_t one, int16_t *w) {
    uint32_t top = 1;
    for (int32_t j = 0; j < n; j++) {
        uint32_t size = v[j] < 0 ? 0u - (uint32_t)v[j] : (uint32_t)v[j];
        top = size > top ? size : top;
    }
    int32_t left = 0, right = 0;
    while (top >> right >= 1 << 15) {
        right++;
    }
    while (top << left < 1 << 14) {
        left++;
    }
    uint64_t square = 0;
    for (int32_t j = 0; j < n; j++) {
        int32_t u = (int32_t)((uint32_t)(v[j] >> right) << left);
        square += (uint64_t)((int64_t)u * u);
    }
    int32_t length = (int32_t)tl_isqrt(square);
    for (int32_t j = 0; j < n; j++) {
        int32_t u = (int32_t)((uint32_t)(v[j] >> right) << left);
        w[j] = length ? (int16_t)clamp(tl_divide((int64_t)u * one, length), INT16_MAX) : 0;
    }
}

// logit = (2 c . x - |c|^2) * scale^2: w = 2 c with 6 fractional bits, |c|^2 in the same unit as w . x
static int32_t euclidean_row(const tl_head_t *h, const int32_t *sum, int32_t count, int16_t *w) {
    int64_t square = 0;
    for (int32_t j = 0; j < h->n; j++) {
        w[j] = (int16_t)clamp(tl_divide((int64_t)sum[j] * 128, count), INT16_MAX);
        square += (int32_t)w[j] * w[j];
    }
    return clamp(-(((square >> 8) * h->mult) >> h->shift), INT32_MAX);
}

tl_status_t tl_class_rows(const tl_span_t *params, const tl_span_t spans[4]) {
    tl_head_t h;
    tl_status_t status = tl_head_params(&h, params, 5);
    const size_t n = (size_t)h.n, k = (size_t)h.k;
    if (status || (status = tl_head_span(&spans[0], k * n, 4, 0)) || (status = tl_head_span(&spans[1], k, 4, 1)) ||
        (status = tl_head_span(&spans[2], k * n, 2, 2)) || (status = tl_head_span(&spans[3], k, 4, 3))) {
        return status;
    }
    const int32_t *sum = spans[0].at, *counts = spans[1].at;
    int16_t *w = spans[2].at;
    int32_t *b = spans[3].at;
    for (size_t i = 0; i < k; i++, sum += n, w += n) {
        if (h.mult == 0) {
            unit_row(sum, h.n, TL_HEAD_TAU << TL_HEAD_BITS, w);
            b[i] = 0;
        } else {
            int64_t count = counts[i] < 0 ? -(int64_t)counts[i] : counts[i];
            b[i] = euclidean_row(&h, sum, clamp(count ? count : 1, INT32_MAX), w);
        }
    }
    return TL_OK;
}

enum { MEAN_BITS = 6, OWN_COUNT = 16 }; // fractional bits of means here; the weight of a pseudo-prototype

// m = mean over the taught classes of their means; gives the root mean square distance of those from it, or -1 if there
// are fewer than two
static int32_t spread(const tl_head_t *h, const int32_t *sums, const int32_t *counts, int32_t *m) {
    int32_t taught = 0;
    for (int32_t i = 0; i < h->k; i++) {
        taught += counts[i] > 0;
    }
    if (taught < 2) {
        return -1;
    }
    uint64_t square = 0;
    for (int32_t j = 0; j < h->n; j++) {
        int64_t total = 0;
        for (int32_t i = 0; i < h->k; i++) {
            total += counts[i] > 0 ? tl_divide((int64_t)sums[i * h->n + j] << MEAN_BITS, counts[i]) : 0;
        }
        m[j] = clamp(tl_divide(total, taught), 255 << MEAN_BITS);
        for (int32_t i = 0; i < h->k; i++) {
            int64_t c = counts[i] > 0 ? tl_divide((int64_t)sums[i * h->n + j] << MEAN_BITS, counts[i]) - m[j] : 0;
            c = clamp(c, 1 << 16);
            square += (uint64_t)(c * c);
        }
    }
    return (int32_t)tl_isqrt(square / (uint32_t)taught);
}

// The classes that the model came with have no examples here, but its classifier has a row for each. In a trained
// network the rows, less their mean, point along the class means, less theirs (neural collapse, Papyan et al. 2020,
// arXiv 2008.08186). So: prototype = mean of the taught classes + their spread * the row's direction.
tl_status_t tl_own_classes(const tl_span_t *params, const tl_span_t spans[6]) {
    tl_head_t h;
    tl_status_t status = tl_head_params(&h, params, 6);
    if (status) {
        return status;
    }
    const int32_t own = ((const int32_t *)params->at)[5];
    const size_t n = (size_t)h.n, k = (size_t)h.k;
    if (own < 2 || own > 4096) {
        return TL_E_PARAMS;
    }
    if ((status = tl_head_span(&spans[0], k, 2, 0)) || (status = tl_head_span(&spans[1], (size_t)own * n, 1, 1)) ||
        (status = tl_head_span(&spans[2], (size_t)own, 4, 2)) || (status = tl_head_span(&spans[3], k * n, 4, 3)) ||
        (status = tl_head_span(&spans[4], k, 4, 4)) || (status = tl_head_span(&spans[5], 2 * n, 4, 5))) {
        return status;
    }
    const int16_t *source = spans[0].at;
    const int8_t *own_w = spans[1].at;
    const int32_t *scale = spans[2].at;
    int32_t *sums = spans[3].at, *counts = spans[4].at, *m = spans[5].at, *u = m + n;
    for (int32_t i = 0; i < h.k; i++) {
        if (source[i] < -1 || source[i] >= own) {
            return TL_E_LABEL + 256 * i;
        }
    }
    const int32_t far = spread(&h, sums, counts, m);
    if (far < 0) {
        return TL_E_LABEL;
    }
    for (int32_t i = 0; i < h.k; i++) {
        if (counts[i] > 0 || source[i] < 0) {
            continue;
        }
        int32_t *sum = sums + i * h.n;
        uint64_t square = 0;
        for (int32_t j = 0; j < h.n; j++) {
            int64_t mean = 0;
            for (int32_t o = 0; o < own; o++) {
                mean += (int64_t)own_w[o * h.n + j] * (scale[o] & 32767);
            }
            int64_t row = (int64_t)own_w[source[i] * h.n + j] * (scale[source[i]] & 32767);
            u[j] = (int32_t)(row - tl_divide(mean, own)); // |u| < 2^23
            square += (uint64_t)((int64_t)u[j] * u[j]);
        }
        int64_t length = tl_isqrt(square);
        for (int32_t j = 0; j < h.n; j++) {
            int64_t c = m[j] + (length ? tl_divide((int64_t)far * u[j], length) : 0);
            sum[j] = clamp(tl_divide(c * OWN_COUNT, 1 << MEAN_BITS), 255 * OWN_COUNT);
        }
        counts[i] = -OWN_COUNT;
    }
    return TL_OK;
}
