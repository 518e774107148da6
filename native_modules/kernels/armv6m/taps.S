// Three weights of a depthwise kernel: their products with one channel of gradients, row by row. m0_grad.h says what the
// arguments are. r0 x, r1 gradients, r2 and r3 bytes to the second and third x, r4 to the next, r8-r10 sums
#ifdef __ARM_ARCH_6M__
#include "armv6m/m0.inc"
    .equ ROWS, 0
    .equ X_ROW, 4

    .section .text.tl_m0_taps, "ax"
    .balign 4
    .global tl_m0_taps
    .thumb_func
tl_m0_taps:
    SAVE
    push {r2, r3}
    ldmia r2!, {r3-r7} // second, third, next, columns * 4, rows
    mov r11, r6
    mov r12, r7
    ldmia r2!, {r6}
    mov lr, r6 // from behind a row of x to the next
    mov r2, r3
    mov r3, r4
    mov r4, r5
    movs r5, #0
    mov r8, r5
    mov r9, r5
    mov r10, r5
row:
    mov r7, r11
    adds r7, r7, r1
column:
    ldmia r1!, {r5}
    ldr r6, [r0]
    muls r6, r5, r6
    add r8, r6
    ldr r6, [r0, r2]
    muls r6, r5, r6
    add r9, r6
    ldr r6, [r0, r3]
    muls r5, r6, r5
    add r10, r5
    adds r0, r0, r4
    cmp r1, r7
    bne column
    add r0, lr
    mov r7, r12
    subs r7, r7, #1
    mov r12, r7
    bne row
    pop {r2, r3}
    mov r0, r8
    mov r1, r9
    mov r2, r10
    stmia r3!, {r0-r2}
    RESTORE

    .macro PAIR at, sum
    ldr r6, [r0, #\at]
    muls r6, r5, r6
    asrs r6, r6, #16
    adcs \sum, r6
    .endm

    .section .text.tl_m0_pair_taps, "ax"
    .balign 4
    .global tl_m0_pair_taps
    .thumb_func
tl_m0_pair_taps: // r0 x, r1 gradients, r2-r4 sums
    SAVE
    push {r3}
    ldmia r2!, {r3-r6}
    mov r8, r3
    mov r9, r4
    mov r10, r5
    mov r11, r6
    ldr r4, [sp]
    ldmia r4!, {r2, r3}
    ldr r4, [r4]
pair_row:
    mov r7, r8
    adds r7, r7, r1
pair_column:
    ldmia r1!, {r5}
    PAIR 0, r2
    PAIR 4, r3
    PAIR 8, r4
    add r0, r11
    cmp r1, r7
    bne pair_column
    add r0, r10
    mov r7, r9
    subs r7, r7, #1
    mov r9, r7
    bne pair_row
    pop {r7}
    stmia r7!, {r2-r4}
    RESTORE
#endif
