// Where a window lies on the image.

#ifndef TL_WINDOW_H
#define TL_WINDOW_H

#include "tl.h"

// Along one axis: the taps first .. last-1 lie inside the image, tap `first` on element `start`; all: none is outside.
typedef struct {
    int32_t first, last;
    int32_t start;
    bool all;
} tl_taps_t;

#if defined(__ARM_ARCH_6M__) && !defined(TL_WINDOW_C)
tl_taps_t tl_taps(int32_t start, int32_t in, int32_t k, int32_t dilation);
#else
// A window of k taps, `dilation` apart, its first at `start`, on an image of `in` elements
TL_SHARED tl_taps_t tl_taps(int32_t start, int32_t in, int32_t k, int32_t dilation) {
    tl_taps_t taps = {0, k, start, true};
    int32_t end = start + (k - 1) * dilation;
    for (; taps.start < 0 && taps.first < k; taps.start += dilation) {
        taps.first++;
        taps.all = false;
    }
    for (; end >= in && taps.last > taps.first; end -= dilation) {
        taps.last--;
        taps.all = false;
    }
    return taps;
}
#endif

#endif
