// Gradients times a panel, added to int32 sums: the inner loop of the way back through convolutions. pairs.h says how a
// word makes two products, panel_grad.h what the arguments are. Words of one int16 make one product each, in the second chain,
// which a lean module (gradient.h) does not have.
//
// The gradients are copied or unpacked onto the stack, where the chain that is entered `words` steps before its end
// finds them. In the chain: r4-r7 sums, r3 panel, r2 gradient, r0-r1 panel's words.
#ifdef __ARM_ARCH_6M__
#include "armv6m/m0.inc"
    .equ WORDS, 16 // TL_GRAD_CHUNK
    .equ PAIR_BYTES, 30
    .equ SINGLE_BYTES, 22
    .equ LEFT, 4 * WORDS // above the gradients: how often is left, their words, and where their sums go
    .equ TOTALS, 4 * WORDS + 8
    .equ SUMS, 0 // of tl_chain_t
    .equ BYTES, 4
    .equ SINGLES, 8
    .equ HOW, 12
    .equ COUNT, 16
    .equ STEP, 20
    .equ SUMS_STEP, 24
    .equ APART, 28
    .equ VALUES, 32
    .equ OF_TOTALS, 36

    .macro PAIR i
    ldr r2, [sp, #4 * \i]
    ldmia r3!, {r0, r1}
    muls r0, r2, r0
    asrs r0, r0, #16
    adcs r4, r0
    muls r1, r2, r1
    asrs r1, r1, #16
    adcs r5, r1
    ldmia r3!, {r0, r1}
    muls r0, r2, r0
    asrs r0, r0, #16
    adcs r6, r0
    muls r1, r2, r1
    asrs r1, r1, #16
    adcs r7, r1
    .endm
    .macro SINGLE i
    ldr r2, [sp, #4 * \i]
    ldmia r3!, {r0, r1}
    muls r0, r2, r0
    adds r4, r4, r0
    muls r1, r2, r1
    adds r5, r5, r1
    ldmia r3!, {r0, r1}
    muls r0, r2, r0
    adds r6, r6, r0
    muls r1, r2, r1
    adds r7, r7, r1
    .endm

    // r0 from, r1 words left, r2 to, r3 bytes from value to value, r6 their sum, r7 0
    .macro PAIR_APART
    ldrsb r4, [r0, r7]
    adds r0, r0, r3
    ldrsb r5, [r0, r7]
    adds r0, r0, r3
    lsls r4, r4, #16
    adds r4, r4, r5
    adds r6, r6, r4
    stmia r2!, {r4}
    subs r1, r1, #1
    .endm
    .macro HALF_APART
    ldrsh r4, [r0, r7]
    adds r0, r0, r3
    adds r6, r6, r4
    stmia r2!, {r4}
    subs r1, r1, #1
    .endm
    .macro EACH what // two by two, from the middle of the loop where their number is odd
    lsls r4, r1, #31
    bne 8f
9:  \what
8:  \what
    bne 9b
    .endm

FUNCTION tl_chain
    SAVE
    mov r11, r0 // gradients
    mov lr, r2
    mov r8, r3
    ldr r0, [r3, #SUMS]
    mov r12, r0
    ldr r0, [r3, #COUNT]
    ldr r2, [r3, #OF_TOTALS]
    push {r0, r1, r2}
    sub sp, #4 * WORDS
    movs r5, #PAIR_BYTES
    ldr r4, pairs
#if !TL_LEAN
    ldr r0, [r3, #SINGLES]
    cmp r0, #0
    beq 1f
    movs r5, #SINGLE_BYTES
    ldr r4, singles
1:
#endif
    add r4, pc
here:
    muls r5, r1, r5
    subs r4, r4, r5
    mov r10, r4 // where to jump into a chain
next:
    mov r3, r8
    mov r0, r11
    ldr r4, [r3, #STEP]
    adds r4, r4, r0
    mov r11, r4
    ldr r4, [r3, #BYTES]
    add r4, r12
    mov r9, r4 // end of the sums
    ldr r1, [sp, #LEFT + 4]
    movs r2, #WORDS
    subs r2, r2, r1
    lsls r2, r2, #2
    add r2, sp // what the chain finds
    movs r7, #0
    ldr r4, [r3, #HOW]
    subs r4, r4, #1
    beq bytes
    bpl 1f
    mov r2, sp
    .rept WORDS / 4
    ldmia r0!, {r4-r7}
    stmia r2!, {r4-r7}
    .endr
    b run
1:  subs r4, r4, #2
#if !TL_LEAN
    bmi halves
#endif
    ldr r1, [r3, #VALUES]
    ldr r3, [r3, #APART]
    movs r6, #0
#if !TL_LEAN
    cmp r4, #0
    bne halves_apart
#endif
    lsrs r1, r1, #1
    beq 1f
    EACH PAIR_APART
1:  mov r4, r8
    ldr r4, [r4, #VALUES]
    lsls r4, r4, #31
    beq 2f
    ldrsb r4, [r0, r7] // a lone last one
    lsls r4, r4, #16
    adds r6, r6, r4
    str r4, [r2]
2:  sxth r4, r6
    subs r6, r6, r4
    asrs r6, r6, #16
    adds r6, r6, r4
#if !TL_LEAN
    b total
halves_apart:
    EACH HALF_APART
total:
#endif
    ldr r4, [sp, #TOTALS]
    cmp r4, #0
    beq run
    ldr r5, [r4]
    adds r5, r5, r6
    stmia r4!, {r5}
    str r4, [sp, #TOTALS]
    b run
bytes:
    ldmia r0!, {r3}
    lsls r4, r3, #24
    asrs r4, r4, #8
    lsls r5, r3, #16
    asrs r5, r5, #24
    adds r4, r4, r5
    lsls r5, r3, #8
    asrs r5, r5, #24
    lsls r5, r5, #16
    asrs r3, r3, #24
    adds r5, r5, r3
    stmia r2!, {r4, r5}
    subs r1, r1, #2
    bne bytes
    b run
#if !TL_LEAN
halves:
    ldmia r0!, {r4, r6}
    asrs r5, r4, #16
    sxth r4, r4
    asrs r7, r6, #16
    sxth r6, r6
    stmia r2!, {r4-r7}
    subs r1, r1, #4
    bne halves
#endif
run:
    mov r3, lr
    mov r0, r12
    ldmia r0!, {r4-r7}
    mov pc, r10
    .balign 4
pairs:
    .word end_of_pairs - here - 2
#if !TL_LEAN
singles:
    .word end_of_singles - here - 2
    .set i, 0
    .rept WORDS
    SINGLE i
    .set i, i + 1
    .endr
end_of_singles:
    b done
#endif
    .set i, 0
    .rept WORDS
    PAIR i
    .set i, i + 1
    .endr
end_of_pairs:
done:
    mov r0, r12
    stmia r0!, {r4-r7}
    mov r12, r0
    cmp r0, r9
    beq 1f
    ldmia r0!, {r4-r7}
    mov pc, r10
1:  mov r3, r8
    ldr r1, [r3, #SUMS_STEP]
    add r12, r1
    ldr r1, [sp, #LEFT]
    subs r1, r1, #1
    str r1, [sp, #LEFT]
    beq 2f
    b next
2:  add sp, #4 * WORDS + 12
    RESTORE
#endif
