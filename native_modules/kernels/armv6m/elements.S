// Element by element through gradients: ../elements.h says what each function does. Where a value may be a byte or a
// halfword, there is a loop for each.
#ifdef __ARM_ARCH_6M__
#include "armv6m/m0.inc"

FUNCTION tl_fill // r0 v, r1 how many, r2 value
    push {r4, r5, lr}
    movs r3, r2
    movs r4, r2
    movs r5, r2
    b 2f
1:  stmia r0!, {r2-r5}
    stmia r0!, {r2-r5}
2:  subs r1, r1, #8
    bge 1b
    adds r1, #8
    b 4f
3:  stmia r0!, {r2}
4:  subs r1, r1, #1
    bge 3b
    pop {r4, r5, pc}

    .macro LIES v // so far all do in +-limit; r2 = limit - off, r3 = 2 * limit
    adds \v, \v, r2
    cmp \v, r3
    bhi 9f
8:
    .subsection 1
9:  subs r7, \v, r2
    bl grow
    b 8b
    .subsection 0
    .endm
    .macro SIZE v // |v - off| among all in r3
    subs \v, \v, r2
    asrs r7, \v, #31
    eors \v, r7
    subs \v, \v, r7
    orrs r3, \v
    .endm
FUNCTION tl_top_bits // r0 v, r1 end, r12 all sizes, rounded up; [sp] off
    push {r2, r4-r7, lr}
    subs r3, r1, r0
    cmp r3, #255
    bls short_row
    rsbs r2, r2, #0
    movs r3, #0
    mov r12, r3
    subs r1, #12 // less than twelve bytes left: one by one
    b 2f
1:  ldmia r0!, {r4, r5, r6}
    LIES r4
    LIES r5
    LIES r6
2:  cmp r0, r1
    bls 1b
    adds r1, #12
    b 4f
3:  ldmia r0!, {r4}
    LIES r4
4:  cmp r0, r1
    bne 3b
    mov r3, r12
count:
    movs r0, #0
    b 6f
5:  movs r3, r4
    adds r0, #8
6:  lsrs r4, r3, #8
    bne 5b
    b 8f
7:  lsrs r3, r3, #1
    adds r0, #1
8:  cmp r3, #0
    bne 7b
    pop {r2, r4-r7, pc}
grow: // to the bits of |r7 - off|, and of those before: ones from the first on
    ldr r2, [sp]
    subs r7, r7, r2
    asrs r2, r7, #31
    eors r7, r2
    subs r7, r7, r2
    mov r2, r12
    orrs r7, r2
    .irp n, 1, 2, 4, 8, 16
    lsrs r2, r7, #\n
    orrs r7, r2
    .endr
    mov r12, r7
    lsls r3, r7, #1
    ldr r2, [sp]
    subs r2, r7, r2
    bx lr
short_row: // growing costs more than taking all sizes together and counting bits once
    movs r3, #0
    subs r1, #12
    b 2f
1:  ldmia r0!, {r4, r5, r6}
    SIZE r4
    SIZE r5
    SIZE r6
2:  cmp r0, r1
    bls 1b
    adds r1, #12
    b 4f
3:  ldmia r0!, {r4}
    SIZE r4
4:  cmp r0, r1
    bne 3b
    b count

    .macro MASK bits // of a word of four bytes
    muls \bits, r4, \bits
    ands \bits, r5
    lsls r7, \bits, #8
    subs r7, r7, \bits
    ldr r6, [r0]
    ands r6, r7
    stmia r0!, {r6}
    .endm
FUNCTION tl_m0_mask // r0 at, r1 end, r2 mask
    push {r4-r7, lr}
    ldr r4, spread
    ldr r5, ones
    b 2f
1:  ldrb r3, [r2]
    adds r2, #1
    movs r6, #15
    ands r6, r3
    lsrs r3, r3, #4
    MASK r6
    MASK r3
2:  cmp r0, r1
    bne 1b
    pop {r4-r7, pc}
    .balign 4
spread:
    .word 0x00204081 // bit i of four to bit 8 * i, and others
ones:
    .word 0x01010101

    .macro BY_WIDTH width // a lean module (gradient.h) has bytes only
