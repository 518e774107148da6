#define TL_REQUANTIZE_C
#include "requantize.h"
