#ifdef __ARM_ARCH_6M__
#define TL_REQUANTIZE_C
#endif
#include "requantize.h"
