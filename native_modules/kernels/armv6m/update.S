// A step of some weights, rounded at random; m0_grad.h says what the arguments are. Most steps are rounded to 0.
// r0 weight, r1 sum, r2 random, r3 step, r6 up, r7 down
#ifdef __ARM_ARCH_6M__
#include "armv6m/m0.inc"
    .equ MOST, 255 // that a weight may go

    .section .text.tl_m0_update, "ax"
    .balign 4
    .global tl_m0_update
    .thumb_func
tl_m0_update:
    SAVE
    mov r9, r2
    ldmia r3!, {r4, r5, r6, r7}
    mov r8, r4
    mov r10, r5
    ldmia r3!, {r4, r5}
    mov r12, r4
    mov lr, r5
    ldr r4, [r3]
    mov r11, r4
    ldr r2, [sp, #36]
weight:
    ldmia r1!, {r3}
    lsls r3, r6
    asrs r3, r7
    adds r3, r3, #1
    asrs r3, r3, #1
    mov r4, r10
    muls r3, r4, r3
    mov r4, r11
    cmp r4, #0
    bge far
back:
    cmp r3, #0
    beq next
    lsls r4, r2, #13 // xorshift32
    eors r2, r4
    lsrs r4, r2, #17
    eors r2, r4
    lsls r4, r2, #5
    eors r2, r4
    mov r4, r12
    mov r5, r2
    lsrs r5, r4
    adds r3, r3, r5
    mov r4, lr
    asrs r3, r4
    bne move
next:
    add r0, r8
    cmp r1, r9
    bne weight
    movs r0, r2
    RESTORE
far:
    asrs r3, r4
    adds r3, r3, #1
    asrs r3, r3, #1
    b back
move:
    movs r4, #MOST
    cmp r3, r4
    ble 1f
    movs r3, r4
1:  rsbs r4, r4, #0
    cmp r3, r4
    bge 2f
    movs r3, r4
2:  movs r4, #0
    ldrsb r4, [r0, r4]
    subs r4, r4, r3
    movs r3, #127
    cmp r4, r3
    ble 3f
    movs r4, r3
3:  rsbs r3, r3, #0
    cmp r4, r3
    bge 4f
    movs r4, r3
4:  strb r4, [r0]
    b next
#endif
