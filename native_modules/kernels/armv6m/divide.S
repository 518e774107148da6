// Unsigned division in 24 bytes instead of libgcc's 276, which count because code is RAM; nothing divides in a loop.
#ifdef __ARM_ARCH_6M__
    .syntax unified
    .cpu cortex-m0plus
    .thumb
    .section .text.tl_m0_divide, "ax"
    .balign 4
    .global __aeabi_uidiv
    .global __aeabi_uidivmod
    .thumb_func
__aeabi_uidiv: // r0 / r1 -> r0, remainder r1. Bits go from r0's top into r2; the quotient's come in below.
    .thumb_func
__aeabi_uidivmod:
    movs r2, #0
    movs r3, #32
1:  adds r0, r0, r0
    adcs r2, r2
    bcs 2f // a remainder of 33 bits
    cmp r2, r1
    blo 3f
2:  subs r2, r2, r1
    adds r0, r0, #1
3:  subs r3, r3, #1
    bne 1b
    movs r1, r2
    bx lr
#endif
