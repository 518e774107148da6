// Heads: the small classifiers that are taught on the board, on top of a frozen network's int8 features.
//
// Every head is one linear map, k rows over n features, whatever taught it:
//     logit_k = w_k . x / |x| + b_k               cosine (mult = 0): the feature vector is scaled to length 1
//     logit_k = (w_k . x) * mult / 2^shift + b_k  scaled dot product: squared Euclidean distances are this
// x is the feature vector less its zero point. w is int16 with TL_HEAD_BITS fractional bits, logits and b are int32
// with 16. So predicting needs one kernel, a delta file stores rows, and several rows may belong to one class.
//
// The functions take params and spans as tl_op does: they check every length and alignment and then cannot leave a
// buffer. A status names the buffer by its place in the argument list: TL_E_BUFFER + 256 * index.

#ifndef TL_HEADS_H
#define TL_HEADS_H

#include "program.h"

enum {
    TL_HEAD_BITS = 10, // fractional bits of w: +-32 in steps of 1/1024
    TL_HEAD_MAX_FEATURES = 1 << 15,
    TL_HEAD_MAX_ROWS = 256, // labels are uint8
    TL_HEAD_MAX_SAMPLES = 1 << 14,
    TL_HEAD_TAU = 10,      // temperature of cosine prototypes
    TL_HEAD_ONE = 1 << 15, // a probability of 1
};

// The first fields of every function's params.
typedef struct {
    int32_t n;     // features
    int32_t k;     // rows
    int32_t zero;  // zero point of the features
    int32_t mult;  // 0: cosine; else 1 .. 65535
    int32_t shift; // 0 .. 62
} tl_head_t;

// 1 / |x| = inv * 2^(e - 31), or 0 for a vector of zeros
typedef struct {
    uint32_t inv;
    int32_t e;
} tl_length_t;

// ---- head.c: forward ------------------------------------------------------------------------------------------------

// x int8 [n], w int16 [k, n], b int32 [k] -> logits int32 [k]
tl_status_t tl_head_scores(const tl_span_t *params, const tl_span_t spans[4]);

// logits int32 [k] -> probabilities int32 [k], TL_HEAD_ONE is 1
tl_status_t tl_head_softmax(const tl_span_t *logits, const tl_span_t *probabilities);

// Shared with training.
tl_status_t tl_head_params(tl_head_t *h, const tl_span_t *params, size_t count);
tl_status_t tl_head_span(const tl_span_t *span, size_t count, size_t size, int32_t index);
tl_length_t tl_head_length(const tl_head_t *h, const int8_t *x);
void tl_head_logits(
    const tl_head_t *h, tl_length_t length, const int8_t *x, const int16_t *w, const int32_t *b, int32_t *logits);
uint32_t tl_softmax(const int32_t *logits, int32_t k, int32_t *p); // gives sum exp(logit - largest), 16 bits
int32_t tl_log(uint32_t v);                                        // of such a sum, 16 fractional bits
uint32_t tl_isqrt(uint64_t v);                                     // to nearest; head_prototype.c
int64_t tl_divide(int64_t a, int64_t b);                           // to nearest, b > 0; head_prototype.c

// ---- head_prototype.c: class means ----------------------------------------------------------------------------------

// features int8 [samples, n], labels uint8 [samples]: sums int32 [k, n] += x, counts int32 [k] += 1
tl_status_t tl_class_sums(const tl_span_t *params, const tl_span_t spans[4]);

// sums, counts -> w, b: the rows of a nearest prototype head
tl_status_t tl_class_rows(const tl_span_t *params, const tl_span_t spans[4]);

// params: head, own. source int16 [k]: the row of the model's own classifier for each class without samples, or -1;
// own_w int8 [own, n], own_scale int32 [own] (their scales, 15 bits, in proportion); sums, counts; scratch int32 [2 n].
// Gives each such class a pseudo-prototype (count -16).
tl_status_t tl_own_classes(const tl_span_t *params, const tl_span_t spans[6]);

// ---- head_closed_form.c: linear discriminant analysis ---------------------------------------------------------------

// params: head, prior (1 .. 2^23: of how many examples, with 8 fractional bits, the spherical covariance is taken to
// be). features int8 [samples, n] and labels uint8 [samples], from which the covariance comes; sums, counts: the means.
// Gives w, b and scale int32 [2]: mult and shift to predict with. scratch int32 [m (m + 1) / 2 + m + 2 n + k +
// (k n + 1) / 2], m = min(n, samples), which is at most 512.
tl_status_t tl_closed_form(const tl_span_t *params, const tl_span_t spans[8]);

// ---- head_linear.c: softmax regression ------------------------------------------------------------------------------

// features int8 [samples, n] -> mean int16 [n] of x / |x|, 14 fractional bits; scratch int32 [n]
tl_status_t tl_unit_mean(const tl_span_t *params, const tl_span_t spans[3]);

// One full-batch step of SGD. params: head, rate, clip (8 fractional bits each). features, labels, mean, w, b,
// state int32 [4] (the random number generator's state, not 0; out: loss with 16 fractional bits, how many samples were
// right, the gradient's norm with 16), scratch int32 [samples * k + samples + n + 2 k]
tl_status_t tl_head_step(const tl_span_t *params, const tl_span_t spans[7]);

#endif
