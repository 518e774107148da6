// Log-mel spectrogram: what of a sound lies in which band, over time (Davis and Mermelstein 1980, without the cosine
// transform), relative to the loudest.

#include <string.h>

#include "front.h"
#include "requantize.h"

typedef struct {
    const int16_t *window, *sine;
    const uint8_t *band, *share;
} tables_t;

// What a microphone gives in silence: converters without a sign have it half way up.
static int32_t mean(const int16_t *pcm, uint32_t n) {
    int32_t sum = 0; // of at most 65535
    for (uint32_t i = 0; i < n; i++) {
        sum += pcm[i];
    }
    return sum / (int32_t)n;
}

// The samples of one frame through the window, as fft / 2 complex points, as large as an int16 holds. Gives the
// exponent.
static int32_t take(const tl_front_t *f, const int16_t *pcm, int32_t zero, const int16_t *window, int16_t *z) {
    uint32_t bits = 0;
    for (int32_t i = 0; i < f->window; i++) {
        int32_t v = (pcm[i] - zero) * window[i]; // 65535 * 32767 at most
        bits |= (uint32_t)(v < 0 ? -v : v);
    }
    int32_t shift = 0; // so that |v >> shift| < 2^15
    while (bits >> shift >= 1 << 15) {
        shift++;
    }
    int32_t half = shift ? 1 << (shift - 1) : 0;
    for (int32_t i = 0; i < f->window; i++) {
        int32_t v = ((pcm[i] - zero) * window[i] + half) >> shift;
        z[i] = (int16_t)(v > 32767 ? 32767 : v);
    }
    memset(z + f->window, 0, sizeof(int16_t) * (size_t)(f->fft - f->window));
    return shift - 15;
}

// Energy of point k of the real signal's spectrum, over 4: X = ((Z[k] + Z*[-k]) - i w (Z[k] - Z*[-k])) / 2, |X/2|^2.
static uint32_t energy(const int16_t *z, int32_t half, int32_t k, const int16_t *sine) {
    const int16_t *a = z + 2 * k, *b = z + 2 * ((half - k) & (half - 1));
    int32_t quarter = half / 2;
    int32_t w_sin = k <= quarter ? sine[k] : sine[2 * quarter - k];
    int32_t w_cos = k <= quarter ? sine[quarter - k] : -sine[k - quarter];
    int32_t odd_re = (a[0] - b[0]) >> 1, odd_im = (a[1] + b[1]) >> 1;
    int32_t re = (a[0] + b[0]) + ((odd_im * w_cos - odd_re * w_sin) >> 14);
    int32_t im = (a[1] - b[1]) - ((odd_re * w_cos + odd_im * w_sin) >> 14);
    uint32_t re_half = (uint32_t)((re + 2) >> 2), im_half = (uint32_t)((im + 2) >> 2);
    return re_half * re_half + im_half * im_half; // at most 2^31
}

// log2 of the energy in each band of one frame
static void frame(const tl_front_t *f, const tables_t *t, const int16_t *pcm, int32_t zero, uint64_t *bands, int16_t *z,
    uint16_t *y) {
    int32_t e = take(f, pcm, zero, t->window, z), half = f->fft / 2, bins = f->bins;
    e += tl_fft(z, half, t->sine) + 1; // + 1: energy() gives a quarter
    memset(bands, 0, sizeof(uint64_t) * (size_t)bins);
    for (int32_t k = 0; k < half; k++) {
        int32_t band = t->band[k];
        uint32_t share = t->share[k], v = energy(z, half, k, t->sine);
        if (band >= 1 && band <= bins) {
            bands[band - 1] += tl_wide_multiply(v, 256 - share);
        }
        if (band < bins) {
            bands[band] += tl_wide_multiply(v, share);
        }
    }
    for (int32_t m = 0; m < bins; m++) {
        int32_t v = bands[m] ? tl_log2(bands[m]) + (2 * e - 8) * (1 << TL_LOG_BITS) : 0; // shares have 8 bits
        y[m] = (uint16_t)(v < 0 ? 0 : v > 65535 ? 65535 : v);
    }
}

void tl_log_mel(const tl_front_t *f, const int16_t *pcm, int8_t *picture, void *scratch) {
    tables_t t;
    uint64_t *bands = scratch; // bins, then int16 [fft], then uint16 [frames, bins]
    int16_t *z = (int16_t *)(bands + f->bins);
    uint16_t *logs = (uint16_t *)(z + f->fft);
    t.window = (const int16_t *)(f + 1);
    t.sine = t.window + f->window;
    t.band = (const uint8_t *)(t.sine + f->fft / 4 + 1);
    t.share = t.band + f->fft / 2;
    int32_t n = f->frames * f->bins, top = f->range, zero = mean(pcm, f->samples);
    for (int32_t i = 0; i < f->frames; i++) {
        frame(f, &t, pcm + (size_t)i * f->hop, zero, bands, z, logs + i * f->bins);
    }
    for (int32_t i = 0; i < n; i++) {
        top = logs[i] > top ? logs[i] : top;
    }
    for (int32_t i = 0; i < n; i++) {
        int32_t above = logs[i] - (top - f->range); // at most range
        picture[i] = (int8_t)(above > 0 ? (above * 255 + f->range / 2) / f->range - 128 : -128);
    }
}
