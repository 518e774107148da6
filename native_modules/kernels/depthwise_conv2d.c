#include "requantize.h"
#include "window.h"

// sum of w * (x - zero) over the taps inside the image, of one input and one output channel
static inline int32_t window_dot(
    const tl_window_t *g, const int8_t *x, const int8_t *w, tl_taps_t rows, tl_taps_t columns, int32_t zero) {
    int32_t x_row = g->dilation_h * g->in_w * g->in_c, x_tap = g->dilation_w * g->in_c;
    x += (rows.start * g->in_w + columns.start) * g->in_c;
    w += (rows.first * g->k_w + columns.first) * g->out_c;
    int32_t acc = 0, taps = columns.last - columns.first;
    for (int32_t row = rows.first; row < rows.last; row++) {
        const int8_t *x_at = x, *w_at = w;
        for (int32_t tap = taps; tap > 0; tap--) {
            acc += *w_at * (*x_at - zero);
            x_at += x_tap;
            w_at += g->out_c;
        }
        x += x_row;
        w += g->k_w * g->out_c;
    }
    return acc;
}

// As in conv2d: where no tap is outside the image, the zero point's part is the same for all pixels.
static void one_channel(
    const tl_window_t *g, const int8_t *x, const int8_t *w, int32_t bias, int32_t mult, int32_t shift, int8_t *y) {
    int32_t all_bias = bias;
    for (int32_t tap = 0; tap < g->k_h * g->k_w; tap++) {
        all_bias -= w[tap * g->out_c] * g->x_zero;
    }
    for (int32_t oy = 0, top = -g->pad_top; oy < g->out_h; oy++, top += g->stride_h) {
        tl_taps_t rows = tl_taps(top, g->in_h, g->k_h, g->dilation_h);
        for (int32_t ox = 0, left = -g->pad_left; ox < g->out_w; ox++, left += g->stride_w) {
            tl_taps_t columns = tl_taps(left, g->in_w, g->k_w, g->dilation_w);
            int32_t acc = rows.all && columns.all ? all_bias + window_dot(g, x, w, rows, columns, 0)
                                                  : bias + window_dot(g, x, w, rows, columns, g->x_zero);
            *y = tl_clamp(tl_requantize(acc, mult, shift), g->y_zero, g->y_min, g->y_max);
            y += g->out_c;
        }
    }
}

void tl_depthwise_conv2d_s8(const tl_window_t *g, const int8_t *x, const int8_t *w, const int32_t *b,
    const int32_t *mult, const int8_t *shift, int8_t *y, void *scratch) {
    (void)scratch;
    int32_t o = 0, multiplier = g->out_c / g->in_c;
    for (int32_t i = 0; i < g->in_c; i++) {
        for (int32_t end = o + multiplier; o < end; o++) {
            one_channel(g, x + i, w + o, b ? b[o] : 0, mult[o], shift[o], y + o);
        }
    }
}
