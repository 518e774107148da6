// Depthwise 3x3, stride 1, one pixel of padding left and right: down each column of one channel, straight on NHWC.
// Each input row meets three outputs at once: it ends one (kernel row 2), continues one (row 1) and begins one (row 0).
#ifdef __ARM_ARCH_6M__
#include "armv6m/m0.inc"

    .equ START, 0 // sum that an output begins with
    .equ START_Q, 4 // the same for the first row's output (top padding), or anything
    .equ BOTTOM, 8 // what the last row's output still lacks (bottom padding)
    .equ W2R, 12
    .equ M0, 16
    .equ M1, 20
    .equ M2, 24
    .equ C1, 28
    .equ SHIFT, 32
    .equ OUT, 36 // from the input pointer after a row to that row's finished output
    .equ OUT_LAST, 40
    .equ COLUMNS, 44
    .equ NEXT, 48 // from the end of a column to the top of the next
    .equ HEIGHT, 52 // bytes from the first to behind the last input row
    .equ WARM, 56 // rows before the first output is finished: 1 or 2
    .equ PAD, 60 // bottom padding: 0 or 1
    .equ W1R, 64

    .macro LOADX // r3 = left + (middle << 16), r4 = right; on to the next row
    movs r4, #0
    ldrsb r3, [r6, r4]
    ldrsb r5, [r6, r7]
    lsls r5, r5, #16
    adds r3, r3, r5
    adds r6, r6, r7
    ldrsb r4, [r6, r7]
    add r6, lr
    .endm
    .macro PAIR s, w
    mov r5, \w
    muls r5, r3, r5
    asrs r5, r5, #16
    adcs \s, r5
    .endm
    .macro SINGLE s // times r5
    muls r5, r4, r5
    adds \s, \s, r5
    .endm
    .macro FINISH s, out, sat // tl_requant_t: saturated, stored
    add r5, sp, #M0
    ldmia r5, {r3, r4, r5}
    muls r3, \s, r3
    asrs r3, r3, #11
    muls r4, \s, r4
    adds r4, r4, r3
    asrs r4, r4, #10
    muls r5, \s, r5
    adds r5, r5, r4
    asrs r3, r5, #31
    lsls r3, r3, #10
    adds r5, r5, r3
    ldr r4, [sp, #C1]
    adds r5, r5, r4
    ldr r4, [sp, #SHIFT]
    asrs r5, r4
    sxtb r4, r5
    cmp r4, r5
    bne \sat
back_\sat:
    ldr r4, [sp, #\out]
    strb r5, [r6, r4]
    .endm
    .macro SATURATE sat // within reach of the branch above
\sat:
    asrs r5, r5, #31
    movs r4, #127
    eors r5, r4
    b back_\sat
    .endm
    .macro BEGUN // r1 goes on with the row, r2 begins
    PAIR r1, r9
    ldr r5, [sp, #W1R]
    SINGLE r1
    ldr r2, [sp, #START]
    PAIR r2, r8
    mov r5, r11
    SINGLE r2
    .endm

FUNCTION tl_slide
    SAVE
    sub sp, #68
    mov r2, sp
    .rept 4
    ldmia r1!, {r3-r6}
    stmia r2!, {r3-r6}
    .endr
    ldmia r1!, {r2-r6}
    mov r8, r2
    mov r9, r3
    mov r10, r4
    mov r11, r5
    str r6, [sp, #W1R]
    ldmia r1!, {r2, r7} // step, channels
    mov lr, r2
    mov r6, r0
column:
    ldr r3, [sp, #HEIGHT]
    adds r3, r3, r6
    mov r12, r3 // where the column ends
    ldr r1, [sp, #START_Q]
    ldr r0, [sp, #WARM]
1:  LOADX
    BEGUN
    subs r0, r0, #1
    beq 2f
    movs r1, r2
    b 1b
row: // r0 ends with the row
    LOADX
    PAIR r0, r10
    ldr r5, [sp, #W2R]
    SINGLE r0
    BEGUN
    FINISH r0, OUT, sat
2:  movs r0, r1
    movs r1, r2
    cmp r6, r12
    bne row
    // the row before was the last: its middle sum is the bottom output, still without kernel row 2
    ldr r3, [sp, #PAD]
    cmp r3, #0
    beq 3f
    ldr r3, [sp, #BOTTOM]
    adds r0, r0, r3
    FINISH r0, OUT_LAST, sat_last
3:  ldr r3, [sp, #NEXT]
    adds r6, r6, r3
    ldr r3, [sp, #COLUMNS]
    subs r3, r3, #1
    str r3, [sp, #COLUMNS]
    beq 4f
    b column
    SATURATE sat
    SATURATE sat_last
4:  add sp, #68
    RESTORE
#endif
