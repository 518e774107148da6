#define MICROPY_CONFIG_ROM_LEVEL (MICROPY_CONFIG_ROM_LEVEL_EXTRA_FEATURES)
#include "variants/mpconfigvariant_common.h"

// Ctrl-C is raised by the virtual machine between two bytecodes, as on a board, not in the middle of C code.
#undef MICROPY_ASYNC_KBD_INTR
#define MICROPY_ASYNC_KBD_INTR (0)

#undef MICROPY_VFS_ROM_IOCTL
#define MICROPY_VFS_ROM_IOCTL (1)

#define MICROPY_BANNER_MACHINE "unix serial board [" MICROPY_PY_SYS_PLATFORM "]"

// pyexec.c calls these around every piece of Python it runs.
void board_before_exec(int is_friendly);
void board_after_exec(void);
#define MICROPY_BOARD_BEFORE_PYTHON_EXEC(input_kind, exec_flags)                                                       \
    board_before_exec((input_kind) == MP_PARSE_SINGLE_INPUT)
#define MICROPY_BOARD_AFTER_PYTHON_EXEC(input_kind, exec_flags, ret_val, ret) board_after_exec()
