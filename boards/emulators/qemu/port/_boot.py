# Runs first, at every start and soft reset: mounts the flash filesystem at /, making it if there is none.
import board
import vfs


class Flash:
    """The flash as MicroPython's extended block device."""

    BLOCK = 4096

    def __init__(self, memory):
        self.memory = memory

    def readblocks(self, block, buffer, offset=0):
        start = block * self.BLOCK + offset
        buffer[:] = self.memory[start : start + len(buffer)]

    def writeblocks(self, block, buffer, offset=0):
        start = block * self.BLOCK + offset
        self.memory[start : start + len(buffer)][:] = buffer  # else MicroPython moves all that lies behind it, too

    def ioctl(self, request, argument):
        if request == 4:
            return len(self.memory) // self.BLOCK
        if request == 5:
            return self.BLOCK
        if request in (1, 2, 3, 6):  # init, deinit, sync, erase: nothing to do
            return 0


_flash = Flash(memoryview(board.flash))
try:
    _filesystem = vfs.VfsLfs2(_flash)
except OSError:
    vfs.VfsLfs2.mkfs(_flash)
    _filesystem = vfs.VfsLfs2(_flash)
vfs.mount(_filesystem, "/")
del board, vfs, Flash, _flash, _filesystem
