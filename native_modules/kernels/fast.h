// The fast kernels of the processor that is compiled for, where it has some: same arguments, same bits. They do nothing
// and say so (false, 0) where they cannot: the plain kernel follows.

#ifndef TL_FAST_H
#define TL_FAST_H

#include <stdbool.h>

#include "tl.h"

#ifdef __ARM_ARCH_6M__
#include "armv6m/m0.h"

#define tl_fast_conv2d tl_m0_conv2d
#define tl_fast_depthwise_conv2d tl_m0_depthwise_conv2d
#define tl_fast_fully_connected tl_m0_fully_connected
#else
#define tl_fast_conv2d(...) false
#define tl_fast_depthwise_conv2d(...) false
#define tl_fast_fully_connected(...) 0
#endif

#endif
