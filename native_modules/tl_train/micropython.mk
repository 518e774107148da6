# Built into a firmware: make USER_C_MODULES=<this repository>/native_modules
TL_TRAIN := $(USERMOD_DIR)
SRC_USERMOD_C += $(TL_TRAIN)/modtl_train.c
# A kernel that both modules use is linked once.
SRC_USERMOD_LIB_C := $(sort $(SRC_USERMOD_LIB_C) $(addprefix $(dir $(TL_TRAIN))kernels/,$(shell cat $(TL_TRAIN)/kernels.txt)))
CFLAGS_USERMOD += -I$(dir $(TL_TRAIN)) -I$(dir $(TL_TRAIN))kernels
