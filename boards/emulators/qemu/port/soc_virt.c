// QEMU's RISC-V virt machine: 16550 UART, CLINT timer, PLIC.

#include "soc.h"

#include "py/mphal.h"
#include "py/mpprint.h"

#define REGISTER(address) (*(volatile uint32_t *)(address))
#define REGISTER8(address) (*(volatile uint8_t *)(address))

#define UART_DATA REGISTER8(0x10000000)
#define UART_INTERRUPT_ENABLE REGISTER8(0x10000001)
#define UART_FIFO_CONTROL REGISTER8(0x10000002)
#define UART_LINE_STATUS REGISTER8(0x10000005)
#define LINE_DATA_READY (1 << 0)
#define LINE_TX_EMPTY (1 << 5)

#define CLINT_COMPARE_LOW REGISTER(0x02004000)
#define CLINT_COMPARE_HIGH REGISTER(0x02004004)
#define CLINT_TIME_LOW REGISTER(0x0200bff8)
#define CLINT_TIME_HIGH REGISTER(0x0200bffc)
#define TICKS_PER_US (10)

#define PLIC_PRIORITY(irq) REGISTER(0x0c000000 + 4 * (irq))
#define PLIC_ENABLE REGISTER(0x0c002000)
#define PLIC_THRESHOLD REGISTER(0x0c200000)
#define PLIC_CLAIM REGISTER(0x0c200004)
#define IRQ_UART0 (10)
#define MIE_TIMER_AND_EXTERNAL (1 << 7 | 1 << 11)

#define TEST_FINISHER REGISTER(0x00100000)
#define FINISHER_PASS (0x5555)

// Interrupts only end the sleep in soc_wait(); they are never taken.
void soc_init(void) {
    UART_FIFO_CONTROL = 1;
    UART_INTERRUPT_ENABLE = 1;
    PLIC_PRIORITY(IRQ_UART0) = 1;
    PLIC_ENABLE = 1 << IRQ_UART0;
    PLIC_THRESHOLD = 0;
    __asm volatile("csrw mie, %0" : : "r"(MIE_TIMER_AND_EXTERNAL));
}

void soc_serial_put(uint8_t byte) {
    while (!(UART_LINE_STATUS & LINE_TX_EMPTY)) {
    }
    UART_DATA = byte;
}

static uint64_t clock_ticks(void) {
    uint32_t high, low;
    do {
        high = CLINT_TIME_HIGH;
        low = CLINT_TIME_LOW;
    } while (high != CLINT_TIME_HIGH);
    return (uint64_t)high << 32 | low;
}

uint64_t soc_clock_us(void) {
    return clock_ticks() / TICKS_PER_US;
}

void soc_wait(void) {
    uint64_t wake = clock_ticks() + 1000 * TICKS_PER_US;
    CLINT_COMPARE_HIGH = 0xffffffff;
    CLINT_COMPARE_LOW = (uint32_t)wake;
    CLINT_COMPARE_HIGH = wake >> 32;
    __asm volatile("wfi");
    uint32_t irq = PLIC_CLAIM;
    if (irq) {
        while (UART_LINE_STATUS & LINE_DATA_READY) {
            (void)UART_DATA;
        }
        PLIC_CLAIM = irq;
    }
}

void soc_power_cycle(void) {
    TEST_FINISHER = FINISHER_PASS;
    for (;;) {
    }
}

void soc_fault(uint32_t cause, uint32_t address, uint32_t value) {
    mp_printf(&mp_plat_print, "\r\nfault: mcause=%x mepc=%x mtval=%x\r\n", cause, address, value);
    soc_power_cycle();
}
