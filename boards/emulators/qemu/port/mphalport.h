#include <stddef.h>

#include "shared/runtime/interrupt_char.h"

// Moves received bytes into the input buffer and acts on Ctrl-C. The virtual machine calls it now and then.
void board_poll_serial(void);
