#include <alloca.h>
#include <stdint.h>

#define MICROPY_CONFIG_ROM_LEVEL (MICROPY_CONFIG_ROM_LEVEL_EXTRA_FEATURES)

#define MICROPY_HW_BOARD_NAME BOARD_NAME
#define MICROPY_PY_SYS_PLATFORM "qemu"
#define MICROPY_ENABLE_GC (1)
#define MICROPY_LONGINT_IMPL (MICROPY_LONGINT_IMPL_MPZ)
#define MICROPY_FLOAT_IMPL (MICROPY_FLOAT_IMPL_FLOAT)
#define MICROPY_ENABLE_EMERGENCY_EXCEPTION_BUF (1)
#define MICROPY_MEM_STATS (0)

// Native modules
#define MICROPY_PERSISTENT_CODE_LOAD (1)
#if defined(__thumb__)
#define MICROPY_EMIT_THUMB (1)
#define MICROPY_EMIT_INLINE_THUMB (1)
#define MICROPY_MAKE_POINTER_CALLABLE(p) ((void *)((mp_uint_t)(p) | 1))
#elif defined(__riscv)
#define MICROPY_EMIT_RV32 (1)
#define MICROPY_EMIT_INLINE_RV32 (1)
#endif

// Files
#define MICROPY_VFS (1)
#define MICROPY_READER_VFS (1)
#define MICROPY_VFS_ROM (1)
#define MICROPY_VFS_ROM_IOCTL (1)

// Modules that need hardware we do not have are left out
#define MICROPY_PY_ASYNCIO (0)
#define MICROPY_PY_MACHINE (0)
#define MICROPY_PY_TIME (1)
#define MICROPY_PY_TIME_GMTIME_LOCALTIME_MKTIME (0)
#define MICROPY_PY_TIME_TIME_TIME_NS (0)

// Ctrl-C reaches a program that never waits for input: the virtual machine looks at the serial line every so often
#define BYTECODES_BETWEEN_POLLS (1024)
#define MICROPY_VM_HOOK_INIT static uint32_t vm_hook_countdown = BYTECODES_BETWEEN_POLLS;
#define MICROPY_VM_HOOK_LOOP                                                                                           \
    if (--vm_hook_countdown == 0) {                                                                                    \
        extern void board_poll_serial(void);                                                                           \
        vm_hook_countdown = BYTECODES_BETWEEN_POLLS;                                                                   \
        board_poll_serial();                                                                                           \
    }
#define MICROPY_VM_HOOK_RETURN MICROPY_VM_HOOK_LOOP
#define MICROPY_INTERNAL_EVENT_HOOK board_poll_serial()

typedef int32_t mp_int_t;
typedef uint32_t mp_uint_t;
typedef long mp_off_t;
#define MP_SSIZE_MAX (0x7fffffff)

// We need an implementation of the log2 function which is not a macro.
#define MP_NEED_LOG2 (1)
#define MP_STATE_PORT MP_STATE_VM
