// The last layer as softmax regression on cached features, trained in integers: full-batch SGD on the cross-entropy of
// logit_k = w_k . u + b_k, where u = x / |x| and p = softmax(logit):
//     dL/dw_k = mean_i (p_ik - y_ik) u_i        (Bishop, Pattern Recognition and Machine Learning, equation 4.109)
// The features' common mean m dominates that gradient after a ReLU, and makes every learning rate too small or too
// large. So the step is taken on u - m, in which the same classifier is w_k . (u - m) + (b_k + w_k . m), the last term
// held:
//     dw_k = -rate * mean_i (p_ik - y_ik) (u_i - m),  db_k = -dw_k . m
// The gradient is scaled down to a norm of at most clip. Weights are int16 with stochastic rounding.

#include <stdbool.h>

#include "heads.h"
#include "random.h"

enum { UNIT_BITS = 14 }; // fractional bits of m

typedef struct {
    tl_head_t h;
    int32_t samples, rate, clip;
    const int8_t *x;
    const uint8_t *labels;
    const int16_t *mean;
    int16_t *w;
    int32_t *b;
    int32_t *error;   // [samples, k]: first p - y with 15 bits, divided by |x_i|
    int32_t *e;       // [samples]: the exponent of 1 / |x_i|
    int32_t *row;     // [n]: one class's gradient
    int32_t *p;       // [k]
    int32_t *pull;    // [k]: sum_i (p_ik - y_ik), 15 bits
    int32_t exponent; // gradient = row * 2^-exponent
} step_t;

static int32_t clamp_int32(int64_t v) {
    return v < -INT32_MAX ? -INT32_MAX : v > INT32_MAX ? INT32_MAX : (int32_t)v;
}

static int64_t shift_right(int64_t v, int32_t by) { // to nearest
    return by ? (v + ((int64_t)1 << (by - 1))) >> by : v;
}

tl_status_t tl_unit_mean(const tl_span_t *params, const tl_span_t spans[3]) {
    tl_head_t h;
    tl_status_t status = tl_head_params(&h, params, 5);
    if (status) {
        return status;
    }
    const size_t n = (size_t)h.n, samples = spans[0].bytes / n;
    if (samples < 1 || samples > TL_HEAD_MAX_SAMPLES) {
        return TL_E_BUFFER;
    }
    if ((status = tl_head_span(&spans[0], samples * n, 1, 0)) || (status = tl_head_span(&spans[1], n, 2, 1)) ||
        (status = tl_head_span(&spans[2], n, 4, 2))) {
        return status;
    }
    const int8_t *x = spans[0].at;
    int16_t *mean = spans[1].at;
    int32_t *sum = spans[2].at;
    for (size_t j = 0; j < n; j++) {
        sum[j] = 0;
    }
    for (size_t i = 0; i < samples; i++, x += n) {
        tl_length_t length = tl_head_length(&h, x);
        for (size_t j = 0; j < n; j++) { // |u| <= 1: 2^14 samples of 2^14 fit
            int64_t u = (int64_t)(x[j] - h.zero) * length.inv;
            sum[j] += (int32_t)shift_right(u, 31 - UNIT_BITS - length.e);
        }
    }
    for (size_t j = 0; j < n; j++) {
        mean[j] = (int16_t)(sum[j] / (int32_t)samples);
    }
    return TL_OK;
}

// Forward of every sample. Fills error, e and pull; gives the summed loss (16 fractional bits).
static int64_t errors(step_t *s, int32_t *right) {
    const int32_t k = s->h.k;
    int64_t loss = 0;
    *right = 0;
    for (int32_t c = 0; c < k; c++) {
        s->pull[c] = 0;
    }
    for (int32_t i = 0; i < s->samples; i++) {
        const int8_t *x = s->x + i * s->h.n;
        const int32_t y = s->labels[i];
        const tl_length_t length = tl_head_length(&s->h, x);
        int32_t *logits = s->error + i * k, best = 0;
        tl_head_logits(&s->h, length, x, s->w, s->b, logits);
        for (int32_t c = 1; c < k; c++) {
            best = logits[c] > logits[best] ? c : best;
        }
        *right += best == y;
        loss += (int64_t)logits[best] - logits[y] + tl_log(tl_softmax(logits, k, s->p));
        s->e[i] = length.inv ? length.e : -1;
        for (int32_t c = 0; c < k; c++) {
            int32_t error = s->p[c] - (c == y ? TL_HEAD_ONE : 0);
            s->pull[c] += error;
            logits[c] = error * (int32_t)(length.inv >> 1); // 16 bits by 15: the row of errors takes the logits' place
        }
    }
    return loss;
}

