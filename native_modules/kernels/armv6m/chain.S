// Gradients times a panel, added to int32 sums: the inner loop of the way back through convolutions. micro.h says how a
// word makes two products, m0_grad.h what the arguments are. Words of one int16 make one product each, in the second chain.
//
// The gradients are copied onto the stack, where the chain that is entered `words` steps before its end finds them.
// In the chain: r4-r7 sums, r3 panel, r2 gradient, r0-r1 panel's words.
#ifdef __ARM_ARCH_6M__
#include "armv6m/m0.inc"
    .equ WORDS, 16 // TL_GRAD_CHUNK
    .equ PAIR_BYTES, 30
    .equ SINGLE_BYTES, 22

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

    .section .text.tl_m0_chain, "ax"
    .balign 4
    .global tl_m0_chain
    .thumb_func
tl_m0_chain:
    SAVE
    ldmia r3!, {r4-r6}
    mov r12, r4 // sums
    mov r9, r5 // their end
    mov lr, r6
    mov r3, r2
    sub sp, #4 * WORDS
    mov r2, sp
    .rept WORDS / 4
    ldmia r0!, {r4-r7}
    stmia r2!, {r4-r7}
    .endr
    mov r0, lr
    movs r5, #PAIR_BYTES
    ldr r4, pairs
    cmp r0, #0
    beq 1f
    movs r5, #SINGLE_BYTES
    ldr r4, singles
1:  add r4, pc
here:
    muls r5, r1, r5
    subs r4, r4, r5
    mov r10, r4 // where to jump into a chain
    mov r0, r12
    ldmia r0!, {r4-r7}
    mov pc, r10
    .balign 4
pairs:
    .word end_of_pairs - here - 2
singles:
    .word end_of_singles - here - 2
    .set i, 0
    .rept WORDS
    SINGLE i
    .set i, i + 1
    .endr
end_of_singles:
    b done
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
quad:
    ldmia r0!, {r4-r7}
    mov pc, r10
1:  add sp, #4 * WORDS
    RESTORE
#endif
