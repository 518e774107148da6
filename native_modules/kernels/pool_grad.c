#include "gradient.h"
#include "window.h"

// Fractional bits of 1 / count: as many as int32 sums of all windows over a pixel leave.
int32_t tl_avg_pool_bits(const tl_window_t *g, int32_t width) {
    uint32_t down = (uint32_t)(g->k_h + g->stride_h - 1) / (uint32_t)g->stride_h;
    uint32_t across = (uint32_t)(g->k_w + g->stride_w - 1) / (uint32_t)g->stride_w;
    return 31 - width - tl_bits(down * across);
}

void tl_avg_pool_scatter(const tl_back_t *back, int32_t y, int32_t oy, int32_t tap, int32_t *row) {
    (void)y;
    (void)tap;
    const tl_window_t *g = back->g;
    const tl_taps_t down = tl_taps(oy * g->stride_h - g->pad_top, g->in_h, g->k_h, 1);
    const uint32_t one = 1u << tl_avg_pool_bits(g, back->dy->width);
    int32_t from = oy * g->out_w * g->out_c;
    uint32_t count = 0, inverse = 0;
    for (int32_t ox = 0, left = -g->pad_left; ox < g->out_w; ox++, left += g->stride_w, from += g->out_c) {
        const tl_taps_t taps = tl_taps(left, g->in_w, g->k_w, 1);
        const uint32_t now = (uint32_t)((down.last - down.first) * (taps.last - taps.first));
        if (now != count && now) {
            count = now;
            inverse = (one + count / 2) / count;
        }
        for (int32_t c = 0; c < g->in_c; c++) {
            const int32_t v = tl_grad_get(back->dy, from + c) * (int32_t)inverse;
            int32_t *at = row + taps.start * g->in_c + c;
            for (int32_t t = taps.first; t < taps.last; t++, at += g->in_c) {
                *at += v;
            }
        }
    }
}

// The first of n pixels whose channel is v, or n
static int32_t find(const int8_t *x, int32_t n, int32_t step, int32_t v) {
    int32_t i = 0;
    for (; i < n && *x != v; i++, x += step) {
    }
    return i;
}

// y is the maximum, where the clamp has let it pass.
void tl_max_pool_scatter(const tl_back_t *back, int32_t y, int32_t oy, int32_t tap, int32_t *row) {
    (void)tap;
    const tl_window_t *g = back->g;
    const int32_t first = tl_taps(oy * g->stride_h - g->pad_top, g->in_h, g->k_h, 1).start, n = g->in_w * g->in_c;
    int32_t from = oy * g->out_w * g->out_c;
    for (int32_t ox = 0, left = -g->pad_left; ox < g->out_w; ox++, left += g->stride_w) {
        const tl_taps_t taps = tl_taps(left, g->in_w, g->k_w, 1);
        const int32_t count = taps.last - taps.first;
        for (int32_t c = 0; c < g->in_c; c++, from++) {
            const int32_t v = tl_grad_get(back->dy, from), most = back->y[from], start = taps.start * g->in_c + c;
            if (v == 0) {
                continue;
            }
            const int32_t here = find(back->x + y * n + start, count, g->in_c, most);
            bool earlier = here == count;
            for (int32_t above = first; above < y && !earlier; above++) {
                earlier = find(back->x + above * n + start, count, g->in_c, most) < count;
            }
            if (!earlier) {
                row[start + here * g->in_c] += v;
            }
        }
    }
}
