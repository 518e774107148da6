// Convolutions: every output pixel's window times a panel of packed weights, four output channels at a time. The panel
// holds as many channels as the scratch does; the image is walked once per panel.

#include <string.h>

#include "fast.h"
#include "micro.h"
#include "window.h"
#include "work.h"

// A function of its own has all registers for itself.
#define ALONE static __attribute__((noinline))

// Rows of n > 0 bytes: from one to the next it is `s_step` bytes where they come from, and `d_step` where they go
ALONE void copy(int8_t *d, const int8_t *s, int32_t n, int32_t s_step, int32_t d_step, int32_t rows) {
    const int32_t size = ((uintptr_t)d | (uintptr_t)s | (uint32_t)(n | s_step | d_step)) & 3 ? 1 : 4;
    for (; rows > 0; rows--) {
        int32_t i = n - size;
        if (size == 1) {
            do {
                d[i] = s[i];
            } while (--i >= 0);
        } else {
            do {
                *(uint32_t *)(d + i) = *(const uint32_t *)(s + i);
            } while ((i -= 4) >= 0);
        }
        d += d_step;
        s += s_step;
    }
}

// The window at x, whose corner is (top, left), as neighbouring bytes; outside of the image is the zero point.
ALONE void gather(const tl_window_t *g, const int8_t *x, int32_t top, int32_t left, int8_t *to) {
    const int32_t c = g->in_c, run = g->k_w * c, step = g->dilation_h * g->in_w * c;
    const tl_taps_t rows = tl_taps(top, g->in_h, g->k_h, g->dilation_h);
    const tl_taps_t columns = tl_taps(left, g->in_w, g->k_w, g->dilation_w);
    const int32_t some = g->dilation_w == 1 ? columns.last - columns.first : 1; // side by side
    memset(to, g->x_zero, (size_t)(g->k_h * run));
    x += rows.first * step;
    to += rows.first * run;
    for (int32_t i = columns.first; i < columns.last; i += some) {
        copy(to + i * c, x + i * g->dilation_w * c, some * c, step, run, rows.last - rows.first);
    }
}

// What one call works with. The panel holds channels o .. o + n - 1.
typedef struct {
    tl_dot4_t chain; // first, so that it is found again from it
    const tl_window_t *g;
    const tl_layer_t *of;
    int32_t k;      // weights of one output channel
    int32_t groups; // fours of them
    uint32_t last;  // words in the last call of the chain
    bool small;     // sums are below 2^20
    bool simple;    // one call of the chain gives a pixel, or many
    uint32_t raw;   // of the chain's last call
    int32_t o, n;
    int32_t *start, *acc; // per channel of the panel
    uint32_t *panel;
    int8_t *column; // NULL where windows are the image's own words
} conv_t;

enum { GROUPS = TL_CHUNK / 2 };

static int8_t requantized(const conv_t *c, int32_t sum, int32_t o) {
    return tl_clamp(tl_requantize(sum, c->of->mult[o], c->of->shift[o]), c->g->y_zero, -128, 127);
}

#ifdef __ARM_ARCH_6M__
enum { CHECKS = 1, MANY = 1 };

// Where sums are not known to be small, tl_dot4 looks whether they are, four at once. A channel that tl_requant_t is
// not for begins so high that no sum of its products can look small. Its shift there is 0, and `low` what it began too
// low.
enum { FAR = 1 << 30 };

// Whether tl_requant_t is for a channel whose sums may be large
static bool fits(const conv_t *c, int32_t mult, int32_t shift) {
    if (shift) {
        return shift < 0 && shift >= -13 && c->chain.reach == TL_LIFT;
    }
    return (mult & 3) == 0 && mult < 1 << 30 && c->chain.reach == 0;
}

static void set_far(int32_t *start, tl_requant_t *to) {
    to->low = (uint32_t)*start - FAR;
    to->shift = 0;
    *start = FAR;
}

void tl_dot4_beyond(const tl_dot4_t *d, int8_t *y, const int32_t sums[4], const tl_requant_t requant[4]) {
    const conv_t *c = (const conv_t *)(const void *)d;
    int32_t o = c->o + (int32_t)(y - (int8_t *)d->out);
    for (int32_t i = 4; i > 0 && o < c->o + c->n; i--, o++, requant++) {
        const uint32_t lack = requant->shift ? 0 : requant->low;
        *y++ = requantized(c, (int32_t)((uint32_t)*sums++ + lack) - tl_lift(c->of->shift[o]), o);
    }
}
#else
enum { CHECKS = 0, MANY = 0 };

#define fits(...) true
#define set_far(...)
#endif

// The requantisation of n channels from o on, and what their sums begin with
ALONE void rescale(const conv_t *c, int32_t o, int32_t n, int32_t *start, tl_requant_t *to) {
    const int32_t *mult = c->of->mult + o;
    const int8_t *shift = c->of->shift + o;
    for (; n > 0; n--, mult++, shift++, start++, to++) {
        const int32_t lift = tl_lift(*shift);
        tl_requant(to, (uint32_t)*mult, *shift, c->g->y_zero);
        *start += lift;
        if (!c->small && !fits(c, *mult, *shift)) {
            set_far(start, to);
        }
    }
}

