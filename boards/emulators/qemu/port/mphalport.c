#include "py/mphal.h"

#include "py/ringbuf.h"
#include "py/runtime.h"
#include "py/stream.h"
#include "soc.h"

// What the host sends lies in memory that QEMU shares with it (line.py), and a byte on the UART says that something
// came: the UARTs take one byte at a time, each of which would be a round through QEMU's main loop.
typedef struct {
    volatile uint32_t written, taken; // in all, modulo 2^32
    volatile uint8_t bytes[LINE_BYTES];
} line_t;

#define LINE ((line_t *)(LINE_BASE))

static uint8_t input_bytes[1024];
static ringbuf_t input = {input_bytes, sizeof(input_bytes), 0, 0};

void board_poll_serial(void) {
    while (LINE->taken != LINE->written && ringbuf_free(&input) > 0) {
        __sync_synchronize(); // the byte was there before the number was
        const int c = LINE->bytes[LINE->taken % LINE_BYTES];
        LINE->taken++;
        if (c == mp_interrupt_char) {
            mp_sched_keyboard_interrupt();
        } else {
            ringbuf_put(&input, c);
        }
    }
}

uintptr_t mp_hal_stdio_poll(uintptr_t poll_flags) {
    board_poll_serial();
    uintptr_t ready = poll_flags & MP_STREAM_POLL_WR;
    if ((poll_flags & MP_STREAM_POLL_RD) && ringbuf_avail(&input) > 0) {
        ready |= MP_STREAM_POLL_RD;
    }
    return ready;
}

int mp_hal_stdin_rx_chr(void) {
    for (;;) {
        mp_event_handle_nowait();
        int c = ringbuf_get(&input);
        if (c >= 0) {
            return c;
        }
        soc_wait();
    }
}

mp_uint_t mp_hal_stdout_tx_strn(const char *text, size_t len) {
    for (size_t i = 0; i < len; i++) {
        soc_serial_put(text[i]);
    }
    return len;
}

mp_uint_t mp_hal_ticks_ms(void) {
    return soc_clock_us() / 1000;
}

mp_uint_t mp_hal_ticks_us(void) {
    return soc_clock_us();
}

mp_uint_t mp_hal_ticks_cpu(void) {
    return soc_clock_us();
}

void mp_hal_delay_us(mp_uint_t us) {
    uint64_t end = soc_clock_us() + us;
    while (soc_clock_us() < end) {
        mp_event_handle_nowait();
    }
}

void mp_hal_delay_ms(mp_uint_t ms) {
    uint64_t end = soc_clock_us() + (uint64_t)ms * 1000;
    while (soc_clock_us() < end) {
        mp_event_handle_nowait();
        soc_wait();
    }
}

// There is no calendar: file times count from the start.
uint64_t mp_hal_time_ns(void) {
    return soc_clock_us() * 1000;
}
