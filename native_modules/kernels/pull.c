#include "pull.h"

void tl_pull(tl_grad_t *g, int32_t channels, const int8_t *y, const int8_t *reference, const tl_channels_t *on,
    tl_rate_t weight) {
    tl_rows_t rows = tl_rows(g, true);
    for (int32_t at = 0; at < g->n; at += channels) {
        for (int32_t i = 0; i < on->count; i++) {
            const int32_t here = at + tl_channel_at(on, i);
            int32_t pull = (y[here] - *reference++) * weight.mantissa;
            tl_rows_put(&rows, here, &pull, 1, weight.exponent);
        }
    }
}

// The first of params, if there are count of them and y is a map of so many channels; else 0.
static int32_t channels_of(const tl_span_t *params, size_t count, const tl_span_t *y) {
    const int32_t *p = params->at;
    if (p == NULL || params->bytes != 4 * count || (uintptr_t)p % 4 || p[0] < 1 || y->bytes > INT32_MAX ||
        y->bytes % (uint32_t)p[0]) {
        return 0;
    }
    return p[0];
}

tl_status_t tl_activity(const tl_span_t *params, const tl_span_t spans[2]) {
    const int32_t channels = channels_of(params, 2, &spans[0]), zero = channels ? ((const int32_t *)params->at)[1] : 0;
    if (channels == 0 || zero < -128 || zero > 127) {
        return TL_E_PARAMS;
    }
    if (spans[1].bytes != 4 * (size_t)channels || (uintptr_t)spans[1].at % 4) {
        return TL_E_BUFFER + 256;
    }
    const int8_t *y = spans[0].at, *end = y + spans[0].bytes;
    uint32_t *sums = spans[1].at;
    while (y < end) {
        for (int32_t c = 0; c < channels; c++) {
            sums[c] += tl_size(*y++ - zero);
        }
    }
    return TL_OK;
}

static bool chosen(const tl_span_t *list, int32_t channels) {
    const int16_t *on = list->at;
    bool sound = list->bytes % 2 == 0 && (uintptr_t)on % 2 == 0;
    for (size_t i = 0; sound && i < list->bytes / 2; i++) {
        sound = on[i] >= 0 && on[i] < channels;
    }
    return sound;
}

tl_status_t tl_channel_maps(const tl_span_t *params, const tl_span_t spans[3]) {
    const int32_t channels = channels_of(params, 1, &spans[0]);
    if (channels == 0) {
        return TL_E_PARAMS;
    }
    if (!chosen(&spans[1], channels)) {
        return TL_E_BUFFER + 256;
    }
    const int8_t *y = spans[0].at, *end = y + spans[0].bytes;
    const int16_t *on = spans[1].at;
    const size_t k = spans[1].bytes / 2;
    if (spans[2].bytes != spans[0].bytes / (size_t)channels * k) {
        return TL_E_BUFFER + 512;
    }
    for (int8_t *reference = spans[2].at; y < end; y += channels) {
        for (size_t i = 0; i < k; i++) {
            *reference++ = y[on[i]];
        }
    }
    return TL_OK;
}
