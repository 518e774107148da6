// Values that lie apart, into words: two bytes, a byte or a halfword each. panel_grad.h says what the arguments are.
// r0 to, r1 from, r2 words left, r3 bytes to the second of two, r4 step of words, r7 bytes to the first of two, lr the sum
#ifdef __ARM_ARCH_6M__
#include "armv6m/m0.inc"

FUNCTION tl_pack
    push {r4-r7, lr}
    ldmia r3!, {r4, r5, r6, r7}
    mov r12, r7 // what bytes are less, or from pair to pair
    movs r7, #0
    mov lr, r7
    mov r3, r5
    subs r6, r6, #1
    beq pairs
    bmi swapped
    subs r6, r6, #1
#if !TL_LEAN
    beq bytes
halves:
    ldrsh r5, [r1, r7]
    adds r1, r1, r3
    add lr, r5
    str r5, [r0]
    adds r0, r0, r4
    subs r2, r2, #1
    bne halves
    b done
#endif
bytes:
    mov r6, r12
1:  ldrsb r5, [r1, r7]
    adds r1, r1, r3
    subs r5, r5, r6
    add lr, r5
    str r5, [r0]
    adds r0, r0, r4
    subs r2, r2, #1
    bne 1b
    b done
swapped:
    movs r3, #0
    mov r7, r5
pairs: // two by two, from the middle of the loop where their number is odd
    .macro PAIR
    ldrsb r5, [r1, r7]
    ldrsb r6, [r1, r3]
    add r1, r12
    lsls r6, r6, #16
    adds r5, r5, r6
    add lr, r5
    str r5, [r0]
    adds r0, r0, r4
    .endm
    lsls r5, r2, #31
    bne 2f
1:  PAIR
    subs r2, r2, #1
2:  PAIR
    subs r2, r2, #1
    bne 1b
done:
    mov r0, lr
    pop {r4-r7, pc}

    .macro FOURS name // r0 to, r1 from, r3 step, lr end
FUNCTION \name
    push {r4-r7, lr}
    lsls r2, r2, #4
    adds r2, r2, r0
    mov lr, r2
    .endm
    FOURS tl_pack_pair_fours // r4 and r5 four values each, r6 and r7 words, r2 the second half of one
    lsls r2, r3, #1
    mov r12, r2
1:  ldr r4, [r1]
    ldr r5, [r1, r3]
    add r1, r12
    sxtb r6, r4
    sxtb r2, r5
    lsls r2, r2, #16
    adds r6, r6, r2
    lsls r7, r4, #16
    asrs r7, r7, #24
    lsrs r2, r5, #8
    sxtb r2, r2
    lsls r2, r2, #16
    adds r7, r7, r2
    stmia r0!, {r6, r7}
    lsls r6, r4, #8
    asrs r6, r6, #24
    lsrs r2, r5, #16
    sxtb r2, r2
    lsls r2, r2, #16
    adds r6, r6, r2
    asrs r7, r4, #24
    asrs r2, r5, #24
    lsls r2, r2, #16
    adds r7, r7, r2
    stmia r0!, {r6, r7}
    cmp r0, lr
    bne 1b
    pop {r4-r7, pc}
    FOURS tl_pack_byte_fours
1:  ldr r4, [r1]
    adds r1, r1, r3
    lsls r5, r4, #16
    asrs r5, r5, #24
    lsls r6, r4, #8
    asrs r6, r6, #24
    asrs r7, r4, #24
    sxtb r4, r4
    stmia r0!, {r4-r7}
    cmp r0, lr
    bne 1b
    pop {r4-r7, pc}
#endif