// Fills the panel, and the sums that its channels begin with. Beyond the last channel anything will do.
ALONE void pack(const conv_t *c) {
    const int8_t *w = c->of->w + c->o * c->k;
    uint32_t *p = c->panel;
    for (int32_t i = 0; i < c->n; i++) {
        c->start[i] = c->of->b ? c->of->b[c->o + i] : 0;
    }
    for (int32_t left = c->groups; left > 0; left -= GROUPS, w += 4 * GROUPS) {
        const int32_t taps = left > GROUPS ? 4 * GROUPS : c->k - 4 * (c->groups - left);
        const uint32_t words = left > GROUPS ? TL_CHUNK : c->last;
        for (int32_t quad = 0; quad < c->n; quad += 4) {
            const int32_t rows = c->n - quad < 4 ? c->n - quad : 4;
            tl_pack_rows_t d = {rows, c->k, c->g->x_zero, c->start + quad};
            tl_pack_rows(w + quad * c->k, taps, p, &d);
            p += 4 * words; // over the half of an odd last pair
            if (left <= GROUPS && c->raw != TL_RAW) {
                rescale(c, c->o + quad, rows, c->start + quad, (tl_requant_t *)p);
                p += 4 * sizeof(tl_requant_t) / sizeof(*p);
            }
        }
    }
}

// The panel's channels of the pixel with the window x
ALONE void pixel(conv_t *c, const int8_t *x, int8_t *y) {
    const uint32_t *p = c->panel;
    c->chain.start = c->start;
    if (c->groups > GROUPS) {
        c->chain.raw = TL_RAW;
        c->chain.out = c->acc;
        for (int32_t left = c->groups; left > GROUPS; left -= GROUPS) {
            tl_dot4(x, TL_CHUNK, p, &c->chain);
            p += c->chain.quads * 4 * TL_CHUNK;
            x += 4 * GROUPS;
            c->chain.start = c->acc;
        }
        c->chain.raw = c->raw;
    }
    const bool sums = !CHECKS && c->raw, whole = !sums && (c->n & 3) == 0;
    c->chain.out = whole ? (void *)y : c->acc;
    tl_dot4(x, c->last, p, &c->chain);
    if (sums) {
        for (int32_t i = 0; i < c->n; i++) {
            y[i] = requantized(c, c->acc[i], c->o + i);
        }
    } else if (!whole) {
        copy(y, (const int8_t *)c->acc, c->n, 0, 0, 1);
    }
}

#ifdef __ARM_ARCH_6M__
// Lists the taps of a window whose rows are whole, and three more, which meet weights of 0.
ALONE void list_taps(const tl_window_t *g, int32_t *to) {
    const int32_t run = g->k_w * g->in_c, step = g->dilation_h * g->in_w * g->in_c;
    for (int32_t at = 0, end = g->k_h * step; at < end; at += step) {
        for (int32_t i = 0; i < run; i++) {
            *to++ = at + i;
        }
    }
    to[0] = to[1] = to[2] = 0;
}

// As many neighbouring pixels as have their windows in the next `wholes` columns, at most `most`: how many
ALONE int32_t many(conv_t *c, const int8_t *x, int8_t *y, int32_t wholes, int32_t most) {
    const int32_t stride = c->g->stride_w;
    while ((most - 1) * stride >= wholes) {
        most--;
    }
    c->chain.out = y;
    c->chain.pixels = most;
    c->chain.next = stride * c->g->in_c;
    tl_dot4(x, c->last, c->panel, &c->chain);
    return most;
}
#else
#define many(...) 1
#endif

ALONE void one_panel(conv_t *c) {
    int8_t *y = c->of->y + c->o;
    const tl_window_t *g = c->g;
    const int32_t row = g->in_w * g->in_c, run = g->k_w * g->in_c, height = (g->k_h - 1) * g->dilation_h + 1;
    for (int32_t oy = 0, top = -g->pad_top; oy < g->out_h; oy++, top += g->stride_h) {
        const bool whole_rows = g->dilation_w == 1 && top >= 0 && top + height <= g->in_h;
        const int32_t wholes =
            whole_rows ? g->in_w - g->k_w + 1 : 0; // columns where the window's rows are whole, if above 0
        const int8_t *at = c->of->x + top * row - g->pad_left * g->in_c;
        for (int32_t ox = g->out_w, left = -g->pad_left, n; ox > 0; ox -= n) {
            const bool whole = left >= 0 && left < wholes;
            n = 1;
            if (MANY && whole && c->simple) {
                n = many(c, at, y, wholes - left, ox);
            } else {
                const int8_t *window = at;
                if (c->column) {
                    window = c->column;
                    if (whole) {
                        copy(c->column, at, run, g->dilation_h * row, run, g->k_h);
                    } else {
                        gather(g, at, top, left, c->column);
                    }
                }
                pixel(c, window, y);
            }
            left += n * g->stride_w;
            at += n * g->stride_w * g->in_c;
            y += n * g->out_c;
        }
    }
}

