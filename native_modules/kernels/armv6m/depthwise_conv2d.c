// Depthwise convolutions on the Cortex-M0+: what tl_depthwise (depthwise.S) has to know of a layer.

#include "fast.h"

#ifdef __ARM_ARCH_6M__
#include "micro.h"
#include "window.h"
#include "work.h"

// A function of its own has all registers for itself.
#define ALONE static __attribute__((noinline))

enum { MAX_TAPS = 25, MAX_REGIONS = 9 };

// ---- 3x3 ------------------------------------------------------------------------------------------------------------

// At the edges the window is moved inside, and the weights within it, so that those beyond the edge fall out.
ALONE void slide(const tl_window_t *g, tl_depthwise_t *d) {
    const int32_t c = g->in_c, row = g->in_w * c;
    tl_slide_t *s = &d->slide;
    d->y_bytes = row;
    s->height = g->in_h * row;
    s->next = c - s->height;
    s->warm = 2 - g->pad_top;
    s->pad_bottom = g->out_h + 2 - g->pad_top - g->in_h;
    s->step = row - c;
    s->channels = c;
    int32_t out = (int32_t)((uintptr_t)d->of.y - (uintptr_t)d->of.x) - (3 - g->pad_top) * row;
    for (tl_columns_t *to = d->columns; to < d->columns + 3; to++, out += c) {
        *to = (tl_columns_t){out, out + row, 1, 0};
    }
    d->columns[1].n = g->in_w - 2;
    d->columns[2].x = row - 3 * c;
    tl_depthwise(d);
}

// ---- Any window -----------------------------------------------------------------------------------------------------

// The taps of output `at` along an axis, and how many outputs from there on see the same: those whose windows lie
// inside, or one. in: of tl_window_t, the axis' fields being every other
ALONE int32_t alike(const int32_t *in, int32_t at, tl_taps_t *taps) {
    const int32_t out = in[3], k = in[6], stride = in[8], start = at * stride - in[12];
    int32_t n = 1;
    *taps = tl_taps(start, in[0], k, 1);
    while (taps->all && at + n < out && start + n * stride <= in[0] - k) {
        n++;
    }
    return n;
}

// A run is as long as the region's longer side.
ALONE void any_window(const tl_window_t *g, const tl_depthwise_t *layer) {
    tl_region_t regions[MAX_REGIONS], *r = regions;
    tl_taps_t columns, rows;
    for (int32_t ox = 0, n; ox < g->out_w; ox += n) {
        n = alike(&g->in_w, ox, &columns);
        for (int32_t oy = 0, m; oy < g->out_h; oy += m) {
            m = alike(&g->in_h, oy, &rows);
            r->columns = columns.last - columns.first;
            int32_t over = (rows.last - rows.first) * r->columns;
            r->end = layer->list + over;
            while (over > 0) {
                over -= 3;
            }
            r->skip = -14 * over;
            r->w = (rows.first * g->k_w + columns.first) * g->out_c;
            r->w_gap = (g->k_w - r->columns) * g->out_c;
            r->x_gap = (g->in_w - r->columns) * g->in_c;
            r->x = (rows.start * g->in_w + columns.start) * g->in_c;
            r->y = (oy * g->out_w + ox) * g->out_c;
            *(n < m ? &r->runs : &r->run) = (tl_walk_t){n, g->stride_w * g->in_c, g->out_c};
            *(n < m ? &r->run : &r->runs) = (tl_walk_t){m, g->stride_h * g->in_w * g->in_c, g->out_w * g->out_c};
            r++;
            if (r == regions + MAX_REGIONS || (ox + n == g->out_w && oy + m == g->out_h)) {
                tl_depthwise_t d = *layer;
                d.regions = regions;
                d.regions_end = r;
                tl_depthwise(&d);
                r = regions;
            }
        }
    }
}

bool tl_fast_depthwise_conv2d(const tl_window_t *g, const tl_layer_t *of, const tl_work_t *work) {
    const int32_t taps = g->k_h * g->k_w;
    tl_depthwise_t d;
    tl_tap_t few[MAX_TAPS];
    d.list = few;
    d.how = TL_REGIONS;
    if (work->variant != TL_FAST_SMALL) {
        return false;
    }
    if (tl_depthwise_slides(g)) {
        d.how = TL_COLUMNS;
    } else if (tl_depthwise_threes(g) && g->k_h * g->in_h == 1) {
        d.how = TL_LINE;
    } else if (g->dilation_h * g->dilation_w > 1) { // may fall between the pixels, and see none
        return false;
    } else if (taps > MAX_TAPS) {
        if (work->bytes < (uint32_t)taps * sizeof(tl_tap_t)) {
            return false;
        }
        d.list = work->at;
    }
    d.of = *of;
    d.channels = d.out_c = g->out_c;
    d.part = 0;
    d.in_c = g->in_c;
    d.x_zero = g->x_zero;
    d.y_zero = g->y_zero;
    if (d.how == TL_REGIONS) {
        any_window(g, &d);
    } else {
        slide(g, &d);
    }
    tl_fast_clamp(g, of->y);
    return true;
}
#endif
