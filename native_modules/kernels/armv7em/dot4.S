// One pixel times four output channels, again and again: the inner loop of convolutions (micro.h). The activations are
// unpacked once, onto the stack: words (x2, x0) and (x3, x1) of every four. Per two of them eight SMLADs.
#if defined(__ARM_FEATURE_DSP) && defined(__ARM_ARCH_PROFILE) && __ARM_ARCH_PROFILE == 'M'
#include "function.inc"
    .syntax unified
    .thumb
    .equ WORDS, 256 // behind TL_CHUNK activations
    .equ QUADS, 260
    .equ OUT, 264
    .equ RAW, 268
    .equ FRAME, 272

    // r0-r3 weights, r6 activations, r8-r11 sums, r12 start values, lr panel
    .macro STEP x
    ldmia lr!, {r0-r3}
    smlad r8, \x, r0, r8
    smlad r9, \x, r1, r9
    smlad r10, \x, r2, r10
    smlad r11, \x, r3, r11
    .endm
    .macro PAIR
    ldrd r4, r5, [r6], #8
    STEP r4
    STEP r5
    .endm

    // tl_requant_t, saturated, stored at r5. 2 * sum * mult, rounded, has the first rounding's result in its high word.
    .macro REQUANTIZE sum
    ldmia lr!, {r0-r4}
    lsl \sum, \sum, #1
    smmulr \sum, \sum, r0
    add \sum, \sum, \sum, asr #31
    add \sum, \sum, r1
    asr \sum, \sum, r2
    ssat \sum, #8, \sum
    strb \sum, [r5], #1
    .endm

FUNCTION tl_dot4
    push {r4-r11, lr}
    sub sp, sp, #FRAME
    ldmia r3, {r4, r5, r6, r7}
    str r1, [sp, #WORDS]
    str r4, [sp, #QUADS]
    str r6, [sp, #OUT]
    str r7, [sp, #RAW]
    mov r12, r5
    mov lr, r2
    mov r3, sp
1:  ldr r2, [r0], #4
    sxtb16 r4, r2
    sxtb16 r5, r2, ror #8
    strd r4, r5, [r3], #8
    subs r1, r1, #2
    bgt 1b
quad:
    ldmia r12!, {r8-r11}
    mov r6, sp
    ldr r7, [sp, #WORDS]
    lsrs r7, r7, #2 // carry: the number of pairs is odd
    adc r7, r7, #0
    cbz r7, one // one word is no pair
    bcs 3f
2:  PAIR
3:  PAIR
    subs r7, r7, #1
    bne 2b
    ldr r7, [sp, #WORDS]
    lsls r7, r7, #31
    beq 4f
one:
    ldr r4, [r6]
    STEP r4
4:  ldr r6, [sp, #RAW]
    ldr r5, [sp, #OUT]
    cbz r6, 5f
    stmia r5!, {r8-r11}
    b 6f
5:  REQUANTIZE r8
    REQUANTIZE r9
    REQUANTIZE r10
    REQUANTIZE r11
6:  str r5, [sp, #OUT]
    ldr r0, [sp, #QUADS]
    subs r0, r0, #1
    str r0, [sp, #QUADS]
    bne quad
    add sp, sp, #FRAME
    pop {r4-r11, pc}
#endif
