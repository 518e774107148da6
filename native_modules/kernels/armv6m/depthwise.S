// Depthwise convolutions, straight on NHWC, channel by channel: down their columns (slide.S), or region by region. There
// the taps that its outputs see are listed with their weights, and meet two outputs at a time. micro.h says what the
// arguments are.
#ifdef __ARM_ARCH_6M__
#include "armv6m/m0.inc"

    .equ BEGIN, 20 // of tl_depthwise_t, which begins with its tl_requant_t
    .equ START, 24
    .equ X_STEP, 28
    .equ Y_BYTES, 32
    .equ BIAS, 36
    .equ REGIONS, 40
    .equ REGIONS_END, 44
    .equ X, 48
    .equ W, 52
    .equ Y, 56
    .equ B, 60
    .equ MULT, 64
    .equ SHIFT, 68
    .equ CHANNELS, 72
    .equ PART, 76
    .equ OUT_C, 80
    .equ IN_C, 84
    .equ X_ZERO, 88
    .equ Y_ZERO, 92
    .equ HOW, 96
    .equ COLUMNS, 100
    .equ SLIDE, 148
    .equ SLIDE_START, 0 // of tl_slide_t
    .equ SLIDE_TOP, 4
    .equ SLIDE_BOTTOM, 8
    .equ SLIDE_W22, 12
    .equ SLIDE_REQUANT, 16
    .equ SLIDE_OUT, 36
    .equ SLIDE_W, 64
    .equ SLIDE_W02, 76
    .equ SLIDE_W12, 80

    .macro KERNEL_ROW pair, right // of tl_slide_t; r3 their sum
    ldmia r5!, {r0, r1, r2}
    adds r3, r0, r1
    adds r3, r3, r2
    lsls r0, r0, #16
    adds r0, r0, r1
    str r0, [r4, #\pair]
    str r2, [r4, #\right]
    .endm

    .macro FINISH saturate // r0 = r2 by tl_requant_t at r7
    ldmia r7!, {r0, r1, r3}
    muls r0, r2, r0
    asrs r0, r0, #11
    muls r1, r2, r1
    adds r1, r1, r0
    asrs r1, r1, #10
    muls r3, r2, r3
    adds r0, r3, r1
    asrs r1, r0, #31
    lsls r1, r1, #10
    adds r0, r0, r1
    ldmia r7!, {r1, r3}
    adds r0, r0, r1
    asrs r0, r3
    sxtb r1, r0
    cmp r1, r0
    bne \saturate
    .endm

FUNCTION tl_depthwise
    SAVE
    movs r7, r0
channel:
    movs r6, r7
    adds r6, #B
    ldmia r6!, {r0, r3, r5}
    movs r4, #0
    ldrsb r2, [r5, r4]
    adds r5, r5, #1
    ldmia r3!, {r1}
    cmp r0, #0
    beq 1f
    ldmia r0!, {r4}
1:  subs r6, #12
    stmia r6!, {r0, r3, r5}
    cmp r2, #0
    bne 1f
    movs r0, #1
    lsls r0, r0, #19 // TL_LIFT
    adds r4, r4, r0
1:  str r4, [r7, #BIAS]
    ldr r3, [r7, #Y_ZERO]
    movs r0, r7
    bl tl_requant
    ldr r6, [r7, #REGIONS]
    ldr r0, [r7, #HOW]
    subs r0, #1
    bmi region // TL_REGIONS
    bne line
    b slide

line: // r6 x, r4 a pixel, r2 sum of the output before it, r5 of its own; r8, r10, r11 weights, r9 from x to x, r12 from x
      // to the output before it, lr end of x
    ldr r6, [r7, #W]
    ldr r0, [r7, #IN_C]
    mov r9, r0
    movs r1, #0
    ldrsb r2, [r6, r1]
    mov r8, r2
    adds r6, r6, r0
    ldrsb r3, [r6, r1]
    mov r10, r3
    ldrsb r4, [r6, r0]
    mov r11, r4
    ldr r6, [r7, #X_ZERO]
    muls r2, r6, r2
    muls r3, r6, r3
    muls r4, r6, r4
    str r4, [r7, #X_STEP] // what the last output has too little
    ldr r5, [r7, #BIAS]
    subs r5, r5, r3
    subs r5, r5, r4
    subs r4, r5, r2
    str r4, [r7, #START]
    ldr r6, [r7, #X]
    ldr r3, [r7, #Y_BYTES]
    adds r3, r3, r6
    mov lr, r3
    ldr r3, [r7, #Y]
    subs r3, r3, r6
    subs r3, r3, r0
    mov r12, r3
    ldrsb r4, [r6, r1]
    b advance
line_last:
    ldr r0, [r7, #X_STEP]
    adds r2, r2, r0
    b line_finish
line_saturate:
    asrs r0, r0, #31
    movs r1, #127
    eors r0, r1
    b line_store
pixel:
    movs r4, #0
    ldrsb r4, [r6, r4]
    mov r0, r11
    muls r0, r4, r0
    adds r2, r2, r0
line_finish:
    FINISH line_saturate
line_store:
    subs r7, #20
    mov r1, r12
    strb r0, [r6, r1]
advance:
    mov r2, r10
    muls r2, r4, r2
    adds r2, r2, r5
    mov r0, r8
    muls r0, r4, r0
    ldr r5, [r7, #START]
    adds r5, r5, r0
    add r6, r9
    cmp r6, lr
    blo pixel
    beq line_last
    b next_channel

region:
    mov r9, r7
    ldmia r6!, {r1-r5} // taps in a row, end of the list, the first one's weight, behind a row of weights, of x
    push {r6}
    mov r8, r2
    mov r11, r4
    mov r12, r5
    ldr r0, [r7, #W]
    adds r3, r3, r0
    ldr r0, [r7, #OUT_C]
    mov r10, r0
    ldr r0, [r7, #IN_C]
    mov lr, r0
    ldr r2, [r7, #BEGIN]
    movs r4, #0 // bytes from the first tap
    movs r7, #0 // sum of the weights
row:
    movs r6, r1
1:  movs r5, #0
    ldrsb r5, [r3, r5]
    stmia r2!, {r4, r5}
    adds r7, r7, r5
    add r3, r10
    add r4, lr
    subs r6, r6, #1
    bne 1b
    add r3, r11
    add r4, r12
    cmp r2, r8
    bne row
    movs r5, r7
    mov r7, r9
    ldr r0, [r7, #X_ZERO]
    muls r5, r0, r5
    ldr r0, [r7, #BIAS]
    subs r0, r0, r5
    str r0, [r7, #START]
    pop {r6}
    ldmia r6!, {r0, r4, r5} // skip, the first window, the first output
    adr r1, tap
    adds r0, r0, r1
    adds r0, #1
    mov r12, r0 // where a multiple of three is reached
    ldr r0, [r7, #X]
    adds r4, r4, r0
    ldr r0, [r7, #Y]
    adds r5, r5, r0
    ldmia r6!, {r0-r3} // outputs of a run, from window to window, from output to output; runs
    muls r0, r2, r0
    str r0, [r7, #Y_BYTES]
    str r1, [r7, #X_STEP]
    mov lr, r2
run: // r6, r7 the two windows, r2, r5 their sums, r4 taps, r10 y, r11 its end
    push {r3-r6}
    movs r6, r4
    mov r10, r5
    ldr r0, [r7, #Y_BYTES]
    adds r0, r0, r5
    mov r11, r0
two:
    mov r3, r9
    ldr r7, [r3, #X_STEP]
    adds r7, r7, r6
    mov r0, r10
    add r0, lr
    cmp r0, r11
    bne 1f
    movs r7, r6 // there is no second one
1:  ldr r2, [r3, #START]
    movs r5, r2
    ldr r4, [r3, #BEGIN]
    bx r12
    .balign 4
tap:
    .rept 3
    ldmia r4!, {r0, r1}
    ldrsb r3, [r7, r0]
    ldrsb r0, [r6, r0]
    muls r3, r1, r3
    adds r5, r5, r3
    muls r0, r1, r0
    adds r2, r2, r0
    .endr
    cmp r4, r8
    bne tap
    mov r3, r9
    ldr r6, [r3, #X_STEP]
    adds r6, r6, r7
finish:
    mov r7, r9
    FINISH saturate
store:
    mov r1, r10
    strb r0, [r1]
    add r10, lr
    cmp r10, r11
    beq end_of_run
    movs r2, r5 // the second one
    cmp r4, #0
    beq two
    movs r4, #0
    b finish
saturate:
    asrs r0, r0, #31
    movs r1, #127
    eors r0, r1
    b store
end_of_run:
    pop {r3-r6}
    mov r7, r9
    ldmia r6!, {r0, r1} // to the next run's
    adds r4, r4, r0
    adds r5, r5, r1
    subs r3, r3, #1
    beq 1f
    subs r6, #8
    b run
1:  ldr r0, [r7, #REGIONS_END]
    cmp r6, r0
    beq next_channel
    b region
next_channel:
    movs r3, r7
    adds r3, #X
    ldmia r3!, {r0, r1, r2}
    ldr r4, [r7, #PART] // of the output channels that read the same x
    ldr r5, [r7, #IN_C]
    adds r4, r4, r5
    ldr r5, [r7, #OUT_C]
    cmp r4, r5
    bne 1f
    adds r0, r0, #1
    movs r4, #0
1:  str r4, [r7, #PART]
    adds r1, r1, #1
    adds r2, r2, #1
    subs r3, #12
    stmia r3!, {r0, r1, r2}
    ldr r0, [r7, #CHANNELS]
    subs r0, r0, #1
    str r0, [r7, #CHANNELS]
    beq 1f
    b channel
1:  RESTORE

slide: // r4 tl_slide_t, r5 kernel, r6 tl_columns_t, r10, r11 sums of the kernel's upper rows
    movs r6, r7
    movs r4, r7
    adds r4, #SLIDE + SLIDE_REQUANT
    ldmia r6!, {r0, r1, r2, r3, r5}
    stmia r4!, {r0, r1, r2, r3, r5}
    subs r4, #SLIDE_REQUANT + 20
    sub sp, #60 // the kernel's rows, a 0 on either side
    mov r5, sp
    ldr r3, [r7, #W]
    ldr r6, [r7, #OUT_C]
    movs r2, #3
    movs r0, #0
1:  stmia r5!, {r0}
    .rept 3
    ldrsb r1, [r3, r0]
    adds r3, r3, r6
    stmia r5!, {r1}
    .endr
    stmia r5!, {r0}
    subs r2, r2, #1
    bne 1b
    mov r5, sp
    adds r5, #8
    movs r6, r7
    adds r6, #COLUMNS
columns:
    ldmia r6!, {r0-r3}
    mov r8, r3
    movs r3, r4
    adds r3, #SLIDE_OUT
    stmia r3!, {r0-r2}
    KERNEL_ROW SLIDE_W, SLIDE_W02
    mov r10, r3
    adds r5, #8
    KERNEL_ROW SLIDE_W + 4, SLIDE_W12
    mov r11, r3
    adds r5, #8
    KERNEL_ROW SLIDE_W + 8, SLIDE_W22
    subs r5, #56 // the next columns' kernel is one to the left
    ldr r2, [r7, #X_ZERO]
    ldr r1, [r7, #BIAS]
    muls r3, r2, r3
    str r3, [r4, #SLIDE_BOTTOM]
    subs r1, r1, r3
    mov r0, r11
    muls r0, r2, r0
    subs r1, r1, r0
    str r1, [r4, #SLIDE_TOP]
    mov r0, r10
    muls r0, r2, r0
    subs r1, r1, r0
    str r1, [r4, #SLIDE_START]
    ldr r0, [r7, #X]
    add r0, r8
    movs r1, r4
    bl tl_slide
    movs r0, r7
    adds r0, #SLIDE // ends the columns
    cmp r6, r0
    bne columns
    add sp, #60
    b next_channel
#endif
