# Freezes the Python half of tinylearn into a firmware, where it takes no RAM. From the manifest of your board:
#     include("$(BOARD_DIR)/manifest.py")  # or the port's
#     include(".../tinylearn/firmware/manifest.py")
# and link the native half in with USER_C_MODULES=.../tinylearn/native_modules.
package("tinylearn", base_path=".")  # noqa: F821