#if !TL_LEAN
    cmp \width, #8
    bne 6f
#endif
    .endm
    .macro SUM load
1:  \load r6, [r0, r4]
    adds r5, r5, r6
    adds r0, r0, r2
    cmp r0, r1
    bne 1b
    movs r0, r5
    pop {r4-r7, pc}
    .endm
FUNCTION tl_sum_apart // r0 at, r1 end, r2 step, r5 result
    push {r4-r7, lr}
    movs r4, #0
    movs r5, #0
    BY_WIDTH r3
    SUM ldrsb
#if !TL_LEAN
6:  SUM ldrsh
#endif

    .macro MOST load // r5 the largest so far, r7 twice as much: within it while g + r5 <= r7, unsigned
1:  \load r6, [r0, r4]
    adds r3, r6, r5
    cmp r3, r7
    bhi 3f
2:  adds r0, r0, r2
    cmp r0, r1
    bne 1b
    movs r0, r5
    pop {r4-r7, pc}
3:  asrs r5, r6, #31
    eors r6, r5
    subs r5, r6, r5
    lsls r7, r5, #1
    b 2b
    .endm
FUNCTION tl_most_apart // r0 at, r1 end, r2 step
    push {r4-r7, lr}
    movs r4, #0
    movs r5, #0
    movs r7, #0
    BY_WIDTH r3
    MOST ldrsb
#if !TL_LEAN
6:  MOST ldrsh
#endif

    .macro SHIFT n // r6 to the right by r3, to nearest, within +-r5; r8 = 2 * r5, r12 half of what is cut
    add r6, r12
    asrs r6, r3
    adds r7, r6, r5
    cmp r7, r8
    bhi beyond_\n
back_\n:
    .endm
    .macro LIMIT n
beyond_\n:
    asrs r7, r6, #31
    movs r6, r5
    eors r6, r7
    subs r6, r6, r7
    b back_\n
    .endm
    .macro SCALE load, store
1:  \load r6, [r0, r1]
    muls r6, r4, r6
    SHIFT \store
    \store r6, [r0]
    adds r0, r0, r2
    cmp r0, r9
    bne 1b
    b scaled
    LIMIT \store
    .endm
    .macro ONE store, size, i
    ldmia r2!, {r6}
    SHIFT \store\()_\i
    \store r6, [r0, #\size * (\i % 2)]
    .endm
    .macro NARROW store, size // two by two, as long as there are
    b 2f
1:  ONE \store, \size, 0
    ONE \store, \size, 1
    adds r0, #2 * \size
2:  adds r7, r0, #2 * \size
    cmp r7, r9
    bls 1b
    cmp r0, r9
    beq 3f
    ONE \store, \size, 2
3:  b scaled
    LIMIT \store\()_0
    LIMIT \store\()_1
    LIMIT \store\()_2
    .endm
    .macro THROUGH // r4 mantissa, r3 shift, r5 limit, r8 twice as much, r9 end, r12 half; r1 0
    push {r4-r7, lr}
    mov r4, r8
    mov r5, r9
    push {r4, r5}
    mov r9, r1
    ldr r7, [sp, #28]
    ldmia r7!, {r4, r5, r6}
#if !TL_LEAN
    mov r7, r3
#endif
    rsbs r3, r5, #0
    movs r1, #1
    lsls r1, r3
    lsrs r1, r1, #1
    mov r12, r1
    mov r5, r6
    lsls r6, r6, #1
    mov r8, r6
    movs r1, #0
    BY_WIDTH r7
    .endm
FUNCTION tl_m0_scale_apart // by: -30 .. -1; of tl_m0_narrow so little that half of what is cut can be added first
    THROUGH
    SCALE ldrsb, strb
#if !TL_LEAN
6:  SCALE ldrsh, strh
#endif
    .balign 4
    .global tl_m0_narrow
    .thumb_func
tl_m0_narrow:
    THROUGH
    NARROW strb, 1
#if !TL_LEAN
6:  NARROW strh, 2
#endif
scaled:
    pop {r4, r5}
    mov r8, r4
    mov r9, r5
    pop {r4-r7, pc}
#endif
