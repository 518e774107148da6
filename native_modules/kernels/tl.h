// The kernels of tinylearn: int8 operators with the bits of the TFLite int8 specification, and the program that runs
// them.
//
// C99, integers only, nothing of Python. No malloc, no static state: the caller owns every buffer. Activations are NHWC
// with N = 1, convolution weights OHWI, depthwise weights HWC, dense weights OI. Where a fast variant exists it has the
// same name and the same bits.

#ifndef TL_H
#define TL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// A function of a header that is inline, but on the Cortex-M0+: there it lies in the .c of its name, for code is RAM.
#ifdef __ARM_ARCH_6M__
#define TL_SHARED
#else
#define TL_SHARED static inline
#endif

// ---- Geometry -------------------------------------------------------------------------------------------------------

// A window sliding over an image: convolutions and pools. Padding after the image follows from the shapes.
typedef struct {
    int32_t in_h, in_w, in_c;
    int32_t out_h, out_w, out_c;
    int32_t k_h, k_w;
    int32_t stride_h, stride_w;
    int32_t dilation_h, dilation_w;
    int32_t pad_top, pad_left;
    int32_t x_zero, y_zero; // zero points of input and output
    int32_t y_min, y_max;   // the clamp: ReLU and ReLU6 are nothing else
} tl_window_t;

// y (n_out) = W (n_out, n_in) @ x (n_in) + b
typedef struct {
    int32_t n_in, n_out;
    int32_t x_zero, y_zero;
    int32_t y_min, y_max;
} tl_dense_t;

// The next multiple of 4
static inline int32_t tl_fours(int32_t n) {
    return (n + 3) & -4;
}

// Bytes of its panel (tl_work_t)
uint32_t tl_dense_panel(const tl_dense_t *g);

// y = clamp(requantize(requantize(x1 * 2^20) + requantize(x2 * 2^20))), element by element. Shifts are not above 0.
typedef struct {
    int32_t n;
    int32_t x1_zero, x2_zero, y_zero;
    int32_t y_min, y_max;
    int32_t left_shift;
    int32_t x1_mult, x1_shift, x2_mult, x2_shift, y_mult, y_shift;
} tl_add_t;

// y (c) = mean over n pixels of x (n, c); 1/n is part of the multiplier. n is below 2^23, or the sum overflows.
typedef struct {
    int32_t n, c;
    int32_t x_zero, y_zero;
    int32_t mult, shift;
} tl_mean_t;

// x put into a larger image at (top, left, front), `value` around it
typedef struct {
    int32_t in_h, in_w, in_c;
    int32_t out_h, out_w, out_c;
    int32_t top, left, front; // rows, columns and channels before x
    int32_t value;
} tl_pad_t;

// y = clamp(requantize(x)), element by element
typedef struct {
    int32_t n;
    int32_t x_zero, y_zero;
    int32_t y_min, y_max;
    int32_t mult, shift;
} tl_clamp_t;

// y (rows, n) = softmax of each row of x; its scale is 1/256, its zero point -128. n is at most 4095.
// mult, shift: beta * x_scale * 2^26, shift 0 .. 31
typedef struct {
    int32_t rows, n;
    int32_t mult, shift;
} tl_softmax_t;

// How the host's plan wants a convolution or dense layer done. Every variant gives the same bits, so where a processor
// has no fast kernel for one it runs the plain one.
enum {
    TL_PLAIN,
    TL_FAST,       // in scratch; weights lie in -127 .. 127
    TL_FAST_SMALL, // and the host has proved what tl_requant (micro.h) asks for
    TL_VARIANTS,
};

typedef struct {
    int32_t variant;
    void *at; // scratch, `bytes` long
    uint32_t bytes;
    bool packed;           // it has the panel of a convolution already, of all its weights
    const int32_t *start;  // NULL, or what the sums of a dense layer begin with: b - x_zero * sum of the row's weights
    const uint32_t *panel; // NULL, or its weights as armv6m's tl_dot4 (micro.h) reads them, zeros up to multiples of 4
} tl_work_t;

// The buffers of a layer with weights. mult and shift (TFLite's sign: positive is left) hold one requantisation per
// output channel; b may be NULL.
typedef struct {
    const int8_t *x, *w;
    int8_t *y;
    const int32_t *b, *mult;
    const int8_t *shift;
} tl_layer_t;

// ---- Forward --------------------------------------------------------------------------------------------------------
// work with less scratch than the variant needs (work.h): the plain kernel.

void tl_conv2d_s8(const tl_window_t *g, const tl_layer_t *of, const tl_work_t *work);

// out_c = in_c * multiplier; output channel o reads input channel o / multiplier
void tl_depthwise_conv2d_s8(const tl_window_t *g, const tl_layer_t *of, const tl_work_t *work);

// LiteRT's reference rounds here as float64 does: y = round(acc * scale), ties away from zero, the product rounded to
// 53 bits before. mult holds the scales, one float64 per output channel as two words, low word first; each within
// [2^-31, 2^16). There is no shift.
void tl_fully_connected_s8(const tl_dense_t *g, const tl_layer_t *of, const tl_work_t *work);

void tl_pool_s8(const tl_window_t *g, const int8_t *x, int8_t *y, bool averages); // or maxima
void tl_mean_s8(const tl_mean_t *g, const int8_t *x, int8_t *y);
void tl_add_s8(const tl_add_t *g, const int8_t *x1, const int8_t *x2, int8_t *y); // y may be x1 or x2
void tl_pad_s8(const tl_pad_t *g, const int8_t *x, int8_t *y);
void tl_clamp_s8(const tl_clamp_t *g, const int8_t *x, int8_t *y); // y may be x
void tl_softmax_s8(const tl_softmax_t *g, const int8_t *x, int8_t *y);

#endif
