// Dense layers: a run of every row of the weights times the same inputs, straight from 8-bit weights, since a packed
// panel would be used only once. The inputs are unpacked onto the stack as in dot4.S; micro.h says what the arguments are.
// Above them are the zero point, which meets the sum of a row's weights, both lanes of r1, 128 too much each; and bytes
// from sum to sum.
#ifdef __ARM_ARCH_6M__
#include "armv6m/m0.inc"
    .equ MAX_FOURS, 8 // TL_ROW / 4
    .equ FOUR_BYTES, 34

    .macro FOUR i // four weights; r1 their sum, r3 activation, r4 lane mask, r5 sum, r7 sign flip
    ldmia r6!, {r0}
    eors r0, r7
    lsrs r2, r0, #8
    ands r0, r4
    ands r2, r4
    adds r1, r1, r0
    adds r1, r1, r2
    add r0, r8
    add r2, r8
    ldr r3, [sp, #8 * \i + 4]
    muls r0, r3, r0
    asrs r0, r0, #16
    adcs r5, r0
    ldr r3, [sp, #8 * \i]
    muls r2, r3, r2
    asrs r2, r2, #16
    adcs r5, r2
    .endm

FUNCTION tl_dense_rows
    SAVE
    ldmia r3!, {r4-r7}
    ldr r3, [r3]
    push {r3, r7}
    mov r11, sp
    mov r12, r4 // rows left
    mov lr, r5 // to the next row
    mov r10, r6 // sums
    ldr r4, chain_end
    add r4, pc
here:
    movs r5, #FOUR_BYTES
    muls r5, r1, r5
    subs r4, r4, r5
    mov r9, r4
    mov r6, r2
    ldr r7, bytes_80
    ldr r4, lanes_ff
    ldr r5, minus_80
    mov r8, r5
1:  ldmia r0!, {r3} // x3 x2 x1 x0 -> stack: (x2, x0) above (x3, x1), the earlier one in the high half
    eors r3, r7
    lsrs r2, r3, #8
    ands r3, r4
    ands r2, r4
    movs r5, #16
    rors r3, r5
    rors r2, r5
    add r3, r8
    add r2, r8
    push {r2, r3}
    subs r1, r1, #1
    bne 1b
row:
    movs r1, #0
    mov r0, r10
    ldr r5, [r0]
    mov pc, r9
    .balign 4
chain_end:
    .word end - here - 2
bytes_80:
    .word 0x80808080
lanes_ff:
    .word 0x00ff00ff
minus_80:
    .word -0x00800080
    .set i, MAX_FOURS - 1
    .rept MAX_FOURS
    FOUR i
    .set i, i - 1
    .endr
end:
    lsrs r0, r1, #16
    uxth r1, r1
    adds r1, r1, r0
    mov r0, r11
    ldmia r0!, {r2, r3}
    muls r1, r3, r1
    subs r5, r5, r1
    mov r0, r10
    str r5, [r0]
    add r10, r2
    add r6, lr
    mov r0, r12
    subs r0, r0, #1
    mov r12, r0
    bne row_again
    mov sp, r11
    pop {r3, r7}
    RESTORE
row_again:
    b row

FUNCTION tl_m0_dot // w . (x - zero) as it is; r0 x, r1 w, r2 n, r3 zero
    push {r4-r6, lr}
    movs r4, #0
    b 2f
1:  ldrsb r5, [r0, r2]
    ldrsb r6, [r1, r2]
    subs r5, r5, r3
    muls r5, r6, r5
    adds r4, r4, r5
2:  subs r2, r2, #1
    bpl 1b
    movs r0, r4
    pop {r4-r6, pc}
#endif
