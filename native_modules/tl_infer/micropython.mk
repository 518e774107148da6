# Built into a firmware: make USER_C_MODULES=<this repository>/native_modules
TL_INFER := $(USERMOD_DIR)
SRC_USERMOD_C += $(TL_INFER)/modtl_infer.c
# A kernel that both modules use is linked once.
TL_INFER_KERNELS := $(addprefix $(dir $(TL_INFER))kernels/,$(shell cat $(TL_INFER)/kernels.txt))
SRC_USERMOD_LIB_C := $(sort $(SRC_USERMOD_LIB_C) $(filter %.c,$(TL_INFER_KERNELS)))
SRC_USERMOD_LIB_ASM += $(filter %.S,$(TL_INFER_KERNELS))
CFLAGS_USERMOD += -I$(dir $(TL_INFER)) -I$(dir $(TL_INFER))kernels
