// Where a Cortex-M begins: its stack, newlib's start, and what it does at a fault.
    .syntax unified
    .cpu cortex-m0plus
    .thumb
    .section .vectors, "a"
    .word 0x20400000
    .word _start
    .word fault
    .word fault
    .text
    .thumb_func
fault:
    b fault
