// Up to four rows of weights into a panel: micro.h says how, and what the arguments are.
// r0 w, r1 weights left, r2 p, r3 what is left of the word before, r4 four weights, r6 sign flip, r7 lane mask, lr sums,
// r8 -(128, 128), r12 rows left, r9 weights in r3 to begin with, r10 and r11 bits that a row begins and ends with in its words
#ifdef __ARM_ARCH_6M__
#include "armv6m/m0.inc"

    .macro FOUR // r4, of whose bytes the second half comes first: (2, 0) and (3, 1)
    eors r4, r6
    movs r5, #16
    rors r4, r5
    lsrs r5, r4, #8
    ands r4, r7
    ands r5, r7
    add lr, r4
    add lr, r5
    add r4, r8
    add r5, r8
    str r4, [r2]
    str r5, [r2, #16]
    adds r2, #32
    .endm

    .equ W, 0
    .equ WEIGHTS, 4
    .equ PANEL, 8
    .equ D, 12
    .equ STEP, 4 // of tl_pack_rows_t

FUNCTION tl_pack_rows
    SAVE
    push {r0-r3}
    ldr r4, [r3]
    mov r12, r4
    ldr r7, lanes_ff
    ldr r4, minus_80
    mov r8, r4
row:
    ldr r6, bytes_80
    movs r3, #0
    mov lr, r3
    movs r4, #3
    ands r4, r0
    bne apart
    b 2f
1:  ldmia r0!, {r4}
    FOUR
2:  subs r1, r1, #4
    bge 1b
    adds r1, r1, #4
    beq done
    movs r4, #0
apart: // r4 bytes before the row in its first word
    subs r0, r0, r4
    lsls r5, r4, #3
    mov r10, r5
    rsbs r3, r5, #0
    adds r3, #32
    mov r11, r3
    rsbs r4, r4, #0
    adds r4, #4
    mov r9, r4
    ldmia r0!, {r3}
    lsrs r3, r5
3:  movs r4, r3
    cmp r1, r9
    ble 4f // no word without a byte of the row is read
    ldmia r0!, {r3}
    movs r5, r3
    mov r6, r11
    lsls r5, r6
    orrs r4, r5
    mov r6, r10
    lsrs r3, r6
    ldr r6, bytes_80
4:  subs r1, r1, #4
    bge 5f
    lsls r5, r1, #3 // what lies behind the row is 0
    rsbs r5, r5, #0
    lsls r4, r5
    lsrs r4, r5
5:  FOUR
    cmp r1, #0
    bgt 3b
done:
    ldr r0, [sp, #PANEL]
    subs r2, r0, r2 // 128 for each weight
    lsls r2, r2, #4
    adds r0, r0, #4
    str r0, [sp, #PANEL]
    mov r1, lr
    lsrs r4, r1, #16
    uxth r1, r1
    adds r2, r2, r1
    adds r2, r2, r4
    ldr r6, [sp, #D]
    adds r6, #STEP
    ldmia r6!, {r1, r3}
    ldr r5, [r6]
    muls r2, r3, r2
    ldr r4, [r5]
    subs r4, r4, r2
    stmia r5!, {r4}
    str r5, [r6]
    ldr r0, [sp, #W]
    adds r0, r0, r1
    str r0, [sp, #W]
    ldr r1, [sp, #WEIGHTS]
    ldr r2, [sp, #PANEL]
    mov r4, r12
    subs r4, r4, #1
    mov r12, r4
    bne row
    add sp, #16
    RESTORE
    .balign 4
bytes_80:
    .word 0x80808080
lanes_ff:
    .word 0x00ff00ff
minus_80:
    .word -0x00800080
#endif
