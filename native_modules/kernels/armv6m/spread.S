// One row of a depthwise kernel, three taps of it: what each gradient of a row adds to three sums, channel by channel.
// m0_grad.h says what the arguments are. r0 gradient, r1 sum, r2 and r3 bytes to the second and third, r8-r10 weights
#ifdef __ARM_ARCH_6M__
#include "armv6m/m0.inc"
    .equ GRADIENT, 0
    .equ SUM, 4
    .equ WEIGHT, 8
    .equ D, 12

    .macro COLUMNS load
1:  movs r5, #0
    \load r5, [r0, r5]
    add r0, r11
    mov r6, r8
    muls r6, r5, r6
    ldr r7, [r1]
    adds r7, r7, r6
    str r7, [r1]
    mov r6, r9
    muls r6, r5, r6
    ldr r7, [r1, r2]
    adds r7, r7, r6
    str r7, [r1, r2]
    mov r6, r10
    muls r6, r5, r6
    ldr r7, [r1, r3]
    adds r7, r7, r6
    str r7, [r1, r3]
    adds r1, r1, r4
    cmp r0, lr
    bne 1b
    .endm
    .macro WEIGHT to // the next of the taps; 0 where there is none
    movs r5, #0
    ldrsb r5, [r6, r5]
    adds r6, r6, r7
    mov \to, r5
    .endm

FUNCTION tl_m0_spread
    SAVE
    push {r0-r3}
    mov r12, r3
channel:
    mov r7, r12
    ldr r3, [r7, #0] // channels left
    subs r3, r3, #1
    bmi done
    str r3, [r7, #0]
    ldr r3, [r7, #4] // taps
    ldr r6, [sp, #WEIGHT]
    movs r5, #0
    mov r9, r5
    mov r10, r5
    ldr r7, [r7, #8] // bytes from weight to weight
    WEIGHT r8
    cmp r3, #2
    blt 2f
    WEIGHT r9
    cmp r3, #3
    blt 2f
    WEIGHT r10
2:  mov r7, r12
    ldr r2, [r7, #12]
    ldr r3, [r7, #16]
    ldr r4, [r7, #20] // sums from gradient to gradient
    ldr r5, [r7, #24] // gradients' step
    mov r11, r5
    ldr r0, [sp, #GRADIENT]
    ldr r5, [r7, #28] // bytes of a row
    adds r5, r5, r0
    mov lr, r5
    ldr r1, [sp, #SUM]
#if !TL_LEAN
    ldr r5, [r7, #32] // wide
    cmp r5, #0
    bne wide
#endif
    lsls r6, r4, #1
    cmp r3, r6
    beq near // then r2 is r4
    COLUMNS ldrsb
next:
    mov r7, r12
    ldr r0, [sp, #GRADIENT]
    ldr r5, [r7, #36] // to the next channel
    adds r0, r0, r5
    str r0, [sp, #GRADIENT]
    ldr r0, [sp, #WEIGHT]
    ldr r5, [r7, #40]
    adds r0, r0, r5
    str r0, [sp, #WEIGHT]
    ldr r0, [sp, #SUM]
    adds r0, r0, #4
    str r0, [sp, #SUM]
    b channel
done:
    add sp, #16
    RESTORE
near: // r6 and r7 the two sums that the next gradient adds to, too
    mov r12, r4
    ldr r6, [r1]
    ldr r7, [r1, r4]
1:  movs r4, #0
    ldrsb r5, [r0, r4]
    add r0, r11
    ldr r2, [r1, r3]
    mov r4, r8
    muls r4, r5, r4
    adds r6, r6, r4
    str r6, [r1]
    mov r4, r9
    muls r4, r5, r4
    adds r6, r7, r4
    mov r4, r10
    muls r4, r5, r4
    adds r7, r2, r4
    add r1, r12
    cmp r0, lr
    bne 1b
    mov r4, r12
    str r6, [r1]
    str r7, [r1, r4]
    ldr r7, [sp, #D]
    mov r12, r7
    b next
#if !TL_LEAN
wide:
    COLUMNS ldrsh
    b next
#endif
#endif
