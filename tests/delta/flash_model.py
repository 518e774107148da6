"""A file system for firmware/tinylearn/delta.py that keeps every byte written at once, and whose power can be cut."""

from __future__ import annotations

import errno
import io


class PowerCut(BaseException):
    """The board is off. No code of the board may catch this and go on."""


class FileSystem:
    """Stands in for `open` and `os` in the board's modules; harsher than littlefs or FAT: no step is atomic but a byte.

    cut:    bytes and directory changes that still happen; the next one raises PowerCut. None: power stays
    done:   how many have happened
    room:   bytes that fit; beyond them ENOSPC. readonly: EROFS at every change
    """

    def __init__(self):
        self.files: dict[str, bytearray] = {}
        self.cut: int | None = None
        self.done = 0
        self.room: int | None = None
        self.readonly = False
        self.overlay = False  # a file that is written again keeps its old bytes behind the new ones until it is closed

    def copy(self) -> dict[str, bytes]:
        self.done = 0
        return {path: bytes(content) for path, content in self.files.items()}

    def restore(self, files: dict[str, bytes], cut: int, overlay: bool) -> None:
        """These files, and power for so many steps from here."""
        self.files = {path: bytearray(content) for path, content in files.items()}
        self.done, self.cut, self.overlay = 0, cut, overlay

    def change(self) -> None:
        if self.readonly:
            raise OSError(errno.EROFS, "Read-only file system")
        if self.cut is not None and self.done >= self.cut:
            raise PowerCut
        self.done += 1

    def open(self, path: str, mode: str = "r"):
        if mode == "rb":
            if path not in self.files:
                raise OSError(errno.ENOENT, path)
            return io.BytesIO(bytes(self.files[path]))
        assert mode == "wb"
        self.change()
        if not self.overlay:
            self.files[path] = bytearray()
        return _Written(self, self.files.setdefault(path, bytearray()))

    def remove(self, path: str) -> None:
        if path not in self.files:
            raise OSError(errno.ENOENT, path)
        self.change()
        del self.files[path]

    def stat(self, path: str) -> tuple:
        if path not in self.files:
            raise OSError(errno.ENOENT, path)
        return (0,) * 6 + (len(self.files[path]),) + (0,) * 3


class _Written:
    def __init__(self, system: FileSystem, content: bytearray):
        self.system, self.content, self.at = system, content, 0

    def write(self, data) -> None:
        for byte in bytes(data):
            if self.system.room is not None and sum(map(len, self.system.files.values())) >= self.system.room:
                raise OSError(errno.ENOSPC, "No space left on device")
            self.system.change()
            self.content[self.at : self.at + 1] = bytes([byte])
            self.at += 1

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is not PowerCut:
            del self.content[self.at :]


class Nvm:
    """CircuitPython's microcontroller.nvm, a nvm.ByteArray: len, slices and items; what is written is there at once."""

    def __init__(self, size: int, fill: int = 0xFF):
        self.content = bytearray([fill]) * size
        self.cut: int | None = None

    def __len__(self) -> int:
        return len(self.content)

    def __bool__(self) -> bool:
        return bool(self.content)

    def __getitem__(self, key):
        found = self.content[key]
        return bytearray(found) if isinstance(key, slice) else found

    def __setitem__(self, key, value) -> None:
        if isinstance(key, int):
            key, value = slice(key, key + 1), [value]
        start, stop, step = key.indices(len(self.content))
        value = bytes(value)
        if step != 1 or len(value) != stop - start:
            raise ValueError("array and index length must be equal")
        for at, byte in zip(range(start, stop), value, strict=True):
            if self.cut == 0:
                raise PowerCut
            self.cut = self.cut and self.cut - 1
            self.content[at] = byte
