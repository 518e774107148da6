// The fast kernels: same arguments and same bits as those of tl.h. They do nothing and say so (false, 0) where the
// scratch is too small: the plain kernel follows.

#ifndef TL_FAST_H
#define TL_FAST_H

#include <stdbool.h>

#include "tl.h"

bool tl_fast_conv2d(const tl_window_t *g, const tl_layer_t *of, const tl_work_t *work);
bool tl_fast_depthwise_conv2d(const tl_window_t *g, const tl_layer_t *of, const tl_work_t *work);

// Fills the scratch with the sums
#ifdef __ARM_ARCH_6M__
bool tl_fast_fully_connected(const tl_dense_t *g, const tl_layer_t *of, const tl_work_t *work);

// sums[o] = b[o] + w[o] . (x - zero), from rows of weights as they lie. start: NULL, or of tl_work_t
void tl_dense_sums(const tl_dense_t *g, const tl_layer_t *of, const int32_t *start, int32_t *sums);

// w . (x - zero)
int32_t tl_m0_dot(const int8_t *x, const int8_t *w, int32_t n, int32_t zero);
#else
#define tl_fast_fully_connected(...) false // the plain one is as fast
#endif

// y as it is, clamped
void tl_fast_clamp(const tl_window_t *g, int8_t *y);

#endif
