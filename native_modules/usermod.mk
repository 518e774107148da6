# A binding with its kernels as a module of a firmware that make builds; USERMOD_DIR is its folder.

TINYLEARN := $(dir $(USERMOD_DIR))
TINYLEARN_KERNELS := $(addprefix $(TINYLEARN)kernels/,$(shell cat $(USERMOD_DIR)/kernels.txt))
SRC_USERMOD_C += $(USERMOD_DIR)/mod$(notdir $(USERMOD_DIR)).c
# A kernel that several modules use is linked once.
SRC_USERMOD_LIB_C := $(sort $(SRC_USERMOD_LIB_C) $(filter %.c,$(TINYLEARN_KERNELS)))
SRC_USERMOD_LIB_ASM := $(sort $(SRC_USERMOD_LIB_ASM) $(filter %.S,$(TINYLEARN_KERNELS)))
CFLAGS_USERMOD += -I$(TINYLEARN) -I$(TINYLEARN)kernels
