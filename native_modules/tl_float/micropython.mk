# Built into a firmware: make USER_C_MODULES=<this repository>/native_modules
include $(dir $(USERMOD_DIR))usermod.mk
