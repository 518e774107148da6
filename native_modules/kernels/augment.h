// Random views of a sample, for images, spectrograms and signals: what a handful of examples lacks.
//
// The sample is int8 [h, w, c] as the model takes it. A view of it is, in this order: an affine map of the rows and
// columns, every channel scaled about the zero point and offset, noise, and bands of rows and columns blotted out. All
// is off where its amount is 0, and then the view has the sample's own bits.

#ifndef TL_AUGMENT_H
#define TL_AUGMENT_H

#include "program.h"

// What lies beyond the sample's rows and columns
enum { TL_BORDER_ZERO, TL_BORDER_EDGE, TL_BORDER_WRAP, TL_BORDERS };

enum {
    TL_AUGMENT_ONE = 1 << 14,      // 1 of flip, rotate, zoom and shear
    TL_AUGMENT_GAIN = 1 << 12,     // 1 of gains
    TL_AUGMENT_STEP = 1 << 8,      // a quantised step of offsets and noise
    TL_AUGMENT_MAX_SIDE = 1 << 14, // rows, columns, channels
    TL_AUGMENT_MAX_VALUES = 1 << 23,
};

// An amount is the most by which a view differs; what it takes is uniform from -amount to amount.
typedef struct {
    int32_t h, w, c;
    int32_t zero;             // zero point: also what TL_BORDER_ZERO puts
    int32_t border;           // TL_BORDER_ZERO ...
    int32_t shift_h, shift_w; // whole rows 0 .. h, columns 0 .. w
    int32_t flip;             // probability that left and right change places, 0 .. TL_AUGMENT_ONE
    int32_t rotate;           // radians, 0 .. 25740 (90 degrees)
    int32_t zoom;             // 0 .. 8192: what a pixel shows is 1 - zoom .. 1 + zoom pixels wide
    int32_t shear;            // columns per row, 0 .. TL_AUGMENT_ONE
    int32_t gain;             // 0 .. TL_AUGMENT_GAIN: (x - zero) * (1 - gain .. 1 + gain)
    int32_t channel_gain;     // the same again, for each channel another
    int32_t offset;           // steps, 0 .. 32767
    int32_t channel_offset;   // the same again, for each channel another: a gain, where the sample is a logarithm
    int32_t noise;            // standard deviation in steps, 0 .. 8192, of a sum of four uniform numbers
    int32_t mask_h, mask_w;   // rows 0 .. h, columns 0 .. w: a band of 0 .. so many takes the sample's mean
} tl_augment_t;

// params: a tl_augment_t. x int8 [h, w, c], out int8 [h, w, c] elsewhere, state uint32: the random number generator's,
// which the next view goes on with; a seed wants many bits. Between pixels it interpolates (8 fractional bits).
tl_status_t tl_augment(const tl_span_t *params, const tl_span_t spans[3]);

#endif
