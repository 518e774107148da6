"""What a board says about itself: version, architecture, free memory. Asked before anything is sent."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field

from tinylearn_host.errors import WRONG_ARCHITECTURE, TinylearnError
from tinylearn_host.on_board import source
from tinylearn_host.transport import Transport

# sys.implementation._mpy, bits 10..13
ARCHITECTURES = (
    *("none", "x86", "x64", "armv6", "armv6m", "armv7m", "armv7em", "armv7emsp", "armv7emdp"),
    *("xtensa", "xtensawin", "rv32imc", "rv64imc", "debug", "14", "15"),
)
# MicroPython's loader takes native code of any Thumb architecture from armv6m up to its own; best first.
ALSO_RUNS = {
    "armv7m": ("armv6m",),
    "armv7em": ("armv7m", "armv6m"),
    "armv7emsp": ("armv7m", "armv6m"),
    "armv7emdp": ("armv7emsp", "armv7m", "armv6m"),
}


@dataclass(frozen=True)
class Device:
    """A board's answers. Sizes in bytes.

    mpy:        sys.implementation._mpy: version of the .mpy format (8 bits), sub-version (2), architecture (4), flags
    block:      what a file's size is rounded up to on its filesystem; 0 where it has none
    built_in:   native modules that its firmware brings along
    """

    name: str
    version: str
    machine: str
    mpy: int
    heap_free: int
    heap_used: int
    block: int
    flash_free: int
    flash_total: int
    built_in: list[str] = field(default_factory=list)

    @property
    def architecture(self) -> str:
        return ARCHITECTURES[self.mpy >> 10 & 15]

    @property
    def runs(self) -> tuple[str, ...]:
        """Architectures whose native modules it can load, best first."""
        return (self.architecture, *ALSO_RUNS.get(self.architecture, ()))

    @property
    def mpy_version(self) -> str:
        return f"{self.mpy & 255}.{self.mpy >> 8 & 3}"

    def describe(self) -> str:
        return (
            f"{self.machine}, MicroPython {self.version}, {self.architecture}, "
            f"{kb(self.heap_free)} heap free, {kb(self.flash_free)} flash free"
        )


def ask(board: Transport) -> Device:
    """What is at the other end. Raises exit code 6 where it is not a MicroPython that loads .mpy files."""
    # The heap first: what the board takes to compile the report may seem to be in use after it.
    free, used = board.eval("(gc.mem_free(), gc.mem_alloc())", "import gc\ngc.collect()")
    device = Device(**ast.literal_eval(board.exec(source("report"))), heap_free=free, heap_used=used)
    if device.name != "micropython":
        raise TinylearnError(
            f"the board at {board.port} runs {device.name} {device.version}; flashing needs MicroPython 1.25 or newer",
            WRONG_ARCHITECTURE,
        )
    if not device.mpy:
        raise TinylearnError(
            f"the MicroPython at {board.port} ({device.machine}) loads no .mpy files", WRONG_ARCHITECTURE
        )
    return device


def kb(size: float) -> str:
    """Bytes for people: 512 B, 58.4 KB, 1.4 MB."""
    if abs(size) < 1024:
        return f"{size:.0f} B"
    return f"{size / 1024:.1f} KB" if abs(size) < 1024 * 1024 else f"{size / 1024 / 1024:.1f} MB"
