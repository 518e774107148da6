// From power-on to the firmware, and the functions of the ROM that are not arithmetic.
#include "bootrom.h"

#define SECOND_STAGE_SIZE 256
#define WATCHDOG_SCRATCH ((volatile uint32_t *)0x4005800c)
#define WATCHDOG_BOOT_MAGIC 0xb007c0d3u

void run_second_stage(uint32_t entry) __attribute__((noreturn));
void run_at(uint32_t entry, uint32_t stack) __attribute__((noreturn));

void stop(uint32_t reason) {
    EMULATOR->stop = reason;
    for (;;) {
        __asm volatile("wfi");
    }
}

// The checksum that the pico-sdk puts in the last word of the second stage
static uint32_t crc32(const uint8_t *data, size_t length) {
    uint32_t crc = ~0u;
    while (length--) {
        crc ^= (uint32_t)*data++ << 24;
        for (int bit = 0; bit < 8; bit++) {
            crc = crc << 1 ^ (crc >> 31 ? 0x04c11db7u : 0);
        }
    }
    return crc;
}

void memcpy_words(uint32_t *to, const uint32_t *from, uint32_t length);

void reset(void) {
    uint32_t stack = WATCHDOG_SCRATCH[6], entry = WATCHDOG_SCRATCH[7];
    if (WATCHDOG_SCRATCH[4] == WATCHDOG_BOOT_MAGIC && WATCHDOG_SCRATCH[5] == (entry ^ -WATCHDOG_BOOT_MAGIC)) {
        WATCHDOG_SCRATCH[4] = 0;
        run_at(entry, stack);
    }
    uint32_t *second_stage = (uint32_t *)0x20041f00;
    memcpy_words(second_stage, (const uint32_t *)FLASH_BASE, SECOND_STAGE_SIZE);
    if (crc32((const uint8_t *)second_stage, SECOND_STAGE_SIZE - 4) != second_stage[SECOND_STAGE_SIZE / 4 - 1]) {
        stop(STOP_NO_FIRMWARE);
    }
    run_second_stage((uint32_t)second_stage | 1);
}

void reset_to_usb_boot(uint32_t activity_pins, uint32_t disabled_interfaces) {
    (void)activity_pins;
    (void)disabled_interfaces;
    stop(STOP_BOOTSEL);
}

// The second core sleeps in here; the emulator has only one.
void wait_for_vector(void) {
    for (;;) {
        __asm volatile("wfe");
    }
}

// Tables are pairs of code and address, both 16 bit, and end with a zero code.
uint32_t table_lookup(const uint16_t *table, uint32_t code) {
    for (; table[0]; table += 2) {
        if (table[0] == (uint16_t)code) {
            return table[1];
        }
    }
    return 0;
}

uint32_t popcount32(uint32_t x) {
    uint32_t count = 0;
    for (; x; x &= x - 1) {
        count++;
    }
    return count;
}

uint32_t reverse32(uint32_t x) {
    uint32_t reversed = 0;
    for (int bit = 0; bit < 32; bit++, x >>= 1) {
        reversed = reversed << 1 | (x & 1);
    }
    return reversed;
}

void *memset(void *to, int value, size_t length) {
    uint8_t *byte = to;
    for (size_t i = 0; i < length; i++) {
        byte[i] = (uint8_t)value;
    }
    return to;
}

uint32_t *memset_words(uint32_t *to, uint8_t value, uint32_t length) {
    for (uint32_t i = 0; i < length / 4; i++) {
        to[i] = value * 0x01010101u;
    }
    return to;
}

void *memcpy(void *restrict to, const void *restrict from, size_t length) {
    uint8_t *byte = to;
    const uint8_t *source = from;
    for (size_t i = 0; i < length; i++) {
        byte[i] = source[i];
    }
    return to;
}

void memcpy_words(uint32_t *to, const uint32_t *from, uint32_t length) {
    for (uint32_t i = 0; i < length / 4; i++) {
        to[i] = from[i];
    }
}

// The flash chip is the emulator's: erasing and programming are done by it, sector by sector and page by page.
static void flash_operation(uint32_t command, uint32_t offset, const uint8_t *data, size_t length) {
    EMULATOR->flash_offset = offset;
    EMULATOR->flash_source = (uint32_t)data;
    EMULATOR->flash_length = length;
    EMULATOR->flash_command = command;
}

void flash_range_erase(uint32_t offset, size_t length, uint32_t block_size, uint8_t block_command) {
    (void)block_size;
    (void)block_command;
    flash_operation(FLASH_ERASE, offset, NULL, length);
}

void flash_range_program(uint32_t offset, const uint8_t *data, size_t length) {
    flash_operation(FLASH_PROGRAM, offset, data, length);
}

// Nothing stands between the emulated core and its flash that these would have to switch.
void flash_connect(void) {
}
void flash_exit_xip(void) {
}
void flash_flush_cache(void) {
}
void flash_enter_cmd_xip(void) {
}
