# start.py has QEMU switch the FPU on before the first instruction.
MACHINE_FLAGS = -mthumb -mcpu=cortex-m4 -mfloat-abi=hard -mfpu=fpv4-sp-d16
CFLAGS += -DMICROPY_HW_MCU_NAME='"Cortex-M4F"'
include $(PORT)/arm.mk
