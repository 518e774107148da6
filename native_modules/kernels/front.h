// Front ends: from a sensor's samples to the picture that a network takes, in integers, the same bits everywhere.
//
// A model with a front end carries it as section FRNT (docs/SPEC.md): tl_front_t, then the tables of a log-mel, so that
// no board computes a sine. Whatever the kind, the picture is int8 [frames, bins] = brightness 0 .. 255 less 128, and
// brightness is a logarithm: 0 is `range` octaves below 255.
//
//     log-mel (1)    int16 PCM. Their mean is taken off. Frames of `window` samples, `hop` apart, through a window
//     function, a Fourier transform
//                    of `fft` points and `bins` triangular bands; log2 of the energy. 255 is the loudest of the picture
//                    and nothing lies `range` below that, so the gain of the microphone does not matter.
//     envelope (2)   int8 of several channels, interleaved. Frames of `window` samples, `hop` apart; log2 of 1 + the
//                    sum of |x| for each channel. 255 is `range`.

#ifndef TL_FRONT_H
#define TL_FRONT_H

#include "program.h"

enum { TL_FRONT_LOG_MEL = 1, TL_FRONT_ENVELOPE };

enum {
    TL_LOG_BITS = 10, // fractional bits of a logarithm
    TL_FRONT_MAX_FFT = 1024,
    TL_FRONT_MAX_BINS = 64,
};

// As in the file, little-endian. Followed in a log-mel by int16 window[window] and int16 sine[fft / 4 + 1], a quarter
// of sin(2 pi k / fft), both with 15 fractional bits; uint8 band[fft / 2] and uint8 share[fft / 2]: point k of the
// spectrum gives share/256 of its energy to band[k] and the rest to the band below; bands -1 and `bins` are nobody's.
typedef struct {
    uint16_t kind, channels;
    uint32_t rate;    // samples a second, for reports
    uint32_t samples; // of each channel, that make one picture; at most 65535
    uint16_t window, hop, frames, bins;
    uint16_t fft;   // 64 .. 1024, a power of two, at least the window; 0 in an envelope
    uint16_t range; // octaves of energy (of amplitude in an envelope) from 0 to 255, TL_LOG_BITS fractional bits
} tl_front_t;

// Bytes of scratch that a front end needs, from a multiple of 8 in memory; -1 where the section is none.
int32_t tl_front_scratch(const tl_span_t *section);

// spans: samples (int16, or int8 [samples, channels]), picture int8 [frames * bins], scratch.
tl_status_t tl_front_run(const tl_span_t *section, const tl_span_t spans[3]);

// Shared by its parts.

// log2(v), TL_LOG_BITS fractional bits, cut off; 0 for 0
int32_t tl_log2(uint64_t v);

// A Fourier transform of n = 2^k complex points in place, int16 [n, 2]. sine: of 2 n points, as above. Gives e: the
// result is re + i im times 2^e, which keeps 15 bits of the largest.
int32_t tl_fft(int16_t *z, int32_t n, const int16_t *sine);

void tl_log_mel(const tl_front_t *f, const int16_t *pcm, int8_t *picture, void *scratch);

#endif
