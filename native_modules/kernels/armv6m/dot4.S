// One pixel times four output channels, again and again, and the next pixel: the inner loop of convolutions. pairs.h says
// how a word makes two products, micro.h what the arguments are.
//
// The activations are unpacked once, onto the stack: words (x2, x0) and (x3, x1) of every four, the earlier one in the
// high half. The chain below meets them in that order from its end, and is entered where `words` steps are left.
// In the chain: r4-r7 sums, r3 panel, r2 activation, r0-r1 weights.
#ifdef __ARM_ARCH_6M__
#include "armv6m/m0.inc"
    .equ MAX_WORDS, 16 // TL_CHUNK
    .equ STEP_BYTES, 30
    .equ OUT, 8 // of tl_dot4_t
    .equ REACH, 16
    .equ PIXELS, 20
    .equ NEXT, 24
    .equ TAPS, 28
    .equ REQUANTS, 80 // bytes of a quad's

    .macro STEP i
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

    // tl_requant_t: saturated
    .macro REQUANTIZE x
    ldmia r3!, {r0, r1, r2}
    muls r0, \x, r0
    asrs r0, r0, #11
    muls r1, \x, r1
    adds r1, r1, r0
    asrs r1, r1, #10
    muls r2, \x, r2
    adds r2, r2, r1
    ldmia r3!, {r0, r1}
    asrs \x, r2, #31
    lsls \x, \x, #10
    adds r2, r2, \x
    adds \x, r2, r0
    asrs \x, r1
    sxtb r1, \x
    cmp r1, \x
    bne 8f
9:
    .subsection 1
8:  asrs \x, \x, #31 // negative -> -128, else 127
    movs r1, #127
    eors \x, r1
    b 9b
    .subsection 0
    .endm

FUNCTION tl_dot4
    SAVE
    push {r0-r3}
    mov r11, sp
    ldr r4, chain_end
    add r4, pc
here:
    movs r5, #STEP_BYTES
    muls r5, r1, r5
    subs r4, r4, r5
    mov r10, r4 // where to jump into the chain
pixel: // r0 - r3 as given
    ldmia r3!, {r4-r7}
    mov r9, r4 // quads left
    mov r12, r5 // start values
    mov r8, r6 // out
    mov lr, r7 // raw
    ldr r5, [r3, #PIXELS - 16]
    cmp r5, #0
    ble words
    ldr r4, [r3, #TAPS - 16]
    cmp r4, #0
    bne listed
words:
    movs r3, r2
    ldr r6, bytes_80
    ldr r7, lanes_ff
    ldr r2, lanes_80
1:  ldmia r0!, {r4} // x3 x2 x1 x0 -> stack: x2:x0 above x3:x1
    eors r4, r6
    mov r5, r4
    ands r5, r7
    subs r5, r5, r2
    lsrs r4, r4, #8
    ands r4, r7
    subs r4, r4, r2
    push {r4, r5}
    subs r1, r1, #2
    bgt 1b
    beq quad
    add sp, #4 // an odd number of words: the last one pushed is not used
    b quad
listed:
    movs r3, r2
2:  ldmia r4!, {r2, r5, r6, r7}
    ldrsb r2, [r0, r2]
    ldrsb r5, [r0, r5]
    ldrsb r6, [r0, r6]
    ldrsb r7, [r0, r7]
    lsls r6, r6, #16
    adds r6, r6, r2
    lsls r7, r7, #16
    adds r5, r5, r7
    push {r5, r6}
    subs r1, r1, #2
    bgt 2b
    beq quad
    add sp, #4
quad:
    mov r0, r12
    ldmia r0!, {r4-r7}
    mov r12, r0
    mov pc, r10
    .balign 4
chain_end:
    .word end - here - 2
bytes_80:
    .word 0x80808080
lanes_ff:
    .word 0x00ff00ff
lanes_80:
    .word 0x00800080
    .set i, MAX_WORDS - 1
    .rept MAX_WORDS
    STEP i
    .set i, i - 1
    .endr
end:
    mov r0, lr
    cmp r0, #0
    beq small
    cmp r0, #1 // TL_RAW
    bne checked
raw:
    mov r0, r8
    stmia r0!, {r4-r7}
    mov r8, r0
    mov r0, r9
    subs r0, r0, #1
    mov r9, r0
    beq raw_last
    b quad
raw_last:
    mov sp, r11
    add sp, #16
    RESTORE
beyond:
    mov r1, r8
    push {r0, r3, r4, r5, r6, r7}
    mov r2, sp
    adds r2, #8 // the sums
    mov r4, r12
    bl tl_dot4_beyond
    mov r12, r4
    pop {r0, r3, r4, r5, r6, r7}
    mov lr, r0
    adds r3, #REQUANTS
    mov r0, r8
    b stored
checked: // four sums at once
    ldr r0, [r0, #REACH]
    adds r1, r4, r0
    adds r2, r5, r0
    orrs r1, r2
    adds r2, r6, r0
    orrs r1, r2
    adds r2, r7, r0
    orrs r1, r2
    mov r0, lr
    lsrs r1, r1, #20
    bne beyond
small:
    REQUANTIZE r4
    REQUANTIZE r5
    REQUANTIZE r6
    REQUANTIZE r7
    mov r0, r8
    strb r4, [r0]
    strb r5, [r0, #1]
    strb r6, [r0, #2]
    strb r7, [r0, #3]
stored:
    adds r0, r0, #4
    mov r8, r0
    mov r0, r9
    subs r0, r0, #1
    mov r9, r0
    beq last
    b quad
last:
    mov sp, r11
    pop {r0-r3}
    ldr r4, [r3, #PIXELS]
    subs r4, r4, #1
    str r4, [r3, #PIXELS]
    ble done
    mov r4, r8
    str r4, [r3, #OUT]
    ldr r4, [r3, #NEXT]
    adds r0, r0, r4
    push {r0-r3}
    b pixel
done:
    RESTORE
#endif
