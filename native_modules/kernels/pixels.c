#include "program.h"

tl_status_t tl_pixels(const tl_span_t spans[2]) {
    if (spans[0].bytes != spans[1].bytes) {
        return TL_E_BYTES;
    }
    uint8_t *dst = spans[0].at;
    const uint8_t *src = spans[1].at;
    for (size_t i = 0; i < spans[0].bytes; i++) {
        dst[i] = src[i] ^ 128;
    }
    return TL_OK;
}
