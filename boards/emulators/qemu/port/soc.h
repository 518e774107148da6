#ifndef TINYLEARN_QEMU_SOC_H
#define TINYLEARN_QEMU_SOC_H

#include <stdint.h>

// The hardware of one QEMU machine, as far as the port needs it.
void soc_init(void);
void soc_serial_put(uint8_t byte);
uint64_t soc_clock_us(void); // microseconds since the start
void soc_wait(void);         // sleep until a byte arrives, which is dropped, at most about a millisecond
void soc_power_cycle(void);  // does not return: start.py starts QEMU again

#endif