static void coarser(step_t *s, int32_t by) {
    for (int32_t i = 0; i < s->samples * s->h.k; i++) {
        s->error[i] = (int32_t)shift_right(s->error[i], by);
    }
    s->exponent -= by;
}

// One exponent for all errors: that of the shortest feature vector, or 12 bits above the longest's. Then as many bits
// as the sums in row can hold.
static void align(step_t *s) {
    int32_t lowest = 16, e = 0, guard = 0, shift = 0;
    for (int32_t i = 0; i < s->samples; i++) {
        lowest = s->e[i] >= 0 && s->e[i] < lowest ? s->e[i] : lowest;
        e = s->e[i] > e ? s->e[i] : e;
    }
    e = e > lowest + 12 ? lowest + 12 : e;
    uint32_t top = 0;
    for (int32_t i = 0; i < s->samples; i++) {
        for (int32_t c = 0; c < s->h.k; c++) {
            int32_t *error = s->error + i * s->h.k + c;
            *error = (int32_t)shift_right(*error, e > s->e[i] && s->e[i] >= 0 ? e - s->e[i] : 0);
            uint32_t size = (uint32_t)(*error < 0 ? -*error : *error);
            top = size > top ? size : top;
        }
    }
    while (s->samples > 1 << guard) {
        guard++;
    }
    while (top >> shift >= (uint32_t)1 << (22 - guard)) { // 22 bits of errors and guard, 8 of features
        shift++;
    }
    s->exponent = 45 - e; // 15 of p - y, 30 of inv / 2
    coarser(s, shift);
}

// sums[0..3] = sum_i error_i x_i of four features: the sums stay in registers
static void four_columns(const step_t *s, const int32_t *error, const int8_t *x, int32_t *sums) {
    int32_t a = 0, b = 0, c = 0, d = 0;
    for (int32_t i = 0; i < s->samples; i++, error += s->h.k, x += s->h.n) {
        const int32_t e = *error;
        a += e * x[0];
        b += e * x[1];
        c += e * x[2];
        d += e * x[3];
    }
    sums[0] = a;
    sums[1] = b;
    sums[2] = c;
    sums[3] = d;
}

// row = sum_i error_ik (x_i - zero) - pull_k m; whether it holds that
static bool gradient(step_t *s, int32_t k) {
    const int32_t n = s->h.n, left = s->exponent - 15 - UNIT_BITS;
    int32_t zero = 0, j = 0;
    for (; j + 4 <= n; j += 4) {
        four_columns(s, s->error + k, s->x + j, s->row + j);
    }
    for (int32_t i = 0; i < s->samples; i++) {
        const int32_t e = s->error[i * s->h.k + k];
        zero += e * s->h.zero;
        for (int32_t rest = j; rest < n; rest++) {
            s->row[rest] = (i ? s->row[rest] : 0) + e * s->x[i * n + rest];
        }
    }
    bool fits = true;
    for (j = 0; j < n; j++) {
        int64_t pull = (int64_t)s->pull[k] * s->mean[j];
        pull = left >= 0 ? pull * ((int64_t)1 << left) : shift_right(pull, -left);
        pull = (int64_t)s->row[j] - zero - pull;
        s->row[j] = (int32_t)pull;
        fits &= s->row[j] == pull;
    }
    return fits;
}

// |gradient| over all classes, in the unit of row; false where row is too short for a class's
static bool norm(step_t *s, uint64_t *length) {
    uint64_t square = 0;
    for (int32_t k = 0; k < s->h.k; k++) {
        if (!gradient(s, k)) {
            return false;
        }
        for (int32_t j = 0; j < s->h.n; j++) {
            int64_t v = s->row[j] >> 8;
            square += (uint64_t)(v * v);
        }
    }
    *length = (uint64_t)tl_isqrt(square) << 8;
    return true;
}

