// The steps of a row of weights: update.h says how they are rounded, m0_grad.h what the arguments are.
// Most sixteens of weights do not move, and are seen not to by one addition.
// r0 weight, r1 word, r2 sum of fractions, r3 fraction, r5 step, r6 end of words, r7 sixteen
// r8 words, r9 first weight, r10 end of all words, r11 sign, r12 end of sixteens, lr first sixteen
#ifdef __ARM_ARCH_6M__
#include "armv6m/m0.inc"
    .equ MOST, 127 // of a weight

    .macro MOVE v // the weight at r0 by -r4
    ldrb \v, [r0]
    sxtb \v, \v
    subs \v, \v, r4
    cmp \v, #MOST
    ble 8f
    movs \v, #MOST
8:  movs r4, \v
    adds r4, #MOST
    bpl 9f
    movs \v, #MOST
    rsbs \v, \v, #0
9:  strb \v, [r0]
    .endm

    .macro RANDOM v, by, state // tl_random (random.h)
    ldr \v, [\state]
    lsls \by, \v, #13
    eors \v, \by
    lsrs \by, \v, #17
    eors \v, \by
    lsls \by, \v, #5
    eors \v, \by
    str \v, [\state]
    .endm

    .equ SIXTEENS, 16 // of tl_row_t
    .equ OFF, 20
    .equ SUMS, 24
    .equ LIST, 28
    .equ MANTISSA, 36 // above what is saved
    .equ EXPONENT, 40
    .equ BUFFER, 44

    .equ U, 32 // of tl_steps_t, from its row on
    .equ RATES, 36
    .equ BIAS_RATES, 40
    .equ W, 44
    .equ B, 48
    .equ ALL_SUMS, 52
    .equ TOTALS, 56
    .equ GRADIENTS, 60
    .equ OUTER, 64
    .equ NEXT_SUMS, 68
    .equ STEP_EXPONENT, 72
    .equ ZERO, 76
    .equ LIMIT, 80
    .equ ROWS, 84
    .equ NEXT_ROW, 88
    .equ NEXT_CHANNEL, 92
    .equ STEP, 96
    .equ ALL_BUFFER, 100
    .equ BIAS_BUFFER, 104

FUNCTION tl_m0_update_channels // r7 steps, r6 gradients' sum, r5 weights, r4 rows left; on the stack: rate, buffer, channels left
    push {r4-r7, lr}
    movs r7, r0
    movs r0, #0
    push {r0, r1}
    sub sp, #8
