"""The boards of `boards/*.toml`: what each is, and how to get its serial port open.

An emulated board is started for as long as it is in use; a real one is looked for by its USB ids. Beyond that the host
tool does not know one from the other.
"""

from __future__ import annotations

import os
import select
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from serial.tools import list_ports

from tinylearn_host import paths
from tinylearn_host.errors import NO_BOARD, SEVERAL_BOARDS, USAGE, TinylearnError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

START_SECONDS = 60  # an emulator that has said nothing by then is taken for dead
STOP_SECONDS = 10


@dataclass(frozen=True)
class Board:
    """One board file. Sizes in bytes; boards/README.md says what each field means."""

    name: str
    title: str
    arch: str
    mpy_archs: list[str]
    ram_bytes: int
    heap_bytes: int
    flash_bytes: int
    romfs_bytes: int
    clock_hz: int
    firmware: dict[str, str]
    serial: dict[str, list[str]]
    cycles_per_mac: dict[str, float] = field(default_factory=dict)
    needs: dict[str, list[str]] = field(default_factory=dict)
    counter: dict = field(default_factory=dict)

    @property
    def emulated(self) -> bool:
        return "command" in self.serial

    @property
    def firmware_folder(self) -> Path:
        """Where setup/prepare.py puts the firmware of an emulated board."""
        return paths.BUILD / "firmware" / self.name

    @property
    def state_folder(self) -> Path:
        """Where an emulated board keeps its flash: below $TINYLEARN_STATE if that is set."""
        base = os.environ.get("TINYLEARN_STATE")
        return (Path(base) if base else paths.BUILD / "boards") / self.name

    @property
    def command(self) -> list[str]:
        """The command that starts an emulated board."""
        return [
            word.format(
                python=sys.executable,
                boards=paths.BOARDS,
                firmware=self.firmware_folder,
                state=self.state_folder,
                heap_bytes=self.heap_bytes,
            )
            for word in self.serial["command"]
        ]

    def missing(self) -> list[str]:
        """What an emulated board lacks on this machine: programs, and its firmware. Empty for a real one."""
        if not self.emulated:
            return []
        lacking = [command for command in self.needs.get("commands", []) if not shutil.which(command)]
        return lacking + ([] if self.firmware_folder.is_dir() else ["its firmware"])

    def ports(self) -> list[str]:
        """Serial ports of plugged-in boards that have one of this board's USB ids."""
        ids = {usb_id.upper() for usb_id in self.serial.get("usb", [])}
        return sorted(port.device for port in list_ports.comports() if port.vid and _usb_id(port) in ids)


def _usb_id(port) -> str:
    return f"{port.vid:04X}:{port.pid:04X}"


def load_all() -> dict[str, Board]:
    """All boards by name."""
    boards = {}
    for path in sorted(paths.BOARDS.glob("*.toml")):
        board = Board(**tomllib.loads(path.read_text()))
        boards[board.name] = board
    return boards


def find(name: str) -> Board:
    """The board called `name`. Raises: exit code 2, naming those there are."""
    boards = load_all()
    if name not in boards:
        raise TinylearnError(f"there is no board {name!r}; known are {', '.join(boards)}", USAGE)
    return boards[name]


@contextmanager
def opened(name: str, port: str | None = None, options: Sequence[str] = ()) -> Iterator[str]:
    """The serial port of the board called `name`, or `port` if that is given. An emulated board runs inside the block.

    options: more words for the command that starts it
    Raises: exit code 2 for an unknown board, 3 where there is none or it does not start, 4 where several match.
    """
    board = find(name)
    if port:
        yield port
    elif board.emulated:
        with _started(board, options) as address:
            yield address
    else:
        yield _plugged_in(board)


def _plugged_in(board: Board) -> str:
    ports = board.ports()
    if not ports:
        ids = ", ".join(board.serial["usb"])
        raise TinylearnError(
            f"no {board.title} found: no serial port has the USB id {ids}. Plug it in, with MicroPython on it "
            f"({board.firmware['url']}), or name its port with --port.",
            NO_BOARD,
        )
    if len(ports) > 1:
        raise TinylearnError(
            f"several boards match {board.name}: {', '.join(ports)}. Choose one with --port.", SEVERAL_BOARDS
        )
    return ports[0]


@contextmanager
def _started(board: Board, options: Sequence[str]) -> Iterator[str]:
    missing = board.missing()
    if missing:
        raise TinylearnError(
            f"the board {board.name} cannot start, this is missing: {', '.join(missing)}. "
            f"`python3 setup/prepare.py {board.firmware['prepare']}` in the clone of tinylearn installs it.",
            NO_BOARD,
        )
    with tempfile.TemporaryFile("w+") as complaints:
        emulator = subprocess.Popen(
            [*board.command, *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=complaints,
            start_new_session=True,
        )
        try:
            address = _first_line(emulator)
            if not address:
                complaints.seek(0)
                why = complaints.read().strip() or "it said nothing"
                raise TinylearnError(f"the board {board.name} did not start: {why}", NO_BOARD)
            yield address
        finally:
            _stop(emulator)


def _first_line(emulator: subprocess.Popen) -> str:
    """The port that the emulator prints; empty if it ends or stays silent."""
    readable, _, _ = select.select([emulator.stdout], [], [], START_SECONDS)
    return emulator.stdout.readline().decode().strip() if readable else ""


def _stop(emulator: subprocess.Popen) -> None:
    emulator.stdin.close()
    emulator.stdout.close()
    try:
        emulator.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        emulator.kill()
        emulator.wait()


def status() -> list[dict]:
    """For each board: name, title, arch, emulated, ready, missing (what it lacks here), ports (those plugged in)."""
    rows = []
    for board in load_all().values():
        missing, ports = board.missing(), board.ports()
        rows.append(
            {
                "name": board.name,
                "title": board.title,
                "arch": board.arch,
                "emulated": board.emulated,
                "ready": not missing if board.emulated else bool(ports),
                "missing": missing,
                "ports": ports,
            }
        )
    return rows
