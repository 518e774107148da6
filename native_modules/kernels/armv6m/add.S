// y = clamp(requantize(x1) + requantize(x2)) of tl_add_t (tl.h), element by element. r4 is x1, r5 and the word on the stack
// are how far x2 and y lie from it, r7 is g, r12 where x1 ends.
//
// What an int8 gives fits 32 bits: (v * 2^20 * mult + 2^30) >> 31 = v * (mult >> 11) + ((v * (mult & 2047) + 2^10) >> 11),
// and the sum is below 2^29. A shift to the right leaves in the carry flag what rounds it: half goes up.
#ifdef __ARM_ARCH_6M__
#include "armv6m/m0.inc"

    .equ X1_ZERO, 4
    .equ X2_ZERO, 8
    .equ Y_ZERO, 12
    .equ Y_MIN, 16
    .equ Y_MAX, 20
    .equ X1_MULT, 28
    .equ X1_SHIFT, 32
    .equ X2_MULT, 36
    .equ X2_SHIFT, 40
    .equ Y_MULT, 44
    .equ Y_SHIFT, 48

FUNCTION tl_add_s8
    subs r3, r3, r1
    push {r3-r7, lr}
    movs r7, r0
    movs r4, r1
    subs r5, r2, r1
    ldr r0, [r7]
    adds r0, r0, r4
    mov r12, r0
element:
    ldrb r0, [r4]
    ldr r1, [r7, #X1_ZERO]
    ldr r2, [r7, #X1_MULT]
    ldr r3, [r7, #X1_SHIFT]
    bl scaled
    movs r6, r0
    ldrb r0, [r4, r5]
    ldr r1, [r7, #X2_ZERO]
    ldr r2, [r7, #X2_MULT]
    ldr r3, [r7, #X2_SHIFT]
    bl scaled
    adds r0, r0, r6
    // r1 = (r0 * mult + 2^30) >> 31, of r0 in pieces of 14 and 15 bits, mult in pieces of 15 and 16
    ldr r2, [r7, #Y_MULT]
    asrs r1, r0, #15
    lsls r0, r0, #17
    lsrs r0, r0, #17
    uxth r3, r2
    lsrs r2, r2, #16
    movs r6, r3
    muls r6, r1, r6
    muls r3, r0, r3
    lsrs r3, r3, #15
    adds r6, r6, r3
    asrs r6, r6, #1
    muls r0, r2, r0
    adds r6, r6, r0
    muls r1, r2, r1
    asrs r6, r6, #15
    adcs r1, r6
    ldr r3, [r7, #Y_SHIFT]
    bl down
    ldr r1, [r7, #Y_ZERO]
    adds r0, r0, r1
    ldr r1, [r7, #Y_MIN]
    cmp r0, r1
    blt 1f
    ldr r1, [r7, #Y_MAX]
    cmp r0, r1
    ble 2f
1:  movs r0, r1
2:  ldr r1, [sp]
    strb r0, [r4, r1]
    adds r4, r4, #1
    cmp r4, r12
    bne element
    pop {r3-r7, pc}

scaled: // r0 = requantize((r0 - r1) * 2^20, r2, r3)
    sxtb r0, r0
    subs r0, r0, r1
    lsrs r1, r2, #11
    muls r1, r0, r1
    lsls r2, r2, #21
    lsrs r2, r2, #21
    muls r2, r0, r2
    asrs r2, r2, #11
    adcs r1, r2
down: // r0 = r1 * 2^r3 to the nearest, ties away from zero; by 2^0 the carry flag says whether r1 was negative
    rsbs r3, r3, #0
    asrs r0, r1, #31
    adds r1, r1, r0
    movs r0, #0
    asrs r1, r3
    adcs r0, r1
    bx lr
#endif
