// Gradients times a panel, added to int32 sums: the inner loop of the way back through convolutions. panel_grad.h says
// what the arguments are.
//
// The gradients are unpacked onto the stack, two to a word, where the chain that is entered `words` steps before its end
// finds them. In the chain: r8-r11 sums, lr panel, r4 gradients, r0-r3 the panel's words.
#if defined(__ARM_FEATURE_DSP) && defined(__ARM_ARCH_PROFILE) && __ARM_ARCH_PROFILE == 'M'
#include "function.inc"
    .syntax unified
    .thumb
    .equ CHUNK, 16 // TL_GRAD_CHUNK
    .equ STEP_BYTES, 22
    .equ FROM, 4 * CHUNK // above the gradients
    .equ OF_WORDS, FROM + 4
    .equ PANEL, FROM + 8
    .equ LEFT, FROM + 12
    .equ TO_TOTALS, FROM + 16
    .equ FRAME, FROM + 20
    .equ SUMS, 0 // of tl_chain_t
    .equ BYTES, 4
    .equ HOW, 12
    .equ COUNT, 16
    .equ STEP, 20
    .equ SUMS_STEP, 24
    .equ APART, 28
    .equ VALUES, 32
    .equ TOTALS, 36

    // r0 from, r1 values left, r2 to, r3 bytes from one to the next, r4 their sum, r10 two ones
    .macro ALL_APART load
    subs r1, r1, #2
    blt 2f
1:  \load r8, [r0]
    add r0, r0, r3
    \load r9, [r0]
    add r0, r0, r3
    pkhbt r8, r8, r9, lsl #16
    smlad r4, r8, r10, r4
    str r8, [r2], #4
    subs r1, r1, #2
    bge 1b
2:  cmp r1, #-1 // a lone last one
    bne total
    \load r8, [r0]
    add r4, r4, r8
    uxth r8, r8
    str r8, [r2]
    .endm

FUNCTION tl_chain
    push {r4-r11, lr}
    sub sp, sp, #FRAME
    mov r12, r3
    strd r0, r1, [sp, #FROM]
    str r2, [sp, #PANEL]
    ldr r5, [r12, #SUMS]
    ldr r2, [r12, #COUNT]
    ldr r3, [r12, #TOTALS]
    strd r2, r3, [sp, #LEFT]
    movs r4, #STEP_BYTES
    adr r7, end_of_chain
    mls r7, r1, r4, r7
    orr r7, r7, #1 // Thumb
next:
    ldrd r0, r1, [sp, #FROM]
    ldr r2, [r12, #STEP]
    add r2, r2, r0
    str r2, [sp, #FROM]
    rsb r2, r1, #CHUNK
    add r2, sp, r2, lsl #2 // what the chain finds
    ldr r3, [r12, #HOW]
    cmp r3, #1
    beq bytes
    blo packed
    cmp r3, #3
    blo halves
    mov r4, #0
    mov r10, #0x00010001
    ldr r1, [r12, #VALUES]
    mov r8, r3
    ldr r3, [r12, #APART]
    cmp r8, #3
    bne halves_apart
    ALL_APART ldrsb
    b total
halves_apart:
    ALL_APART ldrsh
total:
    ldr r0, [sp, #TO_TOTALS]
    cbz r0, run
    ldr r1, [r0]
    add r1, r1, r4
    str r1, [r0], #4
    str r0, [sp, #TO_TOTALS]
    b run
packed:
    mov r2, sp
    movs r1, #CHUNK
halves: // words as they lie
    ldrd r8, r9, [r0], #8
    strd r8, r9, [r2], #8
    subs r1, r1, #2
    bgt halves
    b run
bytes:
    ldr r3, [r0], #4
    sxtb16 r8, r3
    sxtb16 r9, r3, ror #8
    pkhbt r10, r8, r9, lsl #16
    pkhtb r11, r9, r8, asr #16
    strd r10, r11, [r2], #8
    subs r1, r1, #2
    bgt bytes
run:
    ldr lr, [sp, #PANEL]
    ldr r6, [r12, #BYTES]
    add r6, r6, r5 // end of the sums
quad:
    ldmia r5, {r8-r11}
    bx r7
    .balign 4
    .set i, 0
    .rept CHUNK
    ldr.n r4, [sp, #4 * i]
    ldmia.w lr!, {r0-r3}
    smlad r8, r4, r0, r8
    smlad r9, r4, r1, r9
    smlad r10, r4, r2, r10
    smlad r11, r4, r3, r11
    .set i, i + 1
    .endr
    .balign 4
end_of_chain:
    stmia r5!, {r8-r11}
    cmp r5, r6
    bne quad
    ldr r0, [r12, #SUMS_STEP]
    add r5, r5, r0
    ldr r1, [sp, #LEFT]
    subs r1, r1, #1
    str r1, [sp, #LEFT]
    bne next
    add sp, sp, #FRAME
    pop {r4-r11, pc}
#endif
