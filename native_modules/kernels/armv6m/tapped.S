// Depthwise with any window: outputs of one channel that see the same taps, two at a time, straight on NHWC. micro.h says
// what the arguments are. r6, r7 the two windows, r2, r5 their sums, r4 taps, r9 d, r10 y, r11 outputs left.
#ifdef __ARM_ARCH_6M__
#include "armv6m/m0.inc"

    .equ BEGIN, 0
    .equ END, 4
    .equ SKIP, 8
    .equ START, 12
    .equ X_STEP, 16
    .equ Y_STEP, 20
    .equ REQUANT, 24

    .section .text.tl_tapped, "ax"
    .balign 4
    .global tl_tapped
    .thumb_func
tl_tapped:
    SAVE
    mov r9, r3
    mov r10, r1
    mov r11, r2
    mov r6, r0
    ldr r0, [r3, #END]
    mov r8, r0
    ldr r1, [r3, #SKIP]
    adr r0, tap
    adds r0, r0, r1
    adds r0, #1
    mov r12, r0 // where a multiple of three is reached
two:
    mov r3, r9
    ldr r7, [r3, #X_STEP]
    adds r7, r7, r6
    mov r0, r11
    cmp r0, #1
    bne 1f
    mov r7, r6 // there is no second one
1:  ldr r2, [r3, #START]
    mov r5, r2
    ldr r4, [r3, #BEGIN]
    bx r12
    .balign 4
tap:
    .rept 3
    ldmia r4!, {r0, r1}
    ldrsb r3, [r7, r0]
    ldrsb r0, [r6, r0]
    muls r3, r1, r3
    adds r5, r5, r3
    muls r0, r1, r0
    adds r2, r2, r0
    .endr
    cmp r4, r8
    bne tap
    mov r3, r9
    ldr r6, [r3, #X_STEP]
    adds r6, r6, r7
finish:
    mov r7, r9
    adds r7, #REQUANT // tl_requant_t: saturated, stored
    ldmia r7!, {r0, r1, r3}
    muls r0, r2, r0
    asrs r0, r0, #11
    muls r1, r2, r1
    adds r1, r1, r0
    asrs r1, r1, #10
    muls r3, r2, r3
    adds r0, r3, r1
    asrs r1, r0, #31
    lsls r1, r1, #10
    adds r0, r0, r1
    ldmia r7!, {r1, r3}
    adds r0, r0, r1
    asrs r0, r3
    sxtb r1, r0
    cmp r1, r0
    bne saturate
store:
    mov r1, r10
    strb r0, [r1]
    mov r0, r9
    ldr r0, [r0, #Y_STEP]
    add r10, r0
    mov r0, r11
    subs r0, r0, #1
    mov r11, r0
    beq done
    cmp r4, #0
    beq two
    mov r2, r5 // the second one
    movs r4, #0
    b finish
saturate:
    asrs r0, r0, #31
    movs r1, #127
    eors r0, r1
    b store
done:
    RESTORE
#endif
