"""Put a program behind a pseudo-terminal, so that it looks like a board on a serial port.

`serve(spawn)` waits for the program's first output, prints the port's path, and passes bytes between whoever opens it
and the program until this process's stdin closes or it gets SIGTERM. A program that ends is started again: that is the
board's reset; one that ends without a word is broken, and given up. The program is killed together with this process,
whatever ends it. Linux, standard library only.
"""

import ctypes
import fcntl
import os
import select
import signal
import subprocess
import sys
import tty
from collections.abc import Callable
from pathlib import Path

CHUNK = 65536
PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """For Popen's preexec_fn: the kernel kills the child when this process ends, even by SIGKILL."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def claim(state: Path) -> None:
    """Make the state folder and hold it for this process: two boards must not share one flash."""
    state.mkdir(parents=True, exist_ok=True)
    lock = os.open(state / "lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        sys.exit(f"this emulated board is already running (its flash is {state}); end that one, or set TINYLEARN_STATE")


class Board:
    """The running program and the file descriptor that is our end of its line."""

    def __init__(self, spawn: Callable[[int | None], tuple[subprocess.Popen, int]]):
        self._spawn = spawn
        self._start(None)

    def _start(self, last_exit: int | None) -> None:
        self.process, self.fd = self._spawn(last_exit)
        self.has_spoken = False
        os.set_blocking(self.fd, False)

    def read(self) -> bytes:
        """What the program has to say. If it has ended, start it again, telling it how the last run ended."""
        data = _read(self.fd)
        if data:
            self.has_spoken = True
            return data
        self.stop()
        if not self.has_spoken:
            sys.exit(f"the emulated board did not start: {self.process.args[0]} ended with {self.process.returncode}")
        self._start(self.process.returncode)
        return b""

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self.fd)


def _read(fd: int) -> bytes:
    """What is there; nothing when the other end is gone (a pty says so with EIO)."""
    try:
        return os.read(fd, CHUNK)
    except OSError:
        return b""


def write(fd: int, data: bytes) -> int:
    try:
        return os.write(fd, data)
    except BlockingIOError:
        return 0
    except OSError:
        return len(data)  # the other end is gone: the bytes fall on the floor, as on a wire


def serve(
    spawn: Callable[[int | None], tuple[subprocess.Popen, int]], send: Callable[[int, bytes], int] = write
) -> None:
    """Serve until told to stop. `spawn(last_exit)` starts the program and returns it with our end of its line;
    `send(end, bytes)` gives it what it has room for, and tells how many."""
    stop, stopper = os.pipe()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: os.write(stopper, b"."))
    board = Board(spawn)
    port, slave = os.openpty()  # our hold on the slave keeps the port alive between two users of it
    tty.setraw(slave)
    os.set_blocking(port, False)
    try:
        _pump(port, os.ttyname(slave), board, send, [sys.stdin.fileno(), stop])
    finally:
        if board.process.returncode is None:
            board.stop()


def _pump(port: int, name: str, board: Board, send: Callable[[int, bytes], int], stop: list[int]) -> None:
    to_board = to_port = b""
    announced = False
    while True:
        readers = [*stop] + ([] if to_board else [port]) + ([] if to_port else [board.fd])
        writers = ([board.fd] if to_board else []) + ([port] if to_port else [])
        readable, writable, _ = select.select(readers, writers, [])
        if any(fd in readable and (fd != sys.stdin.fileno() or not os.read(fd, CHUNK)) for fd in stop):
            return
        if board.fd in writable:
            to_board = to_board[send(board.fd, to_board) :]
        if port in writable:
            to_port = to_port[write(port, to_port) :]
        if port in readable:
            to_board = _read(port)
        if board.fd in readable:
            to_port = board.read()
            if not announced and board.has_spoken:
                print(name, flush=True)
                announced = True
