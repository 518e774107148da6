# What the stock RPI_PICO firmware freezes, less the drivers from micropython-lib, which Debian's sources do not carry.
freeze("$(PORT_DIR)/modules")
include("$(MPY_DIR)/extmod/asyncio")
