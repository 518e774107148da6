# What the two Cortex-M boards share: Arm's MPS2 board, with 4 MB of SSRAM for the program and its heap, and 16 MB of
# PSRAM that QEMU keeps in a file and we use as flash.
CROSS_COMPILE = arm-none-eabi-
LDFLAGS += -nostdlib
LIBS = $(shell $(CC) $(MACHINE_FLAGS) -print-libgcc-file-name)
LDSCRIPT = $(PORT)/mps2.ld
FLASH_BASE = 0x21000000
LINE_BASE = 0x21ff0000
CFLAGS += -idirafter $(TOP)/ports/qemu
SRC_C += soc_mps2.c
SRC_START = ports/qemu/mcu/arm/startup.c ports/qemu/mcu/arm/errorhandler.c shared/runtime/semihosting_arm.c
SRC_ASM = shared/runtime/gchelper_native.o shared/runtime/gchelper_thumb2.o
MPY_CROSS_FLAGS += -march=armv7m
