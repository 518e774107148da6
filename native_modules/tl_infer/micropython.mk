# Built into a firmware: make USER_C_MODULES=<this repository>/native_modules
TL_INFER := $(USERMOD_DIR)
SRC_USERMOD_C += $(TL_INFER)/modtl_infer.c
# A kernel that both modules use is linked once.
SRC_USERMOD_LIB_C := $(sort $(SRC_USERMOD_LIB_C) $(addprefix $(dir $(TL_INFER))kernels/,$(shell cat $(TL_INFER)/kernels.txt)))
CFLAGS_USERMOD += -I$(dir $(TL_INFER)) -I$(dir $(TL_INFER))kernels