#ifdef __ARM_ARCH_6M__
enum { FEW = 1 };

// Of one pixel a panel would cost more than it saves: rows of weights as they lie, as a dense layer's
static void few_pixels(const conv_t *c, int8_t *column) {
    const tl_window_t *g = c->g;
    tl_layer_t of = *c->of;
    tl_dense_t dense;
    dense.n_in = c->k;
    dense.n_out = g->out_c;
    dense.x_zero = g->x_zero;
    gather(g, of.x - (g->pad_top * g->in_w + g->pad_left) * g->in_c, -g->pad_top, -g->pad_left, column);
    of.x = column;
    tl_dense_sums(&dense, &of, NULL, c->start);
    for (int32_t o = 0; o < g->out_c; o++) {
        of.y[o] = requantized(c, c->start[o], o);
    }
}
#else
enum { FEW = 2 };

// Of so few pixels a panel would cost more than it saves: rows of weights as they lie
ALONE void few_pixels(const conv_t *c, int8_t *column) {
    const tl_window_t *g = c->g;
    const tl_layer_t *of = c->of;
    int8_t *y = of->y;
    for (int32_t oy = 0, top = -g->pad_top; oy < g->out_h; oy++, top += g->stride_h) {
        for (int32_t ox = 0, left = -g->pad_left; ox < g->out_w; ox++, left += g->stride_w, y += g->out_c) {
            gather(g, of->x + (top * g->in_w + left) * g->in_c, top, left, column);
            for (int32_t o = 0; o < g->out_c; o += TL_DOTS) {
                const int32_t rows = g->out_c - o < TL_DOTS ? g->out_c - o : TL_DOTS;
                int32_t sums[TL_DOTS];
                for (int32_t r = 0; r < rows; r++) {
                    sums[r] = of->b ? of->b[o + r] : 0;
                }
                tl_dots(column, of->w + o * c->k, rows, c->k, g->x_zero, sums);
                for (int32_t r = 0; r < rows; r++) {
                    y[o + r] = requantized(c, sums[r], o + r);
                }
            }
        }
    }
}
#endif

// What was written without the clamp
void tl_fast_clamp(const tl_window_t *g, int8_t *y) {
    if (g->y_min > -128 || g->y_max < 127) {
        for (int32_t i = g->out_h * g->out_w * g->out_c; i > 0; i--, y++) {
            *y = tl_clamp(*y, 0, g->y_min, g->y_max);
        }
    }
}

bool tl_fast_conv2d(const tl_window_t *g, const tl_layer_t *of, const tl_work_t *work) {
    const int32_t channels = 4 * tl_conv2d_quads(g, work->bytes);
    if (channels == 0) {
        return false;
    }
    conv_t c = {.g = g, .of = of, .k = g->k_h * g->k_w * g->in_c};
    c.groups = (c.k + 3) / 4;
    c.last = 2 * ((uint32_t)(c.groups - 1) % GROUPS + 1) - ((c.k & 3) == 1);
    c.small = work->variant == TL_FAST_SMALL;
    int8_t *column = work->at;
    c.start = (int32_t *)(column + 4 * c.groups);
    c.acc = c.start + channels;
    c.panel = (uint32_t *)(c.acc + channels);
    if (g->k_h * g->k_w > 1 || (c.k & 3) != 0) {
        c.column = column;
        memset(column + c.k, 0, (size_t)(4 * c.groups - c.k));
    }
#ifdef __ARM_ARCH_6M__
    c.raw = c.small ? 0 : (uint32_t)&c.chain;
    c.chain.reach = TL_LIFT - tl_lift(*of->shift);
    int32_t taps[2 * TL_CHUNK + 3];
    if (c.column && c.groups <= GROUPS) {
        list_taps(g, taps);
        c.chain.taps = taps;
    }
#else
    c.raw = c.small ? 0 : TL_RAW;
#endif
    c.chain.raw = c.raw;
    // On the Cortex-M0+ (FEW 1) the sums of all channels lie where those of one panel would
    if (g->out_h * g->out_w <= FEW && (FEW > 1 || work->bytes >= 4 * (uint32_t)(c.groups + g->out_c))) {
        few_pixels(&c, column);
        c.o = g->out_c;
    }
    for (; c.o < g->out_c; c.o += channels) {
        c.n = g->out_c - c.o < channels ? g->out_c - c.o : channels;
        c.chain.quads = (uint32_t)(c.n + 3) / 4;
        c.chain.start = c.start;
        c.simple = c.raw != TL_RAW && (c.n & 3) == 0 && c.n == g->out_c && c.groups <= GROUPS;
        if (!work->packed || c.n < g->out_c) {
            pack(&c);
        }
        one_panel(&c);
    }
    tl_fast_clamp(g, of->y);
    return true;
}
