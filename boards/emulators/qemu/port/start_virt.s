    .section .start, "ax"
    .global _start
_start:
    .option push
    .option norelax
    la   gp, _global_pointer
    .option pop
    la   sp, _estack
    la   t0, trap               # a trap before main has its own handler is fatal
    csrw mtvec, t0
    la   t1, _sbss
    la   t2, _ebss
1:  sw   zero, 0(t1)
    addi t1, t1, 4
    bltu t1, t2, 1b
    call main
    .balign 4
trap:
    csrr a0, mcause
    csrr a1, mepc
    csrr a2, mtval
    call soc_fault
