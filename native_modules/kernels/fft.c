// Fourier transform of int16 with one exponent for all points (block floating point), radix 2, decimation in time.

#include "front.h"

static void swap(int16_t *a, int16_t *b) {
    int16_t re = a[0], im = a[1];
    a[0] = b[0], a[1] = b[1];
    b[0] = re, b[1] = im;
}

// The order that the butterflies take: index bits reversed.
static void reorder(int16_t *z, int32_t n) {
    for (int32_t i = 1, j = 0; i < n; i++) {
        int32_t bit = n >> 1;
        for (; j & bit; bit >>= 1) {
            j ^= bit;
        }
        j ^= bit;
        if (i < j) {
            swap(z + 2 * i, z + 2 * j);
        }
    }
}

// A butterfly makes a component at most 1 + sqrt(2) times as large: by how many bits it must be halved to stay int16.
static int32_t headroom(const int16_t *z, int32_t n) {
    int32_t largest = 0;
    for (int32_t i = 0; i < 2 * n; i++) {
        int32_t v = z[i] < 0 ? -z[i] : z[i];
        largest = v > largest ? v : largest;
    }
    return largest > 27145 ? 2 : largest > 13572 ? 1 : 0;
}

// a, b = (a + w b) / 2^s, (a - w b) / 2^s. |w b| <= sqrt(2) * 2^15 * 2^15 fits an int32.
static inline void butterfly(int16_t *a, int16_t *b, int32_t cosine, int32_t sine, int32_t s) {
    int32_t re = (b[0] * cosine + b[1] * sine + (1 << 14)) >> 15;
    int32_t im = (b[1] * cosine - b[0] * sine + (1 << 14)) >> 15;
    int32_t half = (1 << s) >> 1, a_re = a[0] + half, a_im = a[1] + half;
    a[0] = (int16_t)((a_re + re) >> s), a[1] = (int16_t)((a_im + im) >> s);
    b[0] = (int16_t)((a_re - re) >> s), b[1] = (int16_t)((a_im - im) >> s);
}

int32_t tl_fft(int16_t *z, int32_t n, const int16_t *sine) {
    int32_t e = 0, quarter = n / 2; // of the table's 2 n points
    reorder(z, n);
    for (int32_t half = 1; half < n; half *= 2) {
        int32_t s = headroom(z, n);
        e += s;
        for (int32_t k = 0; k < half; k++) { // w = exp(-i pi k / half)
            int32_t at = k * (n / half);
            int32_t w_sin = at <= quarter ? sine[at] : sine[2 * quarter - at];
            int32_t w_cos = at <= quarter ? sine[quarter - at] : -sine[at - quarter];
            for (int32_t i = k; i < n; i += 2 * half) {
                butterfly(z + 2 * i, z + 2 * (i + half), w_cos, w_sin, s);
            }
        }
    }
    return e;
}
