# Freezes the Python half of tinylearn into a firmware:
#     make BOARD=RPI_PICO FROZEN_MANIFEST=.../firmware/manifest.py USER_C_MODULES=.../native_modules
# with the native modules linked in beside it, so that neither takes RAM.
include("$(PORT_DIR)/boards/manifest.py")
package("tinylearn", base_path=".")
