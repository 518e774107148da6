# Runs in MicroPython's unix port: makes the state directory the board's whole filesystem, then becomes a serial REPL.
# usage: micropython boot.py STATE_DIRECTORY ROMFS_FILE WAS_RAW
import sys

import board
import vfs

_, _state, _romfs, _was_raw = sys.argv
board.map_romfs(_romfs)
vfs.umount("/")
vfs.mount(vfs.VfsPosix(_state), "/")
sys.path[:] = ["", ".frozen", "/lib", "/rom", "/rom/lib"]
sys.argv[:] = []
raw = board.serve(_was_raw == "raw")
sys.exit(10 if raw else 0)
