"""The line to a QEMU board: a ring in the memory that QEMU keeps in a file, and the UART as its bell (mphalport.c)."""

import mmap
import os
import time
from pathlib import Path

import serial_port

BASE, BYTES = 0xFF0000, 4096  # LINE_BASE of the makefiles, as an offset into the file, and LINE_BYTES
BELL = b"!"
FULL = 0.0005  # seconds to wait before looking again


class Line:
    """Bytes for the board whose memory, of `size` bytes, is the file."""

    def __init__(self, file: Path, size: int):
        with open(file, "a+b") as opened:
            os.truncate(opened.fileno(), size)
            memory = memoryview(mmap.mmap(opened.fileno(), size))[BASE:]
        self._counts = memory[:8].cast("I")  # written and taken; a word is stored at once, as the board may read it now
        self._ring = memory[8 : 8 + BYTES]

    def clear(self) -> None:
        """For a board that is about to be switched on."""
        self._counts[0] = self._counts[1] = 0

    def send(self, bell: int, data: bytes) -> int:
        """Put down as much as there is room for, and ring the UART; how many bytes that was."""
        written, taken = self._counts
        under_way = (written - taken) % 2**32
        data = data[: BYTES - under_way]
        if not data:
            time.sleep(FULL)
            return 0
        start = written % BYTES
        first, rest = data[: BYTES - start], data[BYTES - start :]
        self._ring[start : start + len(first)] = first
        self._ring[: len(rest)] = rest
        self._counts[0] = (written + len(data)) % 2**32
        if not under_way:  # else the board is awake
            serial_port.write(bell, BELL)
        return len(data)