channel:
    ldr r0, [r7, #GRADIENTS]
    cmp r0, #0
    beq 1f
    movs r6, #0
    ldrsb r6, [r0, r6]
    adds r0, #1
    str r0, [r7, #GRADIENTS]
    b 2f
1:  ldr r0, [r7, #TOTALS]
    ldmia r0!, {r6}
    str r0, [r7, #TOTALS]
2:  movs r4, #RATES
    bl rate
    beq bias
    ldr r0, [r7, #OUTER]
    cmp r0, #0
    beq 3f
    muls r1, r6, r1
    str r1, [sp]
    b 4f
3:  ldr r0, [r7, #ALL_SUMS]
    str r0, [r7]
    ldr r1, [r7, #NEXT_SUMS]
    lsls r1, r1, #2
    adds r0, r0, r1
    str r0, [r7, #ALL_SUMS]
    ldr r0, [r7, #ZERO]
    muls r0, r6, r0
    str r0, [r7, #OFF]
4:  ldr r4, [r7, #ROWS]
    ldr r5, [r7, #W]
    ldr r0, [r7, #NEXT_CHANNEL]
    adds r0, r0, r5
    str r0, [r7, #W]
row:
    ldr r0, [r7, #OUTER]
    movs r1, #1
    eors r1, r0
    strb r1, [r7, #SUMS]
#if !TL_LEAN
    ldr r0, [r7, #ALL_BUFFER]
    str r0, [sp, #8]
    cmp r0, #0
    beq 5f
    ldr r1, [r7, #4]
    lsls r1, r1, #1
    adds r0, r0, r1
    str r0, [r7, #ALL_BUFFER]
5:
#endif
    ldr r0, [r7, #U]
    movs r1, r5
    ldr r2, [r7, #STEP]
    movs r3, r7
    bl update_weights
    subs r4, r4, #1
    beq bias
    ldr r0, [r7]
    ldr r1, [r7, #4]
    lsls r1, r1, #2
    adds r0, r0, r1
    str r0, [r7]
    ldr r0, [r7, #NEXT_ROW]
    adds r5, r5, r0
    b row
bias:
    movs r4, #BIAS_RATES
    bl rate
    beq 6f
#if !TL_LEAN
    ldr r0, [r7, #BIAS_BUFFER]
    str r0, [sp, #8]
    cmp r0, #0
    beq 5f
    adds r0, #4
    str r0, [r7, #BIAS_BUFFER]
5:
#endif
    ldr r1, [r7, #B]
    adds r0, r1, #4
    str r0, [r7, #B]
    ldr r0, [r7, #U]
    ldr r2, [r7, #LIMIT]
    movs r3, r6
#if TL_LEAN
    bl update_bias
#else
    bl tl_update_bias
#endif
6:  ldr r0, [sp, #12]
    subs r0, r0, #1
    str r0, [sp, #12]
    bne channel
    add sp, #16
    pop {r4-r7, pc}
rate: // r1 the next of those at r7 + r4, its mantissa; eq: there are none
    ldr r0, [r7, r4]
    cmp r0, #0
    beq 1f
    movs r1, #0
    ldrsh r1, [r0, r1]
    movs r2, #2
    ldrsh r2, [r0, r2]
    ldr r3, [r7, #STEP_EXPONENT]
    adds r2, r2, r3
    str r1, [sp]
    str r2, [sp, #4]
    adds r0, #4 // not to 0
    str r0, [r7, r4]
1:  bx lr

    .thumb_func
update_weights: // r0 fraction, r4 what is cut, r5 bits, r6 u, r7 row; r8 words, r9 first weight, r10 end, r11 step
    SAVE
    mov r9, r1
    mov r11, r2
    movs r6, r0
    movs r7, r3
    ldmia r3!, {r0, r1, r4, r5}
    mov r8, r0
    lsls r1, r1, #2
    adds r1, r1, r0
    mov r10, r1
    ldr r3, [r7, #LIST]
#if TL_LEAN
    cmp r3, #0
    bne cannot
#else
    ldr r2, [sp, #BUFFER]
    cmp r2, #0
    bne cannot
#endif
    ldrb r2, [r7, #SUMS]
    cmp r2, #0
    beq 1f
    ldr r2, [r7, #OFF]
    bl tl_top_bits
    movs r5, #16
    movs r4, r0
    subs r4, #15
    bgt 2f
    movs r4, #0
    movs r5, r0
    bne 2f
    movs r5, #1
#if TL_LEAN
1:
#else
    b 2f
1:  cmp r3, #0 // listed weights go one by one
    bne cannot
#endif
2:  ldr r0, [sp, #MANTISSA]
    ldr r1, [sp, #EXPONENT]
    adds r1, r1, r4
    mov r12, r4
    asrs r2, r0, #31
    mov lr, r2 // sign
    eors r0, r2
    subs r0, r0, r2
    rsbs r1, r1, #0
    ble cannot
    cmp r1, #63
    bhi done // nothing is left
    movs r2, r0
    lsrs r2, r1
    bne cannot // has a whole part
    subs r1, #32
    bgt 3f
    rsbs r1, r1, #0
    lsls r0, r1
    b 4f
3:  lsrs r0, r1
    adcs r0, r2
4:  lsrs r0, r0, #1
    lsls r0, r0, #1
    beq done
    movs r1, #32
    subs r1, r1, r5
    movs r2, r0
    lsrs r2, r1
    beq below // 1
cannot:
    ldr r3, [sp, #MANTISSA]
    ldr r4, [sp, #EXPONENT]
    ldr r5, [sp, #BUFFER]
    push {r3-r5}
    movs r0, r6
    mov r1, r9
    mov r2, r11
    movs r3, r7
    bl tl_update_weights
    add sp, #12
done:
    RESTORE
below:
    RANDOM r2, r1, r6
    ldrb r1, [r7, #SUMS]
    cmp r1, #0
    bne sums
    movs r3, r0
    movs r1, #28
    subs r1, r1, r5
    ldr r7, [r7, #SIXTEENS]
    lsrs r0, r1
    beq 1f
    movs r7, #0 // sixteen steps may be 1 or more
1:  mov r5, r11
    mov r11, lr
    mov lr, r7
    mov r0, r9
    mov r1, r8
    mov r6, r10
    mov r12, r7
    cmp r7, #0
    beq weight
    subs r4, r6, r1
    adds r4, #60
    lsrs r4, r4, #6
    lsls r4, r4, #2
    add r12, r4
sixteen:
    ldmia r7!, {r4}
    muls r4, r3, r4
    adds r2, r2, r4
    bcs some
next_sixteen:
    cmp r7, r12
    bne sixteen
    b done
some: // of these sixteen move
    subs r2, r2, r4
    subs r4, r7, #4
    mov r6, lr
    subs r4, r4, r6
    lsls r1, r4, #4
    add r1, r8
    lsls r4, r4, #2
    muls r4, r5, r4
    mov r0, r9
    adds r0, r0, r4
    movs r6, #64
    adds r6, r6, r1
    cmp r6, r10
    bls weight
    mov r6, r10
weight:
    ldmia r1!, {r4}
    muls r4, r3, r4
    adds r2, r2, r4
    bcs move
next:
    adds r0, r0, r5
    cmp r1, r6
    bne weight
    b next_sixteen
move: // by one, against the step
    push {r7}
    subs r4, r1, #4
    ldr r4, [r4]
    mov r7, r11
    eors r4, r7
    asrs r4, r4, #31
    movs r7, #1
    orrs r4, r7
    MOVE r7
    pop {r7}
    b next

// Of sums that are not words yet: r0 free, r1 sum, r2 sum of fractions, r3 fraction, r6 cut, r7 end
// r8 first sum, r9 first weight, r10 what sums lack, r11 step, r12 half of what is cut, [sp] sign, [sp, #4] list
sums:
    ldr r5, [r7, #LIST]
    mov r4, lr
    push {r4, r5}
    ldr r5, [r7, #OFF]
    rsbs r5, r5, #0
    mov r6, r12
    mov r7, r10
    mov r10, r5
    movs r4, #1
    lsls r4, r6
    lsrs r4, r4, #1
    mov r12, r4
    movs r3, r0
    mov r1, r8
    subs r5, r7, r1
    .macro SUM
    ldmia r1!, {r4}
    add r4, r10
    asrs r5, r4, #31
    eors r4, r5
    subs r4, r4, r5
    add r4, r12
    lsrs r4, r6
    muls r4, r3, r4
    adds r2, r2, r4
    bcs 8f
9:
    .subsection 1
8:  bl move_sum
    b 9b
    .subsection 0
    .endm
    lsls r5, r5, #29
    bne second // their number is odd
sum:
    SUM
second:
    SUM
    cmp r1, r7
    bne sum
    add sp, #8
    b done
move_sum:
    subs r4, r1, #4
    mov r0, r8
    subs r0, r4, r0
    lsrs r0, r0, #2
#if !TL_LEAN
    ldr r5, [sp, #4]
    cmp r5, #0
    beq 1f
    lsls r0, r0, #1
    ldrsh r0, [r5, r0]
    b 2f
1:
#endif
    mov r5, r11
    muls r0, r5, r0
2:  add r0, r9
    ldr r4, [r4]
    add r4, r10
    ldr r5, [sp]
    eors r4, r5
    asrs r4, r4, #31
    movs r5, #1
    orrs r4, r5
    MOVE r5
    bx lr

#if TL_LEAN
    .thumb_func
update_bias: // r0 u, r1 b, r2 limit, r3 sum, then the step; r4 its exponent, r6 0
    push {r4-r7, lr}
    movs r6, #0
    movs r4, #0 // what is cut, to 15 bits
    asrs r7, r3, #31
    movs r5, r3
    eors r5, r7
    subs r5, r5, r7
    lsrs r5, r5, #15
    b 2f
1:  adds r4, #1
    lsrs r5, r5, #1
2:  bne 1b
    adds r5, r4, #0 // no carry, should nothing be cut
    asrs r3, r4
    adcs r3, r6
    ldr r5, [sp, #20] // mantissa
    muls r3, r5, r3
    ldr r5, [sp, #24] // exponent
    adds r4, r4, r5
    bpl whole
    rsbs r4, r4, #0
    subs r4, #30
    ble 4f
    cmp r4, #32
    bls 3f
    movs r4, #32
3:  asrs r3, r4
    adcs r3, r6
    movs r4, #0
4:  adds r4, #30
    cmp r3, #0
    beq move_bias
    RANDOM r5, r7, r0
    movs r7, #32
    subs r7, r7, r4
    lsrs r5, r7
    adds r3, r3, r5
    asrs r3, r4
move_bias:
    ldr r4, [r1]
    subs r4, r4, r3
    bvc 5f
    movs r5, #1
    lsls r5, r5, #31
    asrs r4, r4, #31
    eors r4, r5
5:  cmp r4, r2
    ble 6f
    movs r4, r2
6:  rsbs r2, r2, #0
    cmp r4, r2
    bge 7f
    movs r4, r2
7:  str r4, [r1]
    pop {r4-r7, pc}
whole: // at most 2^29 away
    cmp r4, #30
    bls 8f
    movs r4, #30
8:  movs r5, #1
    lsls r5, r5, #29
    movs r7, r5
    lsrs r7, r4
    asrs r6, r3, #31
    movs r0, r3
    eors r0, r6
    subs r0, r0, r6
    lsls r3, r4
    cmp r0, r7
    bls move_bias
    movs r3, r5
    eors r3, r6
    subs r3, r3, r6
    b move_bias
#endif
#endif
