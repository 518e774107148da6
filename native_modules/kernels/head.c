// The forward of every head: logits of a feature vector, and their softmax. Integers, the same bits everywhere.

#include "heads.h"

tl_status_t tl_head_params(tl_head_t *h, const tl_span_t *params, size_t count) {
    if (params->at == NULL || params->bytes != 4 * count || (uintptr_t)params->at % 4) {
        return TL_E_PARAMS;
    }
    const int32_t *p = params->at;
    *h = (tl_head_t){p[0], p[1], p[2], p[3], p[4]};
    if (h->n < 1 || h->n > TL_HEAD_MAX_FEATURES || h->k < 1 || h->k > TL_HEAD_MAX_ROWS || h->zero < -128 ||
        h->zero > 127 || h->mult < 0 || h->mult > 65535 || h->shift < 0 || h->shift > 62) {
        return TL_E_PARAMS;
    }
    return TL_OK;
}

// A buffer of exactly count elements, aligned to their size.
tl_status_t tl_head_span(const tl_span_t *span, size_t count, size_t size, int32_t index) {
    if (span->at == NULL || span->bytes != count * size || (uintptr_t)span->at % size) {
        return TL_E_BUFFER + 256 * index;
    }
    return TL_OK;
}

// The square root to the nearest integer, bit by bit.
static uint32_t root_of(uint32_t v) {
    uint32_t root = 0;
    for (uint32_t bit = 1u << 30; bit; bit >>= 2) {
        const uint32_t test = root + bit;
        root >>= 1;
        if (v >= test) {
            v -= test;
            root += bit;
        }
    }
    return root + (v > root);
}

// One division per sample: 1 / |x| with 16 bits.
tl_length_t tl_head_length(const tl_head_t *h, const int8_t *x) {
    uint32_t sum = 0; // n * 255^2 < 2^31
    for (int32_t j = 0; j < h->n; j++) {
        int32_t v = x[j] - h->zero;
        sum += (uint32_t)(v * v);
    }
    tl_length_t length = {0, 0};
    if (sum) {
        while (sum < (uint32_t)1 << 30) {
            sum <<= 2;
            length.e++;
        }
        length.inv = ((uint32_t)1 << 31) / root_of(sum);
    }
    return length;
}

// w (n) . x (n); 128 products of int16 and 9 bits fit an int32
static int64_t dot(const tl_head_t *h, const int8_t *x, const int16_t *w) {
    int64_t total = 0;
    for (int32_t j = 0; j < h->n;) {
        int32_t end = h->n - j < 128 ? h->n : j + 128, part = 0;
        for (; j < end; j++) {
            part += w[j] * (x[j] - h->zero);
        }
        total += part;
    }
    return total;
}

static int32_t clamp_int32(int64_t v) {
    return v < INT32_MIN ? INT32_MIN : v > INT32_MAX ? INT32_MAX : (int32_t)v;
}

void tl_head_logits(
    const tl_head_t *h, tl_length_t length, const int8_t *x, const int16_t *w, const int32_t *b, int32_t *logits) {
    int64_t mult = h->mult ? (int64_t)h->mult : (int64_t)length.inv;
    int32_t shift = h->mult ? h->shift : TL_HEAD_BITS + 15 - length.e;
    for (int32_t k = 0; k < h->k; k++) {
        int64_t v = dot(h, x, w + k * h->n) * mult; // |v| < 2^(15 + 8 + 15 + 16)
        logits[k] = clamp_int32(((v + (((int64_t)1 << shift) >> 1)) >> shift) + b[k]);
    }
}

// exp(x) for x <= 0 with 16 fractional bits, both: 2^i * 2^f, and for 2^f a polynomial of degree 4 (error < 2^-15)
static uint32_t exp_q16(int32_t x) {
    if (x < -12 * 65536) {
        return 0;
    }
    int32_t t = (int32_t)(((int64_t)x * 94548 + 32768) >> 16); // x * log2(e)
    int32_t i = -(t >> 16);
    uint32_t f = (uint32_t)t & 65535;
    uint32_t y = 884;
    y = 3413 + ((y * f + 32768) >> 16);
    y = 15821 + ((y * f + 32768) >> 16);
    y = 45418 + ((y * f + 32768) >> 16);
    y = 65536 + ((y * f + 32768) >> 16);
    return i ? (y + (1u << (i - 1))) >> i : y;
}

// ln(v / 65536) for v >= 65536, 16 fractional bits: the logarithm to base 2 by squaring, then one product
int32_t tl_log(uint32_t v) {
    uint32_t bits = 0, one = 65536;
    while (v >= 2 * one) {
        v >>= 1; // what falls out is below the result's last bit
        bits += one;
    }
    uint32_t y = v << 15; // [2^31, 2^32): 1 .. 2
    for (uint32_t bit = one >> 1; bit; bit >>= 1) {
        uint64_t square = (uint64_t)y * y; // [2^62, 2^64)
        if (square >> 63) {
            bits += bit;
            y = (uint32_t)(square >> 32);
        } else {
            y = (uint32_t)(square >> 31);
        }
    }
    return (int32_t)(((uint64_t)bits * 45426) >> 16);
}

uint32_t tl_softmax(const int32_t *logits, int32_t k, int32_t *p) {
    int32_t top = logits[0];
    for (int32_t i = 1; i < k; i++) {
        top = logits[i] > top ? logits[i] : top;
    }
    uint32_t sum = 0; // >= 65536, for the largest is exp(0)
    for (int32_t i = 0; i < k; i++) {
        int64_t below = (int64_t)logits[i] - top;
        p[i] = (int32_t)exp_q16(below < INT32_MIN ? INT32_MIN : (int32_t)below);
        sum += (uint32_t)p[i];
    }
    for (int32_t i = 0; i < k; i++) {
        p[i] = (int32_t)((((uint32_t)p[i] << 15) + sum / 2) / sum);
    }
    return sum;
}

tl_status_t tl_head_scores(const tl_span_t *params, const tl_span_t spans[4]) {
    tl_head_t h;
    tl_status_t status = tl_head_params(&h, params, 5);
    const size_t n = (size_t)h.n, k = (size_t)h.k;
    if (status || (status = tl_head_span(&spans[0], n, 1, 0)) || (status = tl_head_span(&spans[1], n * k, 2, 1)) ||
        (status = tl_head_span(&spans[2], k, 4, 2)) || (status = tl_head_span(&spans[3], k, 4, 3))) {
        return status;
    }
    tl_length_t length = {0, 0};
    if (h.mult == 0) {
        length = tl_head_length(&h, spans[0].at);
    }
    tl_head_logits(&h, length, spans[0].at, spans[1].at, spans[2].at, spans[3].at);
    return TL_OK;
}

tl_status_t tl_head_softmax(const tl_span_t *logits, const tl_span_t *probabilities) {
    size_t k = logits->bytes / 4;
    tl_status_t status;
    if (k < 1 || k > 4096) {
        return TL_E_BUFFER;
    }
    if ((status = tl_head_span(logits, k, 4, 0)) || (status = tl_head_span(probabilities, k, 4, 1))) {
        return status;
    }
    tl_softmax(logits->at, (int32_t)k, probabilities->at);
    return TL_OK;
}
