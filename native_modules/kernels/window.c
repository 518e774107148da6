#ifdef __ARM_ARCH_6M__
#define TL_WINDOW_C
#endif
#include "window.h"
