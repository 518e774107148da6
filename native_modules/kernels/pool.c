#include "requantize.h"
#include "window.h"

// a / count to the nearest integer, ties away from zero. |a| <= 128 * count, count <= 2^16; inverse: 2^24 / count, cut.
static inline int32_t average(int32_t a, int32_t count, uint32_t inverse) {
    uint32_t size = (uint32_t)(a < 0 ? -a : a) + (uint32_t)count / 2; // below 2^24
    uint32_t q = size * inverse >> 24;                                // the quotient or one less
    q += size - q * (uint32_t)count >= (uint32_t)count;
    return a < 0 ? -(int32_t)q : (int32_t)q;
}

// The part of a window that lies inside the image
typedef struct {
    const int8_t *first;
    int32_t h, w;
    int32_t row, tap; // steps between its elements
} patch_t;

static inline int32_t reduce(const patch_t *patch, int32_t channel, bool average) {
    const int8_t *row = patch->first + channel;
    int32_t acc = average ? 0 : -128;
    for (int32_t i = patch->h; i > 0; i--, row += patch->row) {
        const int8_t *x = row;
        for (int32_t j = patch->w; j > 0; j--, x += patch->tap) {
            acc = average ? acc + *x : *x > acc ? *x : acc;
        }
    }
    return acc;
}

static inline patch_t patch_under(const tl_window_t *g, const int8_t *x, int32_t top, int32_t left) {
    tl_taps_t rows = tl_taps(top, g->in_h, g->k_h, 1), columns = tl_taps(left, g->in_w, g->k_w, 1);
    return (patch_t){
        x + (rows.start * g->in_w + columns.start) * g->in_c,
        rows.last - rows.first,
        columns.last - columns.first,
        g->in_w * g->in_c,
        g->in_c,
    };
}

void tl_pool_s8(const tl_window_t *g, const int8_t *x, int8_t *y, bool averages) {
    for (int32_t oy = 0, top = -g->pad_top; oy < g->out_h; oy++, top += g->stride_h) {
        for (int32_t ox = 0, left = -g->pad_left; ox < g->out_w; ox++, left += g->stride_w) {
            patch_t patch = patch_under(g, x, top, left);
            const int32_t count = patch.h * patch.w;
            const uint32_t inverse = averages && count ? (1u << 24) / (uint32_t)count : 0;
            for (int32_t c = 0; c < g->out_c; c++) {
                int32_t v = reduce(&patch, c, averages);
                *y++ = tl_clamp(averages ? average(v, count, inverse) : v, 0, g->y_min, g->y_max);
            }
        }
    }
}
