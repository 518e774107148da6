// The fixed addresses of the ROM: vectors, header, and the tables that the pico-sdk searches by two-letter code.
    .syntax unified
    .cpu cortex-m0plus
    .thumb

    .macro entry a, b, address
    .byte \a, \b
    .hword \address
    .endm
    .macro function a, b, name
    entry \a, \b, \name + 1
    .endm

    .section .header, "a"
    .word 0x20041f00            // 0x00 stack
    .word reset                 // 0x04
    .word trap                  // 0x08 NMI
    .word trap                  // 0x0c HardFault
    .byte 'M', 'u', 1, 3        // 0x10 magic and ROM version
    .hword function_table       // 0x14
    .hword data_table           // 0x16
    .hword table_lookup + 1     // 0x18

    .section .rodata.tables, "a"
    .align 2
function_table:
    function 'P', '3', popcount32
    function 'R', '3', reverse32
    function 'L', '3', clz32
    function 'T', '3', ctz32
    function 'M', 'S', memset
    function 'S', '4', memset_words
    function 'M', 'C', memcpy
    function 'C', '4', memcpy_words
    function 'I', 'F', flash_connect
    function 'E', 'X', flash_exit_xip
    function 'R', 'E', flash_range_erase
    function 'R', 'P', flash_range_program
    function 'F', 'C', flash_flush_cache
    function 'C', 'X', flash_enter_cmd_xip
    function 'U', 'B', reset_to_usb_boot
    function 'W', 'V', wait_for_vector
    function 'D', 'T', trap
    .hword 0
    .align 2
data_table:
    entry 'S', 'F', soft_float_table
    entry 'S', 'D', soft_double_table
    entry 'C', 'R', copyright
    entry 'G', 'R', revision
    .hword 0
copyright:
    .asciz "tinylearn emulated RP2040"
    .align 2
revision:
    .word 0

// Each table is preceded by its length in words: .byte length, 0
    .align 2
    .hword 0
    .byte 32, 0
soft_float_table:
    .word float_add, float_sub, float_mul, float_div                                // 0x00
    .word float_compare, float_compare_flags, float_sqrt, float_to_int              // 0x10
    .word float_to_fix, float_to_uint, float_to_ufix, float_from_int                // 0x20
    .word float_from_fix, float_from_uint, float_from_ufix, float_cos               // 0x30
    .word float_sin, float_tan, float_sin, float_exp                                // 0x40
    .word float_ln, float_compare, float_atan2, float_from_int64                    // 0x50
    .word float_from_fix64, float_from_uint64, float_from_ufix64, float_to_int64    // 0x60
    .word float_to_fix64, float_to_uint64, float_to_ufix64, float_to_double         // 0x70

    .hword 0
    .byte 32, 0
soft_double_table:
    .word double_add, double_sub, double_mul, double_div
    .word double_compare, double_compare_flags, double_sqrt, double_to_int
    .word double_to_fix, double_to_uint, double_to_ufix, double_from_int
    .word double_from_fix, double_from_uint, double_from_ufix, double_cos
    .word double_sin, double_tan, double_sincos, double_exp
    .word double_ln, double_compare, double_atan2, double_from_int64
    .word double_from_fix64, double_from_uint64, double_from_ufix64, double_to_int64
    .word double_to_fix64, double_to_uint64, double_to_ufix64, double_to_float

    .text
// Callers of clz32 in the pico-sdk count on ip, and on r2 and r3 being the only scratch: so these two are not in C.
    .thumb_func
    .global clz32
clz32:                          // r0 = leading zeros of r0, 32 for 0
    movs r1, #32
    cmp r0, #0
    beq 2f
    movs r1, #0
1:  lsls r0, #1
    bcs 2f
    adds r1, #1
    b 1b
2:  mov r0, r1
    bx lr

    .thumb_func
    .global ctz32
ctz32:                          // r0 = trailing zeros of r0, 32 for 0
    movs r1, #32
    cmp r0, #0
    beq 2f
    movs r1, #0
1:  lsrs r0, #1
    bcs 2f
    adds r1, #1
    b 1b
2:  mov r0, r1
    bx lr

// The compare functions of ROM version 1 that answer in the flags as well
    .thumb_func
    .global float_compare_flags
float_compare_flags:
    push {lr}
    bl float_compare
    cmp r0, #0
    pop {pc}

    .thumb_func
    .global double_compare_flags
double_compare_flags:
    push {lr}
    bl double_compare
    cmp r0, #0
    pop {pc}

// The sine comes with the cosine in the next registers: r0, r1 for float and r0:r1, r2:r3 for double
    .thumb_func
    .global float_sin
float_sin:
    push {r4, lr}
    sub sp, #8
    mov r1, sp
    bl float_sincos_to
    pop {r0, r1, r4, pc}

    .thumb_func
    .global double_sincos
double_sincos:
    push {lr}
    sub sp, #20
    mov r2, sp
    bl double_sincos_to
    pop {r0-r3}
    add sp, #4
    pop {pc}

    .thumb_func
    .global trap
trap:
    movs r0, #3
    bl stop

    .thumb_func
    .global run_second_stage
run_second_stage:               // boot2 goes on to the firmware's vector table when it is called without a return address
    movs r1, #0
    mov lr, r1
    bx r0

    .thumb_func
    .global run_at
run_at:                         // r0 = address, r1 = stack
    msr msp, r1
    bx r0