// rate * min(1, clip / |gradient|) / samples as factor * 2^-shift, factor of 15 bits, from the unit of row to w's
static int64_t step_factor(const step_t *s, uint64_t length, int32_t *shift) {
    const int32_t t = s->exponent - 8; // clip has 8 bits
    uint64_t limit = (uint64_t)s->clip * (uint32_t)s->samples;
    bool clipped = t >= 0 && limit < (uint64_t)1 << (63 - t) && length > limit << t;
    uint64_t factor = (uint64_t)s->rate, under = (uint32_t)s->samples;
    *shift = s->exponent + 8 - TL_HEAD_BITS;
    if (clipped) {
        factor *= (uint32_t)s->clip;
        under = length;
        *shift = 16 - TL_HEAD_BITS;
    }
    while (factor >> 62 == 0) {
        factor <<= 1;
        (*shift)++;
    }
    factor /= under;
    while (factor >> 15) {
        factor >>= 1;
        (*shift)--;
    }
    return (int64_t)factor;
}

// v / 2^shift, rounded up with the probability of what is cut off
static int64_t round_randomly(int64_t v, int32_t shift, uint32_t random) {
    if (shift <= 0) {
        return v;
    }
    shift = shift > 60 ? 60 : shift;
    uint64_t cut = shift > 32 ? (uint64_t)random << (shift - 32) : random >> (32 - shift);
    return (v + (int64_t)cut) >> shift;
}

static void update(step_t *s, int64_t factor, int32_t shift, uint32_t *random) {
    for (int32_t k = 0; k < s->h.k; k++) {
        int16_t *w = s->w + k * s->h.n;
        int64_t moved = 0; // dw . m
        gradient(s, k);
        for (int32_t j = 0; j < s->h.n; j++) {
            int64_t to = w[j] - round_randomly(s->row[j] * factor, shift, tl_random(random));
            to = to > INT16_MAX ? INT16_MAX : to < -INT16_MAX ? -INT16_MAX : to;
            moved += (to - w[j]) * s->mean[j];
            w[j] = (int16_t)to;
        }
        s->b[k] = clamp_int32(s->b[k] - shift_right(moved, TL_HEAD_BITS + UNIT_BITS - 16));
    }
}

tl_status_t tl_head_step(const tl_span_t *params, const tl_span_t spans[7]) {
    step_t s;
    tl_status_t status = tl_head_params(&s.h, params, 7);
    if (status) {
        return status;
    }
    const int32_t *p = params->at;
    const size_t n = (size_t)s.h.n, k = (size_t)s.h.k, samples = spans[1].bytes;
    s.samples = (int32_t)samples;
    s.rate = p[5];
    s.clip = p[6];
    if (s.h.mult || samples < 1 || samples > TL_HEAD_MAX_SAMPLES || s.rate < 1 || s.rate > 1 << 22 || s.clip < 1 ||
        s.clip > 1 << 12) {
        return TL_E_PARAMS;
    }
    const size_t scratch = samples * k + samples + n + 2 * k;
    if ((status = tl_head_span(&spans[0], samples * n, 1, 0)) || (status = tl_head_span(&spans[1], samples, 1, 1)) ||
        (status = tl_head_span(&spans[2], n, 2, 2)) || (status = tl_head_span(&spans[3], k * n, 2, 3)) ||
        (status = tl_head_span(&spans[4], k, 4, 4)) || (status = tl_head_span(&spans[5], 4, 4, 5)) ||
        (status = tl_head_span(&spans[6], scratch, 4, 6))) {
        return status;
    }
    s.x = spans[0].at;
    s.labels = spans[1].at;
    s.mean = spans[2].at;
    s.w = spans[3].at;
    s.b = spans[4].at;
    s.error = spans[6].at;
    s.e = s.error + samples * k;
    s.row = s.e + samples;
    s.p = s.row + n;
    s.pull = s.p + k;
    for (size_t i = 0; i < samples; i++) {
        if (s.labels[i] >= k) {
            return TL_E_LABEL + 256 * (int32_t)i;
        }
    }
    int32_t *state = spans[5].at, shift;
    uint32_t random = state[0] ? (uint32_t)state[0] : 1;
    state[1] = clamp_int32(errors(&s, &state[2]) / s.samples);
    align(&s);
    uint64_t length;
    // Samples that are blank, or much longer than those that made the mean, may pull on it more than the errors do.
    while (!norm(&s, &length)) {
        coarser(&s, 1);
    }
    if (length) {
        const int64_t factor = step_factor(&s, length, &shift);
        update(&s, factor, shift, &random);
    }
    const int64_t mean_length = (int64_t)(length / (uint32_t)s.samples);
    state[3] = clamp_int32(s.exponent >= 16 ? mean_length >> (s.exponent - 16) : mean_length << (16 - s.exponent));
    state[0] = (int32_t)random;
    return TL_OK;
}
