#include "filter.h"

#include <string.h>

#include "fast_grad.h"
#include "tlm.h"

tl_filter_t tl_filter(const tl_window_t *g, int32_t r) {
    return (tl_filter_t){g, r, (g->out_h + r - 1) / r, (g->out_w + r - 1) / r};
}

uint64_t tl_filter_scratch(const tl_filter_t *f, bool input) {
    const uint64_t in = ((uint64_t)(uint32_t)f->h * (uint32_t)f->w + (uint32_t)f->g->in_w + 1) * (uint32_t)f->g->in_c;
    const uint64_t out = (uint32_t)f->g->out_c;
    return 4 * (input && in > out ? in : out);
}

typedef struct {
    int32_t first, last;
} range_t;

static int32_t clip(int32_t i, int32_t n) {
    return i < 0 ? 0 : i > n ? n : i;
}

// The inputs of patch p of n along one axis; `offset` of the first
static range_t inputs(int32_t p, int32_t n, int32_t side, int32_t offset, int32_t in) {
    return (range_t){p ? clip(offset + p * side, in) : 0, p < n - 1 ? clip(offset + (p + 1) * side, in) : in};
}

// Where the first stride of inputs lies, in the middle of the first window
static int32_t middle(int32_t k, int32_t dilation, int32_t stride, int32_t pad) {
    const int32_t more = (k - 1) * dilation - (stride - 1);
    return (more > 0 ? more / 2 : 0) - pad;
}

// How far to shift where n is a power of two, for dividing takes long, or else -1
static int32_t shift_of(uint32_t n) {
    return n & (n - 1) ? -1 : tl_bits(n) - 1;
}

static uint32_t divided(uint32_t v, uint32_t n, int32_t shift) {
    return shift < 0 ? v / n : v >> shift;
}

static range_t rows_of(const tl_filter_t *f, int32_t p) {
    const tl_window_t *g = f->g;
    return inputs(p, f->h, f->r * g->stride_h, middle(g->k_h, g->dilation_h, g->stride_h, g->pad_top), g->in_h);
}

static range_t columns_of(const tl_filter_t *f, int32_t p) {
    const tl_window_t *g = f->g;
    return inputs(p, f->w, f->r * g->stride_w, middle(g->k_w, g->dilation_w, g->stride_w, g->pad_left), g->in_w);
}

tl_window_t tl_filter_reduced(const tl_filter_t *f) {
    const tl_window_t *g = f->g;
    return (tl_window_t){1, f->h * f->w, g->in_c, 1, f->h * f->w, g->out_c, 1, 1, 1, 1, 1, 1, 0, 0, g->x_zero, 0, 0, 0};
}

void tl_filter_sums(const tl_filter_t *f, tl_grad_t *dy, int32_t *row) {
    const tl_window_t *g = f->g;
    const tl_grad_t full = *dy; // a patch's sums lie where its own or earlier ones' outputs lay
    const tl_ratio_t one = tl_one(dy->width);
    dy->n = f->h * f->w * g->out_c;
    tl_rows_t rows = tl_rows(dy, false);
    for (int32_t p = 0; p < f->h * f->w; p++) {
        const int32_t top = p / f->w * f->r, left = p % f->w * f->r;
        memset(row, 0, 4 * (size_t)g->out_c);
        for (int32_t y = top; y < top + f->r && y < g->out_h; y++) {
            for (int32_t x = left; x < left + f->r && x < g->out_w; x++) {
                for (int32_t o = 0; o < g->out_c; o++) {
                    row[o] += tl_grad_get(&full, (y * g->out_w + x) * g->out_c + o) * one.mantissa;
                }
            }
        }
        tl_rows_put(&rows, p * g->out_c, row, g->out_c, full.exponent + one.exponent);
    }
}

// of[p, i] = sum_o S[p, o] * T[o, i]. t: scratch of in_c
static void through_weights(
    const tl_filter_t *f, const tl_grad_t *sums, const int8_t *w, bool depthwise, int32_t *of, int32_t *t) {
    const tl_window_t *g = f->g;
    const int32_t taps = g->k_h * g->k_w, n = depthwise ? 1 : g->in_c, multiplier = g->out_c / g->in_c;
    memset(of, 0, 4 * (size_t)(f->h * f->w * g->in_c));
    for (int32_t o = 0; o < g->out_c; o++) {
        const int8_t *from = depthwise ? w + o : w + o * taps * n;
        memset(t, 0, 4 * (size_t)n);
        for (int32_t tap = 0; tap < taps; tap++, from += depthwise ? g->out_c : n) {
            for (int32_t i = 0; i < n; i++) {
                t[i] += from[i];
            }
        }
        int32_t *to = depthwise ? of + o / multiplier : of;
        for (int32_t at = o; at < sums->n; at += g->out_c, to += g->in_c) {
            const int32_t v = tl_grad_get(sums, at);
            for (int32_t i = 0; v && i < n; i++) {
                to[i] += v * t[i];
            }
        }
    }
}

