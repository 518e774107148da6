# A native module: MOD, MODULE_DIR (its own folder) and ARCH given, $(MOD).mpy in the current directory.
# The kernels that it links stand in its kernels.txt. MPY_DIR: MicroPython's sources, never written to.

# Assembly of other processors makes empty objects, which mpy_ld.py does not read.
ASSEMBLY = $(if $(filter armv6m,$(ARCH)),armv6m)$(if $(filter armv7em%,$(ARCH)),armv7em)
SOURCES = mod$(MOD).c $(filter-out $(foreach other,$(filter-out $(ASSEMBLY),armv6m armv7em),$(other)/%),$(shell cat $(MODULE_DIR)/kernels.txt))
BUILD = $(MOD).objects

# Kernels for speed (native modules are built with -Os otherwise); what runs once per operator for size.
CFLAGS_EXTRA := -O2 -I$(MODULE_DIR)/.. -I$(MODULE_DIR)/../kernels
# Records that kernels/backward.c knows in each of the modules that have it
RECORDS_tl_grad = 0
RECORDS_tl_channels = TL_FISHER|TL_PULL
RECORDS_tl_filter = TL_FILTER_2|TL_FILTER_4
CFLAGS_EXTRA += $(if $(RECORDS_$(MOD)),-DTL_RECORDS='$(RECORDS_$(MOD))')
CFLAGS_EXTRA += $(if $(filter tl_grad,$(MOD)),-DTL_LEAN=1)
ifneq ($(filter armv%,$(ARCH)),)
CFLAGS_EXTRA += -masm-syntax-unified
endif
SMALL = mod$(MOD) channel conv2d depthwise_conv2d fast_depthwise_conv2d operator operator_run tlm program crc32 pixels quantize softmax pool mean pad clamp head_prototype head_closed_form augment fisher pull filter backward loss pool_grad
ifeq ($(MOD),tl_front)
SMALL += front
endif
ifneq ($(MOD),tl_train) # which runs it over all samples, step after step
SMALL += head
endif
# The speed of the Cortex-M0+ is in its assembly, so there all C is compiled for size, as one program (-flto).
ifneq ($(filter tl_infer-armv6m tl_grad-armv6m tl_channels-armv6m tl_filter-armv6m,$(MOD)-$(ARCH)),)
SMALL = $(basename $(SOURCES))
LESS = -fno-ipa-sra -fno-code-hoisting
LESS_tl_infer = -fno-tree-ter -fno-ssa-phiopt -fweb -fno-forward-propagate -flive-range-shrinkage # of this one alone
CFLAGS_EXTRA += $(LESS) $(LESS_$(MOD)) -fno-tree-loop-optimize -fno-inline-small-functions -fno-move-loop-invariants -fno-tree-dominator-opts -fno-tree-loop-im -fno-tree-ch # another 700 bytes
CFLAGS_EXTRA += -flto -ffat-lto-objects -fvisibility=hidden # fat: a profile tells from them whose a function is
TOGETHER = -Os $(LESS) -flto -flinker-output=nolto-rel
endif
$(SMALL:%=$(BUILD)/%.o): CFLAGS += -Os

VPATH = $(MODULE_DIR) $(MODULE_DIR)/../kernels
OBJECTS = $(patsubst %,$(BUILD)/%.o,$(basename $(SOURCES)))
ifneq ($(filter arm%,$(ARCH)),)
CFLAGS_EXTRA += -ffunction-sections
SRC_O = $(BUILD)/$(MOD).o # without what nobody calls, which mpy_ld.py would keep
else
SRC_O = $(OBJECTS)
endif
include $(MPY_DIR)/py/dynruntime.mk

$(CONFIG_H): mod$(MOD).c
$(OBJECTS): $(CONFIG_H) | $(sort $(dir $(OBJECTS)))
$(sort $(filter-out $(BUILD_DIRS),$(dir $(OBJECTS)))):
	$(Q)$(MKDIR) -p $@
$(BUILD)/$(MOD).o: $(OBJECTS)
	$(Q)$(CROSS)gcc $(CFLAGS) $(TOGETHER) -r -nostdlib -Wl,--gc-sections,--entry=mpy_init -o $@ $^
$(OBJECTS): $(wildcard $(MODULE_DIR)/../*.h $(MODULE_DIR)/../kernels/*.h $(MODULE_DIR)/../kernels/*/*.h $(MODULE_DIR)/../kernels/*.inc $(MODULE_DIR)/../kernels/*/*.inc) $(MODULE_DIR)/../natmod.mk

# A division shorter than libgcc's, as an archive in front of it: the linker takes the first that has a symbol.
ifneq ($(filter tl_infer-armv6m tl_grad-armv6m tl_channels-armv6m tl_filter-armv6m,$(MOD)-$(ARCH)),)
$(BUILD)/divide.a: $(BUILD)/armv6m/divide.o
	$(Q)rm -f $@ && $(CROSS)ar rcs $@ $<
$(BUILD)/$(MOD).native.mpy: | $(BUILD)/divide.a
MPY_LD_FLAGS += -l$(BUILD)/divide.a
endif

# 64-bit multiplication and the like, where the processor has none. Not LINK_RUNTIME: that also links picolibc's libc, whose memcpy
# collides with binding.h's.
MPY_LD_FLAGS += -l$(realpath $(shell $(CROSS)gcc $(CFLAGS) --print-libgcc-file-name))
