// dx of a 3x3 depthwise kernel with stride 1: along a row of gradients and the two below it, channel by channel. Each
// column of three ends one sum, continues the next and begins the one after it. m0_grad.h says what the arguments are.
// r0-r2 sums, r6 gradient, r7 bytes of a row, r12 where a sum goes
#ifdef __ARM_ARCH_6M__
#include "armv6m/m0.inc"
    .equ END, 12 // above the singles
    .equ GRADIENT, 16
    .equ ROW, 20
    .equ WEIGHTS, 24
    .equ CHANNELS, 28
    .equ COLUMNS, 32

    .macro PAIR s, w
    mov r5, \w
    muls r5, r3, r5
    asrs r5, r5, #16
    adcs \s, r5
    .endm
    .macro SINGLE s, at
    ldr r5, [sp, #\at]
    muls r5, r4, r5
    adds \s, \s, r5
    .endm
    .macro STORE s
    mov r5, r12
    str \s, [r5]
    add r12, lr
    .endm
    .macro COLUMN p, q, n, exit
    movs r4, #0
    ldrsb r3, [r6, r4]
    ldrsb r5, [r6, r7]
    lsls r5, r5, #16
    adds r3, r3, r5
    adds r6, r6, r7
    ldrsb r4, [r6, r7]
    add r6, r11
    PAIR \p, r8
    SINGLE \p, 0
    STORE \p
    PAIR \q, r9
    SINGLE \q, 4
    movs \n, #0
    PAIR \n, r10
    SINGLE \n, 8
    ldr r3, [sp, #END]
    cmp r6, r3
    beq \exit
    .endm

    .section .text.tl_m0_slide_grad, "ax"
    .balign 4
    .global tl_m0_slide_grad
    .thumb_func
tl_m0_slide_grad:
    SAVE
    ldmia r3!, {r4-r7} // channels, bytes of a row, to the next column's first row, bytes of all columns
    mov r11, r6
    ldr r6, [r3]
    mov lr, r6 // bytes from sum to sum
    push {r0, r1, r2, r4, r7}
    sub sp, #16
    mov r7, r5
channel:
    ldr r3, [sp, #WEIGHTS]
    ldmia r3!, {r0, r1, r2, r4, r5, r6}
    str r3, [sp, #WEIGHTS]
    mov r8, r0
    mov r9, r1
    mov r10, r2
    mov r3, sp
    stmia r3!, {r4, r5, r6}
    ldr r6, [sp, #GRADIENT]
    ldr r3, [sp, #COLUMNS]
    adds r3, r3, r6
    str r3, [sp, #END]
    adds r3, r6, #1
    str r3, [sp, #GRADIENT]
    ldr r3, [sp, #ROW]
    mov r12, r3
    adds r3, r3, #4
    str r3, [sp, #ROW]
    movs r0, #0
    movs r1, #0
columns:
    COLUMN r0, r1, r2, last_1
    COLUMN r1, r2, r0, last_2
    COLUMN r2, r0, r1, last_0
    b columns
last_1:
    STORE r1
    STORE r2
    b next
last_2:
    STORE r2
    STORE r0
    b next
last_0:
    STORE r0
    STORE r1
next:
    ldr r3, [sp, #CHANNELS]
    subs r3, r3, #1
    str r3, [sp, #CHANNELS]
    beq 1f
    b channel
1:  add sp, #36
    RESTORE
#endif
