// kernels/requantize.h over arrays, so that its two forms can be compared.

#include "requantize.h"

void requantize(int32_t n, const int32_t *acc, const int32_t *mult, const int32_t *shift, int32_t *y) {
    for (int32_t i = 0; i < n; i++) {
        y[i] = tl_requantize(acc[i], mult[i], shift[i]);
    }
}

void high_multiply(int32_t n, const int32_t *a, const int32_t *b, int32_t *y) {
    for (int32_t i = 0; i < n; i++) {
        y[i] = tl_high_multiply(a[i], b[i]);
    }
}

void wide_multiply(int32_t n, const uint32_t *a, const uint32_t *b, uint64_t *y) {
    for (int32_t i = 0; i < n; i++) {
        y[i] = tl_wide_multiply(a[i], b[i]);
    }
}
