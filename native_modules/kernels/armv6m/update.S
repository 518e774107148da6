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

    .section .text.tl_m0_update_words, "ax"
    .balign 4
    .global tl_m0_update_words
    .thumb_func
tl_m0_update_words:
    SAVE
    mov r9, r0
    ldmia r2!, {r4, r5} // words, how many
    ldr r6, [r2, #4] // bits of a size
    ldr r7, [r2, #8]
    mov r8, r4
    mov lr, r7
    lsls r0, r5, #2
    adds r0, r0, r4
    mov r10, r0
    adds r5, #15
    lsrs r5, r5, #4
    lsls r5, r5, #2
    adds r5, r5, r7
    mov r12, r5
    movs r5, r1
    mov r1, r4
    ldmia r3!, {r0, r2, r4} // whole, fraction, sign
    mov r11, r4
    movs r3, r2
    movs r4, #28
    subs r4, r4, r6
    lsrs r3, r4
    beq 1f
    movs r7, #0 // sixteen steps may be 1 or more
1:  movs r3, r2
    ldr r2, [sp, #36] // sum
    mov r0, r9
    mov r6, r10
    cmp r7, #0
    bne sixteen
    mov r12, r7
    b weight
sixteen:
    ldmia r7!, {r4}
    muls r4, r3, r4
    adds r2, r2, r4
    bcs some
next_sixteen:
    cmp r7, r12
    bne sixteen
    RESTORE
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

// The same of sums that are not words yet: r0 free, r1 sum, r2 sum of fractions, r3 fraction, r6 cut, r7 end
// r8 what sums lack, r9 half of what is cut, r10 first sum, r11 step, r12 first weight, [sp] sign, [sp, #4] list
    .section .text.tl_m0_update_sums, "ax"
    .balign 4
    .global tl_m0_update_sums
    .thumb_func
tl_m0_update_sums:
    SAVE
    mov r12, r0
    mov r11, r1
    ldmia r2!, {r1, r5, r6}
    ldr r4, [r2, #8]
    ldr r2, [r2, #16] // list
    rsbs r4, r4, #0
    mov r8, r4
    mov r10, r1
    lsls r7, r5, #2
    adds r7, r7, r1
    movs r4, #1
    lsls r4, r6
    lsrs r4, r4, #1
    mov r9, r4
    movs r4, r2
    ldr r2, [r3, #8]
    ldr r3, [r3, #4]
    push {r2, r4}
    ldr r2, [sp, #44]
    .macro SUM
    ldmia r1!, {r4}
    add r4, r8
    asrs r5, r4, #31
    eors r4, r5
    subs r4, r4, r5
    add r4, r9
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
    lsls r5, r5, #31
    bne second // their number is odd
sum:
    SUM
second:
    SUM
    cmp r1, r7
    bne sum
    add sp, #8
    RESTORE
move_sum:
    subs r4, r1, #4
    mov r0, r10
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
2:  add r0, r12
    ldr r4, [r4]
    add r4, r8
    ldr r5, [sp]
    eors r4, r5
    asrs r4, r4, #31
    movs r5, #1
    orrs r4, r5
    MOVE r5
    bx lr
#endif
