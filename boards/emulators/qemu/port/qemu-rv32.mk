# QEMU's virt machine: one RAM, which QEMU keeps in a file; its second half is our flash.
CROSS_COMPILE = riscv64-unknown-elf-
# Compilers from GCC 12 on take CSR instructions for an extension of their own; the older ISA specification has them in the base.
RV32_ARCH = rv32imac -misa-spec=2.2
AFLAGS = -march=$(RV32_ARCH) -mabi=ilp32
MACHINE_FLAGS = $(AFLAGS) --specs=$(shell $(CC) --print-file-name=picolibc.specs)
LDFLAGS += -nostartfiles
LDSCRIPT = $(PORT)/virt.ld
FLASH_BASE = 0x80800000
LINE_BASE = 0x80ff0000
CFLAGS += -DMICROPY_HW_MCU_NAME='"RV32IMAC"'
SRC_C += soc_virt.c
SRC_ASM = start_virt.o shared/runtime/gchelper_native.o shared/runtime/gchelper_rv32i.o
MPY_CROSS_FLAGS += -march=rv32imc
vpath %.s $(PORT)
