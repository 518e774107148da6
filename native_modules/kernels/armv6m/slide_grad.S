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

FUNCTION tl_m0_slide_grad
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

// With stride 2: each gradient, and the one below it, ends one sum, makes the next and begins the one after it.
// r0 gradient, r1 sum, r2 bytes from sum to sum, r3 what the next one begins with, r5 two gradients, r7 bytes of a row,
// r8-r10 weights, r11 from gradient to gradient, r12 the next channel's weights, lr end
FUNCTION tl_m0_stride_grad
    SAVE
    mov r12, r2
    ldmia r3!, {r4-r7} // channels, bytes of a row, to the next column's first row, bytes of all columns
    ldr r2, [r3]
    adds r6, r6, r5
    mov r11, r6
    adds r7, r7, r0
    mov lr, r7
    mov r7, r5
    push {r0, r1, r4}
stride_channel:
    mov r6, r12
    ldmia r6!, {r3, r4, r5}
    mov r8, r3
    mov r9, r4
    mov r10, r5
    adds r6, #12
    mov r12, r6
    movs r3, #0
1:  movs r4, #0
    ldrsb r5, [r0, r4]
    ldrsb r6, [r0, r7]
    add r0, r11
    lsls r6, r6, #16
    adds r5, r5, r6
    mov r6, r8
    muls r6, r5, r6
    asrs r6, r6, #16
    adcs r3, r6
    str r3, [r1]
    adds r1, r1, r2
    mov r6, r9
    muls r6, r5, r6
    asrs r6, r6, #16
    adcs r4, r6
    str r4, [r1]
    adds r1, r1, r2
    movs r3, #0
    mov r6, r10
    muls r6, r5, r6
    asrs r6, r6, #16
    adcs r3, r6
    cmp r0, lr
    bne 1b
    str r3, [r1]
    pop {r0, r1, r4}
    adds r0, r0, #1
    adds r1, r1, #4
    movs r3, #1
    add lr, r3
    subs r4, r4, #1
    push {r0, r1, r4}
    bne stride_channel
    add sp, #12
    RESTORE
#endif
