#include "backward.h"
#include "heads.h"

// From logits to p - y with 15 fractional bits, in p. Fills in what a caller wants to know.
static void cross_entropy(const int32_t *logits, int32_t k, int32_t label, int32_t *p, tl_state_t *state) {
    int32_t best = 0;
    for (int32_t c = 1; c < k; c++) {
        best = logits[c] > logits[best] ? c : best;
    }
    const int64_t loss = (int64_t)logits[best] - logits[label] + tl_log(tl_softmax(logits, k, p));
    state->loss = loss > INT32_MAX ? INT32_MAX : (int32_t)loss;
    state->best = best;
    p[label] -= TL_HEAD_ONE;
}

static __attribute__((noinline)) int32_t clamp_int32(int64_t v) {
    return v < -INT32_MAX ? -INT32_MAX : v > INT32_MAX ? INT32_MAX : (int32_t)v;
}

// v / 2^by to nearest. Code is RAM: 64-bit shifts once.
static __attribute__((noinline)) int64_t shift_right(int64_t v, int32_t by) {
    return by > 62 ? 0 : by ? (v + ((int64_t)1 << (by - 1))) >> by : v;
}

// row * 2^exponent as the gradient tensor dx
static void give(tl_span_t dx, int32_t *row, int32_t n, int32_t exponent, tl_state_t *state) {
    tl_grad_t g = {dx.at, n, dx.bytes == (size_t)n ? 8 : 16, 0};
    tl_rows_t rows = tl_rows(&g, false);
    tl_rows_put(&rows, 0, row, n, exponent);
    state->exponent = g.exponent;
}

// dL/du = sum_k (p_k - y_k) w_k, 24 fractional bits: |p - y| sums to 2 at most, so with 14 bits it fits.
static void pull(const tl_head_t *h, const int16_t *w, const int32_t *error, int32_t *row) {
    for (int32_t j = 0; j < h->n; j++) {
        row[j] = 0;
    }
    for (int32_t k = 0; k < h->k; k++, w += h->n) {
        const int32_t e = (error[k] + 1) >> 1;
        for (int32_t j = 0; e && j < h->n; j++) {
            row[j] += e * w[j];
        }
    }
}

// Through u = x / |x|: dL/dx = (v - (v . u) u) / |x|, v = dL/du. v . u is the sum of errors times logits.
// In: v with 24 fractional bits. Out: the same unit less |x|'s; gives that exponent.
static int32_t through_length(
    const tl_head_t *h, tl_length_t length, const int8_t *x, const int32_t *error, const int32_t *dots, int32_t *row) {
    int64_t along = 0; // 15 and 16 fractional bits
    for (int32_t k = 0; k < h->k; k++) {
        along += (int64_t)error[k] * dots[k];
    }
    const int32_t part = clamp_int32(shift_right(along, 15)); // 16
    for (int32_t j = 0; j < h->n; j++) {
        // u_j = (x_j - zero) * inv * 2^(e - 31), at most 1: with 15 fractional bits
        const int32_t u = (int32_t)shift_right((int64_t)(x[j] - h->zero) * length.inv, 16 - length.e);
        const int64_t v = row[j] - shift_right((int64_t)part * u, 7);
        row[j] = clamp_int32(shift_right(v * length.inv, 16));
    }
    return length.e - 31 + 16 - 24;
}

tl_status_t tl_head_loss(const tl_span_t *params, const tl_span_t spans[6]) {
    tl_head_t h;
    tl_status_t status = tl_head_params(&h, params, 6);
    const size_t n = (size_t)h.n, k = (size_t)h.k, wide = TL_LEAN || spans[3].bytes == n ? 1 : 2;
    if (status || (status = tl_head_span(&spans[0], n, 1, 0)) || (status = tl_head_span(&spans[1], n * k, 2, 1)) ||
        (status = tl_head_span(&spans[2], k, 4, 2)) || (status = tl_head_span(&spans[3], n, wide, 3)) ||
        (status = tl_head_span(&spans[4], sizeof(tl_state_t) / 4, 4, 4)) ||
        (status = tl_head_span(&spans[5], n + 2 * k, 4, 5))) {
        return status;
    }
    const int32_t label = ((const int32_t *)params->at)[5];
    if (label < 0 || label >= h.k) {
        return TL_E_LABEL;
    }
    const int8_t *x = spans[0].at;
    const int16_t *w = spans[1].at;
    const int32_t *b = spans[2].at;
    tl_state_t *state = spans[4].at;
    int32_t *row = spans[5].at, *logits = row + n, *error = logits + k, exponent;
    const tl_length_t length = tl_head_length(&h, x);
    tl_head_logits(&h, length, x, w, b, logits);
    cross_entropy(logits, h.k, label, error, state);
    pull(&h, w, error, row);
    if (h.mult == 0) {
        for (int32_t c = 0; c < h.k; c++) {
            logits[c] = clamp_int32((int64_t)logits[c] - b[c]);
        }
        exponent = through_length(&h, length, x, error, logits, row);
    } else {
        // logits are sums of w's 10 bits times mult / 2^shift, with 16: dlogit/dx = w * mult * 2^(-shift - 16)
        for (int32_t j = 0; j < h.n; j++) {
            row[j] = clamp_int32(shift_right((int64_t)row[j] * h.mult, 16));
        }
        exponent = 16 - h.shift - 16 - 14;
    }
    give(spans[3], row, h.n, exponent, state);
    return TL_OK;
}

tl_status_t tl_softmax_loss(const tl_span_t *params, const tl_span_t spans[4]) {
    const int32_t *p = params->at;
    if (p == NULL || params->bytes != 16 || (uintptr_t)p % 4 || p[0] < -128 || p[0] > 127 || p[1] < 1 || p[1] > 32767 ||
        p[2] < 0 || p[2] > 40) {
        return TL_E_PARAMS;
    }
    const size_t n = spans[0].bytes, wide = spans[1].bytes == n ? 1 : 2;
    tl_status_t status;
    if (n < 1 || n > 4096) {
        return TL_E_BUFFER;
    }
    if ((status = tl_head_span(&spans[0], n, 1, 0)) || (status = tl_head_span(&spans[1], n, wide, 1)) ||
        (status = tl_head_span(&spans[2], sizeof(tl_state_t) / 4, 4, 2)) ||
        (status = tl_head_span(&spans[3], 2 * n, 4, 3))) {
        return status;
    }
    if (p[3] < 0 || (size_t)p[3] >= n) {
        return TL_E_LABEL;
    }
    const int8_t *x = spans[0].at;
    int32_t *logits = spans[3].at, *error = logits + n;
    for (size_t i = 0; i < n; i++) {
        logits[i] = clamp_int32(shift_right((int64_t)(x[i] - p[0]) * p[1] * 65536, p[2]));
    }
    cross_entropy(logits, (int32_t)n, p[3], error, spans[2].at);
    for (size_t i = 0; i < n; i++) {
        error[i] *= p[1]; // 15 bits and 15 bits
    }
    give(spans[1], error, (int32_t)n, -15 - p[2], spans[2].at);
    return TL_OK;
}