// What each of a patch's inputs gets of its sums: v / n to nearest
static void share(const tl_filter_t *f, int32_t *of) {
    for (int32_t p = 0; p < f->h * f->w; p++) {
        const range_t rows = rows_of(f, p / f->w), columns = columns_of(f, p % f->w);
        const uint32_t n = (uint32_t)((rows.last - rows.first) * (columns.last - columns.first));
        const int32_t shift = shift_of(n);
        for (int32_t i = 0; i < f->g->in_c; i++, of++) {
            const int32_t v = n ? (int32_t)divided(tl_size(*of) + n / 2, n, shift) : 0;
            *of = *of < 0 ? -v : v;
        }
    }
}

// One row where every pixel has what its patch gives. `from` may lie where `to` lies if every patch has pixels, or no
// padding leaves it without.
static void spread(const tl_filter_t *f, const void *from, void *to, int32_t bytes) {
    const int32_t pixel = f->g->in_c * bytes;
    for (int32_t p = f->w - 1; p >= 0; p--) {
        const range_t columns = columns_of(f, p);
        for (int32_t x = columns.last - 1; x >= columns.first; x--) {
            memmove((char *)to + x * pixel, (const char *)from + p * pixel, (size_t)pixel);
        }
    }
}

void tl_filter_input(const tl_filter_t *f, const tl_grad_t *sums, const int8_t *w, bool depthwise, tl_rows_t *dx,
    int32_t *scratch, int32_t bytes) {
    const tl_window_t *g = f->g, reduced = tl_filter_reduced(f);
    const tl_back_t back = {&reduced, sums, w, NULL, NULL};
    const bool pointwise = !depthwise && g->k_h * g->k_w == 1;
    const int32_t n = g->in_w * g->in_c, width = sums->width / 8;
    int32_t *of = scratch, *row = of + f->h * f->w * g->in_c;
    if (!pointwise || !tl_fast_conv2d_grad_sums(&back, scratch, bytes)) {
        through_weights(f, sums, w, depthwise, of, row + n);
    }
    share(f, of);
    const bool once = pointwise && !dx->add && g->pad_left == 0 && g->out_w <= g->in_w;
    for (int32_t p = 0; p < f->h; p++, of += f->w * g->in_c) {
        const range_t rows = rows_of(f, p);
        char *first = (char *)dx->g->at + rows.first * n * width;
        if (once && rows.first < rows.last) { // all pixels of a patch are narrowed alike
            tl_rows_put(dx, rows.first * n, of, f->w * g->in_c, sums->exponent);
            spread(f, first, first, width);
        }
        for (int32_t y = rows.first; y < rows.last; y++) {
            if (once) {
                memmove((char *)dx->g->at + y * n * width, first, (size_t)(n * width));
                dx->filled = (y + 1) * n;
            } else {
                spread(f, of, row, 4);
                tl_rows_put(dx, y * n, row, n, sums->exponent);
            }
        }
    }
}

// The means of x over each patch
static void means(const tl_filter_t *f, const int8_t *x, int8_t *to) {
    const tl_window_t *g = f->g;
    for (int32_t p = 0; p < f->h * f->w; p++) {
        const range_t rows = rows_of(f, p / f->w), columns = columns_of(f, p % f->w);
        const uint32_t n = (uint32_t)((rows.last - rows.first) * (columns.last - columns.first));
        const int32_t shift = shift_of(n);
        for (int32_t i = 0; i < g->in_c; i++) {
            uint32_t sum = n / 2;
            for (int32_t row = rows.first; row < rows.last; row++) {
                for (int32_t column = columns.first; column < columns.last; column++) {
                    sum += (uint32_t)(x[(row * g->in_w + column) * g->in_c + i] + 128);
                }
            }
            *to++ = (int8_t)(n ? (int32_t)divided(sum, n, shift) - 128 : g->x_zero);
        }
    }
}

tl_status_t tl_patches(const tl_span_t *params, const tl_span_t spans[3]) {
    const int32_t *in = params->at;
    tl_program_t p;
    tl_call_t call;
    tl_status_t status = tl_open_program(&p, spans[0].at, spans[0].bytes);
    if (status || (status = tl_open_arena(&p, spans[2], spans[1]))) {
        return status;
    }
    if (params->bytes != 12 || (uintptr_t)in & 3 || in[0] < 0 || (uint32_t)in[0] >= p.n_operators ||
        (in[1] != 2 && in[1] != 4)) {
        return TL_E_PARAMS;
    }
    if ((status = tl_read_call(&p, (uint32_t)in[0], &call))) {
        return status;
    }
    if (call.code > TL_DEPTHWISE_CONV2D) {
        return TL_E_PLAN;
    }
    const tl_filter_t f = tl_filter(&call.g.window, in[1]);
    const tl_span_t *x = &call.span[TL_X];
    const uint64_t bytes = (uint64_t)(uint32_t)f.h * (uint32_t)f.w * (uint32_t)f.g->in_c;
    if (in[2] < 0 || bytes > INT32_MAX ||
        !tl_inside((tl_extent_t){0, p.arena_length}, (uint32_t)in[2], (uint32_t)bytes)) {
        return TL_E_PLAN;
    }
    int8_t *to = (int8_t *)p.arena + in[2];
    if ((uintptr_t)to < (uintptr_t)x->at + x->bytes && (uintptr_t)x->at < (uintptr_t)to + bytes) {
        return TL_E_PLAN;
    }
    means(&f, x->at, to);
    return TL_OK;
}
