// dx of a dense layer straight from its weights, four inputs at a time: a panel would be used only once. m0_grad.h says
// what the arguments are. r8-r11 sums, r4 gradient's pointer, r5 gradient, r6 weight's, r7 to the next row
#ifdef __ARM_ARCH_6M__
#include "armv6m/m0.inc"

    .macro ROW // of aligned weights
    ldr r3, [r6]
    adds r6, r6, r7
    ldmia r4!, {r5}
    sxtb r0, r3
    muls r0, r5, r0
    add r8, r0
    lsls r1, r3, #16
    asrs r1, r1, #24
    muls r1, r5, r1
    add r9, r1
    lsls r2, r3, #8
    asrs r2, r2, #24
    muls r2, r5, r2
    add r10, r2
    asrs r3, r3, #24
    muls r3, r5, r3
    add r11, r3
    .endm
    .macro ROW_OF_BYTES
    ldmia r4!, {r5}
    movs r0, #0
    ldrsb r0, [r6, r0]
    movs r1, #1
    ldrsb r1, [r6, r1]
    movs r2, #2
    ldrsb r2, [r6, r2]
    movs r3, #3
    ldrsb r3, [r6, r3]
    adds r6, r6, r7
    muls r0, r5, r0
    add r8, r0
    muls r1, r5, r1
    add r9, r1
    muls r2, r5, r2
    add r10, r2
    muls r3, r5, r3
    add r11, r3
    .endm

FUNCTION tl_m0_dense_grad
    SAVE
    ldmia r3!, {r4-r7}
    push {r0, r1, r2, r4, r6, r7} // sums, weights, gradients, their end, inputs left, bytes
    mov r12, r4
    mov r7, r5
four:
    movs r0, #0
    mov r8, r0
    mov r9, r0
    mov r10, r0
    mov r11, r0
    ldr r4, [sp, #8]
    ldr r6, [sp, #4]
    ldr r0, [sp, #20]
    cmp r0, #0
    bne bytes
words:
    ROW
    cmp r4, r12
    bne words
    b done
bytes:
    ROW_OF_BYTES
    cmp r4, r12
    bne bytes
done:
    ldr r4, [sp]
    mov r0, r8
    mov r1, r9
    mov r2, r10
    mov r3, r11
    stmia r4!, {r0-r3}
    str r4, [sp]
    ldr r4, [sp, #4]
    adds r4, r4, #4
    str r4, [sp, #4]
    ldr r4, [sp, #16]
    subs r4, r4, #1
    str r4, [sp, #16]
    bne four
    add sp, #24
    RESTORE
#endif
