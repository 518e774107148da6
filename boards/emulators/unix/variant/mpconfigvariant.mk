# MicroPython's unix port as a board on a serial port: the standard variant without what needs other projects' libraries,
# with the bare-metal ports' REPL (raw REPL, raw paste, soft reset), which the unix port itself has only from 1.27 on.
MICROPY_PY_SSL = 0
MICROPY_SSL_MBEDTLS = 0
MICROPY_PY_BTREE = 0
MICROPY_PY_FFI = 0
FROZEN_MANIFEST =

SHARED_SRC_C_EXTRA += runtime/pyexec.c
SRC_C += $(abspath $(VARIANT_DIR)/../../common/romfs.c)
INC += -I$(VARIANT_DIR)/../../common

# board.c replaces these two: Ctrl-C comes from the serial line, and ROMFS is a file in the board's state directory.
LDFLAGS_EXTRA += -Wl,--wrap=mp_hal_set_interrupt_char -Wl,--wrap=mp_vfs_rom_ioctl
