// Depthwise convolution with any window: one row of outputs of one channel, from a ring of rows of pixel pairs.
// micro.h says what the arguments are. r2 sum, r4 weights, r6 row, r3 pair, r5 pairs left, r7 d, r12 y, lr outputs left.
#ifdef __ARM_ARCH_6M__
    .syntax unified
    .cpu cortex-m0plus
    .thumb

    .equ W, 0
    .equ W_END, 4
    .equ START, 8
    .equ PAIRS, 12
    .equ RIGHT, 16 // loaded together, to AROUND
    .equ STRIDE, 32
    .equ Y_STEP, 36
    .equ RAW, 40
    .equ REQUANT, 44

    .section .text.tl_ring, "ax"
    .balign 4
    .global tl_ring
    .thumb_func
tl_ring:
    push {r4-r7, lr}
    mov r4, r8
    mov r5, r9
    mov r6, r10
    mov r7, r11
    push {r0, r4-r7}
    mov r12, r1
    mov lr, r2
    mov r7, r3
    adds r3, #RIGHT
    ldmia r3!, {r0, r1, r2, r4}
    mov r8, r0 // from pair to pair
    mov r9, r1 // from row to row
    mov r10, r2 // the ring's end
    mov r11, r4 // and its bytes
output:
    ldr r6, [sp]
    ldr r4, [r7, #W]
    ldr r2, [r7, #START]
row:
    mov r3, r6
    ldr r5, [r7, #PAIRS]
pair:
    ldr r0, [r3]
    ldmia r4!, {r1}
    add r3, r8
    muls r0, r1, r0
    asrs r0, r0, #16
    adcs r2, r0
    subs r5, r5, #1
    bne pair
    add r6, r9
    cmp r6, r10
    blo 1f
    mov r0, r11
    subs r6, r6, r0
1:  ldr r1, [r7, #W_END]
    cmp r4, r1
    bne row

    mov r6, r12
    ldr r0, [r7, #RAW]
    cmp r0, #0
    bne raw
    mov r5, r7 // tl_requant_t: saturated, stored
    adds r5, #REQUANT
    ldmia r5!, {r0, r1, r3}
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
    ldmia r5!, {r1, r2}
    adds r0, r0, r1
    asrs r0, r2
    sxtb r1, r0
    cmp r1, r0
    bne saturate
store:
    strb r0, [r6]
next:
    ldr r0, [r7, #Y_STEP]
    add r12, r0
    ldr r6, [sp]
    ldr r0, [r7, #STRIDE]
    adds r6, r6, r0
    str r6, [sp]
    mov r0, lr
    subs r0, r0, #1
    mov lr, r0
    bne output
    pop {r0, r4-r7}
    mov r8, r4
    mov r9, r5
    mov r10, r6
    mov r11, r7
    pop {r4-r7, pc}
raw:
    str r2, [r6]
    b next
saturate:
    asrs r0, r0, #31
    movs r1, #127
    eors r0, r1
    b store
#endif
