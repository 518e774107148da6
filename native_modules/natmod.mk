# A native module: MOD, MODULE_DIR (its own folder) and ARCH given, $(MOD).mpy in the current directory.
# The kernels that it links stand in its kernels.txt. MPY_DIR: MicroPython's sources, never written to.

SRC = mod$(MOD).c $(shell cat $(MODULE_DIR)/kernels.txt)
BUILD = $(MOD).objects

# Kernels for speed (native modules are built with -Os otherwise); what runs once per operator for size.
CFLAGS_EXTRA = -O2 -I$(MODULE_DIR)/.. -I$(MODULE_DIR)/../kernels
ifneq ($(filter armv%,$(ARCH)),)
CFLAGS_EXTRA += -masm-syntax-unified
endif
SMALL = mod$(MOD) operator operator_run tlm program crc32 quantize softmax pool mean pad clamp head_prototype head_closed_form head head_linear backward loss conv2d_grad pool_grad gradient update
$(SMALL:%=$(BUILD)/%.o): CFLAGS += -Os

VPATH = $(MODULE_DIR) $(MODULE_DIR)/../kernels
include $(MPY_DIR)/py/dynruntime.mk
$(SRC_O): $(wildcard $(MODULE_DIR)/../*.h $(MODULE_DIR)/../kernels/*.h) $(MODULE_DIR)/../natmod.mk

# 64-bit multiplication and the like, where the processor has none. Not LINK_RUNTIME: that also links picolibc's libc, whose memcpy
# collides with binding.h's.
MPY_LD_FLAGS += -l$(realpath $(shell $(CROSS)gcc $(CFLAGS) --print-libgcc-file-name))
