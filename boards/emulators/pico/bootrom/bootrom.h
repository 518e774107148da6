// The boot ROM of the emulated RP2040. It offers what the ROM of a sold Pico (version 3) offers to the pico-sdk:
// the function table, the single and double precision float tables, and the way from power-on into the flash.
#ifndef TINYLEARN_BOOTROM_H
#define TINYLEARN_BOOTROM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// The emulator's own peripheral (see ../machine.mjs), at an address where the RP2040 has nothing.
typedef struct {
    uint32_t cycles_low; // read: the emulated core's cycle counter; latches cycles_high
    uint32_t cycles_high;
    uint32_t flash_offset;  // flash operation: offset from the start of the flash,
    uint32_t flash_source;  // for programming the address of the data,
    uint32_t flash_length;  // length in bytes,
    uint32_t flash_command; // and then the command, which is carried out by this write
    uint32_t stop;          // write: end the emulation, with one of the reasons below
} emulator_t;
#define EMULATOR ((volatile emulator_t *)0x4f000000)
enum { FLASH_ERASE = 1, FLASH_PROGRAM = 2 };
enum { STOP_BOOTSEL = 1, STOP_NO_FIRMWARE = 2, STOP_TRAP = 3 };

#define FLASH_BASE 0x10000000u

// boot.c
void stop(uint32_t reason) __attribute__((noreturn));

// math.c: IEEE double precision, error below 1 ulp
typedef struct {
    double sin, cos;
} sincos_t;
sincos_t math_sincos(double x);
double math_atan2(double y, double x);
double math_exp(double x);
double math_ln(double x);
double math_sqrt(double x);
double math_scale(double x, int exponent); // x * 2**exponent

// fixed.c: conversions to integers round towards minus infinity and saturate
int64_t fixed_signed(double x, int fraction_bits, unsigned width);
uint64_t fixed_unsigned(double x, int fraction_bits, unsigned width);

// The RP2040's float library knows no denormals: they are zero, as arguments and as results.
static inline float flush_float(float x) {
    union {
        float f;
        uint32_t u;
    } v = {x};
    if ((v.u & 0x7f800000u) == 0) {
        v.u &= 0x80000000u;
    }
    return v.f;
}

static inline double flush_double(double x) {
    union {
        double d;
        uint64_t u;
    } v = {x};
    if ((v.u >> 52 & 0x7ff) == 0) {
        v.u &= (uint64_t)1 << 63;
    }
    return v.d;
}

#endif
