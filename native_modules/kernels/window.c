#define TL_WINDOW_C
#include "window.h"
