// Three weights of a depthwise kernel: their products with a channel of gradients, row by row, channel by channel. m0_grad.h
// says what the arguments are. r0 x, r1 gradient, r2 and r3 bytes to the second and third x, r4 0, r7 the gradients' sum,
// r8-r10 sums, r11 bytes from x to x, r12 from gradient to gradient, lr end of a row
#ifdef __ARM_ARCH_6M__
#include "armv6m/m0.inc"
    .equ X, 0
    .equ GRADIENTS, 4
    .equ D, 8
    .equ SUMS, 12
    .equ LANES, 16
    .equ TOTALS, 20
    .equ COLUMNS, 24
    .equ SKIP, 28
    .equ END, 32
    .equ ODD, 36
    .equ TAPS, 24 // of tl_m0_taps_t
    .equ NEXT_SUMS, 28
    .equ BY_LANE, 32
    .equ WIDE, 48

    .macro TAP at, sum
    ldrb r6, [r0, \at]
    muls r6, r5, r6
    add \sum, r6
    .endm
    .macro GRADIENT load
    \load r5, [r1, r4]
    add r1, r12
    adds r7, r7, r5
    TAP r4, r8
    TAP r2, r9
    TAP r3, r10
    add r0, r11
    .endm
    .macro ROWS load // two gradients at a time, from the middle of the loop where their number is odd
2:  ldr r5, [sp, #COLUMNS]
    adds r5, r5, r1
    mov lr, r5
    ldr r5, [sp, #ODD]
    lsrs r5, r5, #1
    bcs 4f
3:  GRADIENT \load
4:  GRADIENT \load
    cmp r1, lr
    bne 3b
    ldr r5, [sp, #SKIP]
    adds r0, r0, r5
    ldr r5, [sp, #END]
    cmp r1, r5
    bne 2b
    .endm

    .macro NEXT
    ldrsb r5, [r1, r4]
    add r1, r12
    adds r7, r7, r5
    .endm
    .macro TIMES x, sum
    muls \x, r5, \x
    add \sum, \x
    .endm
    .macro KEPT x, sum // is needed again
    movs r6, \x
    TIMES r6, \sum
    .endm

FUNCTION tl_m0_taps
    SAVE
    sub sp, #40
    mov r4, sp
    stmia r4!, {r0-r3}
    ldmia r2!, {r0, r1, r3, r5-r7}
    stmia r4!, {r0, r1} // lanes, totals
    str r5, [sp, #SKIP]
    str r6, [sp, #ODD]
    mov r11, r3
    mov r12, r7
lane:
    ldr r2, [sp, #D]
    adds r2, #BY_LANE
    ldmia r2!, {r4-r7}
    str r4, [sp, #COLUMNS]
    ldr r0, [sp, #X]
    ldr r1, [sp, #GRADIENTS]
    adds r5, r5, r1
    str r5, [sp, #END]
    movs r3, r7
#if !TL_LEAN
    ldr r5, [r2] // wide
#endif
    movs r2, r6
    movs r4, #0
    mov r8, r4
    mov r9, r4
    mov r10, r4
    movs r7, #0
#if !TL_LEAN
    cmp r5, #0
    beq 1f
    b wide
1:
#endif
    ldr r5, [sp, #ODD]
    lsrs r5, r5, #2
    bcs near
    ROWS ldrsb
    .macro INTO_SUMS sum
    mov r0, \sum
    subs r0, r0, r5
    ldr r1, [r3]
    adds r0, r0, r1
    stmia r3!, {r0}
    .endm
done:
    ldr r3, [sp, #SUMS]
    ldr r2, [sp, #D]
    lsls r5, r7, #7 // what x is too large
    ldr r6, [r2, #TAPS]
    INTO_SUMS r8
    subs r6, #2
    bmi 1f
    INTO_SUMS r9
    cmp r6, #0
    beq 1f
    INTO_SUMS r10
1:  ldr r3, [sp, #SUMS]
    ldr r0, [r2, #NEXT_SUMS]
    adds r3, r3, r0
    str r3, [sp, #SUMS]
    ldr r3, [sp, #TOTALS]
    cmp r3, #0
    beq 2f
    ldr r0, [r3]
    adds r0, r0, r7
    stmia r3!, {r0}
    str r3, [sp, #TOTALS]
2:  mov r3, sp
    ldmia r3!, {r0, r1}
    adds r0, #1
    adds r1, #1
#if !TL_LEAN
    ldr r4, [r2, #WIDE]
    adds r1, r1, r4
#endif
    subs r3, #8
    stmia r3!, {r0, r1}
    ldr r0, [sp, #LANES]
    subs r0, #1
    str r0, [sp, #LANES]
    bne lane
    add sp, #40
    RESTORE
near: // two gradients meet four x in a row
    ldr r5, [sp, #COLUMNS]
    adds r5, r5, r1
    mov lr, r5
    ldr r5, [sp, #ODD]
    lsrs r5, r5, #1
    bcc 1f
    movs r2, #4
    movs r3, #8
    GRADIENT ldrsb
    cmp r1, lr
    beq 2f
1:  NEXT
    ldrb r6, [r0]
    ldrb r2, [r0, #4]
    ldrb r3, [r0, #8]
    TIMES r6, r8
    KEPT r2, r9
    KEPT r3, r10
    NEXT
    ldrb r6, [r0, #12]
    adds r0, #8
    TIMES r2, r8
    TIMES r3, r9
    TIMES r6, r10
    cmp r1, lr
    bne 1b
2:  ldr r5, [sp, #SKIP]
    adds r0, r0, r5
    ldr r5, [sp, #END]
    cmp r1, r5
    bne near
    b done
#if !TL_LEAN
wide:
    ROWS ldrsh
    b done
#endif
#endif
