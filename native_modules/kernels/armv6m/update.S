// The steps of a row of weights: update.h says how they are rounded, m0_grad.h what the arguments are.
// Most sixteens of weights do not move, and are seen not to by one addition.
// r0 weight, r1 word, r2 sum of fractions, r3 fraction, r5 step, r6 end of words, r7 sixteen
// r8 words, r9 first weight, r10 end of all words, r11 sign, r12 end of sixteens, lr first sixteen
#ifdef __ARM_ARCH_6M__
#include "armv6m/m0.inc"
    .equ MOST, 127 // of a weight

    .section .text.tl_m0_update, "ax"
    .balign 4
    .global tl_m0_update
    .thumb_func
tl_m0_update:
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
    cmp r0, #0
    bne too_far
    movs r4, #32
    subs r6, r4, r6
    lsrs r2, r6
    bne too_far // a step may be 1 or more
    movs r4, r3
    subs r6, r6, #4
    lsrs r4, r6
    beq 1f
    movs r7, #0 // sixteen may be
1:  ldr r2, [sp, #36] // sum
    mov r0, r9
    mov r6, r10
    cmp r7, #0
    bne sixteen
    mov r12, r7
    b weight
too_far:
    movs r0, #0
    RESTORE
sixteen:
    ldmia r7!, {r4}
    muls r4, r3, r4
    adds r2, r2, r4
    bcs some
next_sixteen:
    cmp r7, r12
    bne sixteen
    movs r0, #1
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
    movs r7, #0
    ldrsb r7, [r0, r7]
    subs r7, r7, r4
    cmp r7, #MOST
    bgt most
    movs r4, r7
    adds r4, #MOST
    bmi least
store:
    strb r7, [r0]
    pop {r7}
    b next
least:
    movs r7, #MOST
    rsbs r7, r7, #0
    b store
most:
    movs r7, #MOST
    b store
#endif
