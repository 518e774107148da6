// Front ends checked and run; the envelope, and the logarithm. The log-mel is log_mel.c.

#include "front.h"

#include "requantize.h"

int32_t tl_log2(uint64_t v) {
    int32_t whole = 63, bits = 0;
    if (v == 0) {
        return 0;
    }
    while (!(v >> 63)) {
        v <<= 1;
        whole--;
    }
    uint32_t y = (uint32_t)(v >> 32); // [2^31, 2^32): 1 .. 2
    for (int32_t bit = 0; bit < TL_LOG_BITS; bit++) {
        uint64_t square = tl_wide_multiply(y, y); // [2^62, 2^64)
        bits = 2 * bits + (int32_t)(square >> 63);
        y = (uint32_t)(square >> (31 + (square >> 63)));
    }
    return whole * (1 << TL_LOG_BITS) + bits;
}

static void envelope(const tl_front_t *f, const int8_t *x, int8_t *picture) {
    for (int32_t i = 0; i < f->frames; i++) {
        for (int32_t c = 0; c < f->channels; c++) {
            const int8_t *at = x + (size_t)i * f->hop * f->channels + c;
            uint32_t sum = 1;
            for (int32_t j = 0; j < f->window; j++, at += f->channels) {
                sum += (uint32_t)(*at < 0 ? -*at : *at);
            }
            uint32_t v = ((uint32_t)tl_log2(sum) * 255 + f->range / 2) / f->range;
            *picture++ = (int8_t)((v > 255 ? 255 : (int32_t)v) - 128);
        }
    }
}

// Bytes that a section of this kind and geometry has; 0 where that is not sound.
static size_t section_bytes(const tl_front_t *f) {
    if (f->window < 1 || f->hop < 1 || f->frames < 1 || f->bins < 1 || f->range < 1 || f->channels < 1 ||
        f->samples > 65535 || (f->frames - 1u) * f->hop + f->window > f->samples) {
        return 0;
    }
    if (f->kind == TL_FRONT_ENVELOPE) {
        return f->bins == f->channels && f->fft == 0 ? sizeof *f : 0;
    }
    if (f->kind != TL_FRONT_LOG_MEL || f->channels != 1 || f->bins > TL_FRONT_MAX_BINS || f->fft < 64 ||
        f->fft > TL_FRONT_MAX_FFT || f->fft & (f->fft - 1) || f->window > f->fft) {
        return 0;
    }
    return sizeof *f + 2 * (f->window + f->fft / 4 + 1u) + f->fft;
}

int32_t tl_front_scratch(const tl_span_t *section) {
    const tl_front_t *f = section->at;
    if (f == NULL || (uintptr_t)f % 4 || section->bytes < sizeof *f || section_bytes(f) != section->bytes) {
        return -1;
    }
    return f->kind == TL_FRONT_LOG_MEL ? 8 * f->bins + 2 * f->fft + 2 * f->frames * f->bins : 0;
}

tl_status_t tl_front_run(const tl_span_t *section, const tl_span_t spans[3]) {
    const tl_front_t *f = section->at;
    int32_t scratch = tl_front_scratch(section);
    if (scratch < 0) {
        return TL_E_PARAMS;
    }
    uint32_t size = f->kind == TL_FRONT_LOG_MEL ? 2 : 1;
    if (spans[0].at == NULL || (uintptr_t)spans[0].at % size || spans[0].bytes != size * f->samples * f->channels) {
        return TL_E_BUFFER;
    }
    if (spans[1].at == NULL || spans[1].bytes != (size_t)f->frames * f->bins) {
        return TL_E_BUFFER + 256;
    }
    if (spans[2].bytes < (size_t)scratch || (uintptr_t)spans[2].at % 8) {
        return TL_E_BUFFER + 512;
    }
    if (f->kind == TL_FRONT_LOG_MEL) {
        tl_log_mel(f, spans[0].at, spans[1].at, spans[2].at);
    } else {
        envelope(f, spans[0].at, spans[1].at);
    }
    return TL_OK;
}
