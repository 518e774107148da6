// The way back on the Cortex-M0+; pairs.h says how one multiplication makes two products. Gradients lie within +-127,
// so weights and x may be any int8.

#ifndef TL_M0_GRAD_H
#define TL_M0_GRAD_H

#include "panel_grad.h"
#include "update.h"

// ---- dense_grad.S ---------------------------------------------------------------------------------------------------

typedef struct {
    const int32_t *end; // of the gradients
    int32_t row;        // bytes from one output's weights to the next one's
    int32_t fours;      // of sums
    int32_t bytes;      // 0: weights and row are multiples of 4
} tl_m0_dense_t;

// sums[i] = sum of gradients[o] * w[o, i] for 4 * fours inputs
void tl_m0_dense_grad(int32_t *sums, const int8_t *w, const int32_t *gradients, const tl_m0_dense_t *d);

// ---- spread.S -------------------------------------------------------------------------------------------------------

typedef struct {
    int32_t channels;
    int32_t taps, weight;       // 1 .. 3, and bytes from one to the next
    int32_t second, third;      // bytes to their sums
    int32_t sum, step;          // bytes from gradient to gradient: of the first sum, of themselves
    int32_t columns;            // bytes of a row of gradients
    int32_t wide;               // 0: int8
    int32_t channel, w_channel; // bytes from one channel's gradients and weights to the next one's
} tl_m0_spread_t;

// Uses up d->channels. The sums of channels lie side by side.
void tl_m0_spread(const void *gradients, int32_t *sums, const int8_t *w, tl_m0_spread_t *d);

// ---- slide_grad.S ---------------------------------------------------------------------------------------------------

enum { TL_M0_SLIDE_WORDS = 6 };

typedef struct {
    int32_t channels;
    int32_t row, back;    // bytes of a row of gradients; from its second row to the first of the next column
    int32_t columns, sum; // bytes of all columns, and from sum to sum
} tl_m0_slide_grad_t;

// sums of columns + 2 pixels, of int8 gradients in three rows. weights: per channel and column of the kernel those of
// the second row + (first << 16), then those of the third.
void tl_m0_slide_grad(const int8_t *gradients, int32_t *sums, const uint32_t *weights, const tl_m0_slide_grad_t *d);

// The same with stride 2: of 2 * columns + 1 pixels, from two rows.
void tl_m0_stride_grad(const int8_t *gradients, int32_t *sums, const uint32_t *weights, const tl_m0_slide_grad_t *d);

// ---- taps.S ---------------------------------------------------------------------------------------------------------

typedef struct {
    int32_t lanes;         // channels: x and gradients of the next one are neighbours
    int32_t *totals;       // to one for each of them its gradients are added, where not NULL
    int32_t next;          // bytes from x of one gradient to the next one's
    int32_t skip;          // bytes from x behind a row to the next
    int32_t odd;           // bit 0: whether the number of columns is; bit 1: next, second and third are 4, 4 and 8
    int32_t apart;         // bytes from gradient to gradient
    int32_t taps;          // 1 .. 3
    int32_t next_sums;     // bytes from a channel's sums to the next one's
    int32_t columns, all;  // bytes of a row of gradients, and of all rows
    int32_t second, third; // bytes from x of the first tap to x of the others
    int32_t wide;          // 0: int8
} tl_m0_taps_t;

// sums[t] += sum of gradients * (x - 128)
void tl_m0_taps(const uint8_t *x, const void *gradients, const tl_m0_taps_t *d, int32_t sums[3]);

// ---- update.S -------------------------------------------------------------------------------------------------------

// tl_update_channels. Steps of 1 or more, through a buffer, or of listed weights are tl_update_weights'.
void tl_m0_update_channels(tl_steps_t *s, int32_t n);

// ---- C --------------------------------------------------------------------------------------------------------------

// tl_grad_input. false: nothing done, for the scratch is too small.
bool tl_m0_depthwise_grad_input(
    const tl_back_t *back, tl_rows_t *dx, int32_t *scratch, int32_t bytes, int32_t exponent);
bool tl_m0_fully_connected_grad_input(
    const tl_back_t *back, tl_rows_t *dx, int32_t *scratch, int32_t bytes, int32_t exponent);

// tl_grad_weight of depthwise convolutions, for up to four output channels, otherwise as of convolutions:
int32_t tl_m0_depthwise_grad_weight(
    const tl_weights_t *of, int32_t first, int32_t *scratch, int32_t bytes, int32_t *row);

#endif
