// One output channel of a convolution: its window on every place of the image.

#ifndef TL_CHANNEL_H
#define TL_CHANNEL_H

#include "tl.h"

// From row to row and from tap to tap of a window, in the image and in the weights; each tap has n neighbouring
// channels.
typedef struct {
    int32_t x_row, x_tap;
    int32_t w_row, w_tap;
    int32_t n;
} tl_steps_t;

// Writes output channel o, whose input and weights begin at x and w, plainly: fast kernels have the speed, and code is
// RAM.
void tl_channel(
    const tl_window_t *g, const tl_steps_t *s, const tl_layer_t *of, int32_t o, const int8_t *x, const int8_t *w);

#endif
