// Arm MPS2 with application note 385 or 386, as QEMU has it: CMSDK UART, FPGA I/O counter, SysTick, NVIC.

#include "soc.h"

#include <stdlib.h>

#define REGISTER(address) (*(volatile uint32_t *)(address))

#define UART_DATA REGISTER(0x40004000)
#define UART_STATE REGISTER(0x40004004)
#define UART_CTRL REGISTER(0x40004008)
#define UART_INTCLEAR REGISTER(0x4000400c)
#define UART_BAUDDIV REGISTER(0x40004010)
#define STATE_TX_FULL (1 << 0)
#define STATE_RX_FULL (1 << 1)
#define CTRL_TX_ENABLE (1 << 0)
#define CTRL_RX_ENABLE (1 << 1)
#define CTRL_RX_INTERRUPT (1 << 3)
#define INT_RX (1 << 1)

#define FPGAIO_COUNTER REGISTER(0x40028018)
#define FPGAIO_PRESCALE REGISTER(0x4002801c)
#define CLOCK_MHZ (25)

#define SYSTICK_CTRL REGISTER(0xe000e010)
#define SYSTICK_RELOAD REGISTER(0xe000e014)
#define SYSTICK_RUN_WITH_INTERRUPT (7)
#define NVIC_ENABLE REGISTER(0xe000e100)
#define NVIC_CLEAR_PENDING REGISTER(0xe000e280)
#define SCB_ICSR REGISTER(0xe000ed04)
#define ICSR_CLEAR_SYSTICK (1 << 25)
#define IRQ_UART0_RX (1 << 0)

// Interrupts only end the sleep in soc_wait(); they are never taken.
void soc_init(void) {
    __asm volatile("cpsid i");
    UART_BAUDDIV = 16;
    UART_CTRL = CTRL_TX_ENABLE | CTRL_RX_ENABLE | CTRL_RX_INTERRUPT;
    NVIC_ENABLE = IRQ_UART0_RX;
    SYSTICK_RELOAD = CLOCK_MHZ * 1000;
    SYSTICK_CTRL = SYSTICK_RUN_WITH_INTERRUPT;
    FPGAIO_PRESCALE = CLOCK_MHZ - 1;
}

// Called by MicroPython's start-up code, before main().
void uart_init(void) {
    soc_init();
}

void soc_serial_put(uint8_t byte) {
    while (UART_STATE & STATE_TX_FULL) {
    }
    UART_DATA = byte;
}

uint64_t soc_clock_us(void) {
    static uint32_t last, wraps;
    uint32_t now = FPGAIO_COUNTER;
    wraps += now < last;
    last = now;
    return (uint64_t)wraps << 32 | now;
}

void soc_wait(void) {
    __asm volatile("wfi");
    SCB_ICSR = ICSR_CLEAR_SYSTICK;
    UART_INTCLEAR = INT_RX;
    NVIC_CLEAR_PENDING = IRQ_UART0_RX;
    (void)UART_DATA;
}

void soc_power_cycle(void) {
    exit(0);
}
