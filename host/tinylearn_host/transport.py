"""A board at the end of a serial port: run programs in its raw REPL, talk to them, move files.

`Transport` is the interface that the rest of the host tool uses. Two libraries carry it: mpremote (the default) and
adafruit-ampy. Each brings its own way into the raw REPL and its own plain upload; everything above that is here, once.
Ports are device names (`/dev/ttyACM0`, a pty) or pyserial URLs (`socket://127.0.0.1:4711`).
"""

from __future__ import annotations

import ast
import errno
import hashlib
import io
import json
import time
from abc import ABC, abstractmethod
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout, suppress
from typing import Any

import ampy.files
import ampy.pyboard
import serial
from mpremote.transport import TransportError as MpremoteError
from mpremote.transport_serial import SerialTransport

from tinylearn_host.errors import BOARD_ERROR, NO_ANSWER, NO_BOARD, PORT_BUSY, TinylearnError
from tinylearn_host.on_board import source

RAW_PROMPT = b"raw REPL; CTRL-B to exit\r\n>"
LINE = 189  # bytes of one base64 line: 252 characters and a newline fit the smallest receive buffer (260, UART boards)
READ_TIMEOUT = 3.0  # seconds: the longest single read of the port; waiting longer is a loop of these


class BoardError(TinylearnError):
    """A program on the board ended with a traceback."""

    def __init__(self, port: str, traceback: str):
        self.traceback = traceback.replace("\r", "").strip()
        self.exception = self.traceback.rsplit("\n", 1)[-1]  # "OSError: [Errno 28] ENOSPC"
        super().__init__(f"the program on the board at {port} failed:\n{self.traceback}", BOARD_ERROR)


class Transport(ABC):
    """One board in its raw REPL. Errors of the link are TinylearnErrors; a traceback on the board is a BoardError."""

    def __init__(self, port: str):
        """Open `port` and stop whatever runs there.

        Raises: exit code 3 where there is no such port, 5 where another program holds it, 9 where no REPL answers.
        """
        self.port = port
        try:
            self._link = self._open(port)
        except (MpremoteError, ampy.pyboard.PyboardError, OSError, ValueError):
            raise _why_not(port) from None
        self._serial.write_timeout = 10
        try:
            self._knock()
            self.soft_reset()
        except BaseException:
            self._serial.close()
            raise

    # What a library brings.

    @staticmethod
    @abstractmethod
    def _open(port: str) -> Any:
        """The library's object: `.serial`, `.enter_raw_repl()`, `.exec_raw_no_follow(code)`, `.close()`."""

    @abstractmethod
    def put_plain(self, path: str, data: bytes) -> None:
        """Write a file in the library's own way: slower, and it asks nothing of the board but a REPL."""

    @property
    def _serial(self) -> serial.SerialBase:
        return self._link.serial

    # Running programs.

    def soft_reset(self) -> None:
        """A fresh interpreter: empty heap, nothing imported; `boot.py` runs, `main.py` does not."""
        with self._library():
            self._link.enter_raw_repl()

    def start(self, code: str) -> Program:
        """Run `code` on the board and return while it runs."""
        with self._library():
            self._link.exec_raw_no_follow(code)
        return Program(self)

    def exec(self, code: str, timeout: float = 10) -> str:
        """Run `code` on the board to its end; what it printed. `timeout`: longest silence, in seconds."""
        return "\n".join(self.start(code).lines(timeout))

    def eval(self, expression: str, setup: str = "", timeout: float = 10) -> Any:
        """The value of an expression on the board; a literal (numbers, strings, lists, None)."""
        return ast.literal_eval(self.exec(f"{setup}\nprint(repr({expression}))", timeout))

    def interrupt(self) -> None:
        """Ctrl-C, and back to the raw REPL's prompt."""
        self._knock()
        self._serial.write(b"pass\x04")  # leaves the prompt unread, where the library looks for it
        self._listen(b"OK\x04\x04", 2)

    def close(self) -> None:
        """Leave the board at its friendly REPL and the port free. Never raises."""
        with suppress(Exception):
            self._serial.write(b"\r\x03\x02")
            self._serial.flush()
        with suppress(Exception):
            self._link.close()
        with suppress(Exception):
            self._serial.close()

    def __enter__(self) -> Transport:
        return self

    def __exit__(self, *exc_info) -> None:
        self.close()

    # Files. Paths are relative to the board's root directory.

    def put(self, path: str, data: bytes, progress: Callable[[int], None] = lambda sent: None) -> None:
        """Write a file, line by line as the board asks for them; `progress(bytes sent so far)`."""
        try:
            sent = 0
            with self.start(source("upload", call=f"upload({path!r}, {len(data)})")) as program:
                for _ in program.requests():
                    program.send(b64encode(data[sent : sent + LINE]))
                    progress(sent)
                    sent += LINE
        except BoardError as error:
            if "ImportError" not in error.exception:
                raise
            self.put_plain(path, data)
        progress(len(data))

    def get(self, path: str) -> bytes:
        """Read a file."""
        lines = self.exec(source("download", call=f"download({path!r})")).split("\n")
        return b"".join(b64decode(line) for line in lines)

    def hashes(self, paths: Sequence[str]) -> list[str | None]:
        """SHA-256 of files as hexadecimal, computed on the board; None where there is no such file.

        A board without hashlib sends the file back, and the host computes it.
        """
        try:
            lines = self.exec(source("sha256", call=f"hash_files({list(paths)!r})"), timeout=60).split("\n")
            return [None if line == "None" else line for line in lines]
        except BoardError as error:
            if "ImportError" not in error.exception:
                raise
            return [None if self.size(p) is None else hashlib.sha256(self.get(p)).hexdigest() for p in paths]

    def listdir(self, path: str = "") -> list[str]:
        """Names in a directory."""
        return self.eval(f"os.listdir({path!r})", "import os")

    def size(self, path: str) -> int | None:
        """Bytes of a file; None where there is none."""
        try:
            return self.eval(f"os.stat({path!r})[6]", "import os")
        except BoardError:
            return None

    def mkdir(self, path: str) -> None:
        """Make a directory, and its parents; one that exists is left alone."""
        parts = path.split("/")
        for n in range(1, len(parts) + 1):
            self.exec(
                f"import os\ntry:\n os.mkdir({'/'.join(parts[:n])!r})\nexcept OSError as e:\n if e.errno != 17: raise"
            )

    def rename(self, old: str, new: str) -> None:
        """Rename a file; one at `new` is replaced (removed first where the board's filesystem cannot replace)."""
        self.exec(
            f"import os\ntry:\n os.rename({old!r}, {new!r})\n"
            f"except OSError as e:\n if e.errno != 17: raise\n os.remove({new!r})\n os.rename({old!r}, {new!r})"
        )

    def remove(self, path: str) -> None:
        """Remove a file; none there is as good."""
        self.exec(f"import os\ntry:\n os.remove({path!r})\nexcept OSError as e:\n if e.errno != 2: raise")

    # The link.

    def _knock(self) -> None:
        """Ctrl-C, a moment for the program to notice, and Ctrl-A; more patient each time, until the REPL answers."""
        heard = b""
        for patience in (0.5, 2, 5):
            with self._errors():
                self._serial.write(b"\x03\x03")
                time.sleep(0.05)
                self._serial.write(b"\r\x01")
            heard += self._listen(RAW_PROMPT, patience)
            if heard.endswith(RAW_PROMPT):
                return
        if heard:
            raise TinylearnError(
                f"the board at {self.port} is busy: a program runs there that does not stop at Ctrl-C. "
                "Press the board's reset button (or unplug it) and try again.",
                NO_ANSWER,
            )
        raise TinylearnError(
            f"nothing answers at {self.port}: is MicroPython on that board, and is it the right port? "
            "A program that ignores Ctrl-C looks the same; resetting the board helps then.",
            NO_ANSWER,
        )

    def _listen(self, until: bytes, seconds: float) -> bytes:
        """What the board says, up to `until` or for so many seconds."""
        heard, deadline = bytearray(), time.monotonic() + seconds
        with self._errors():
            while not heard.endswith(until) and time.monotonic() < deadline:
                if self._serial.in_waiting:
                    heard += self._serial.read(1)
                else:
                    time.sleep(0.005)
        return bytes(heard)

    def _read_byte(self, timeout: float) -> bytes:
        """The board's next byte; exit code 9 after `timeout` seconds without one."""
        deadline = time.monotonic() + timeout
        with self._errors():
            while not (byte := self._serial.read(1)):
                if time.monotonic() > deadline:
                    raise TinylearnError(f"the board at {self.port} has said nothing for {timeout:.0f} s", NO_ANSWER)
        return byte

    @contextmanager
    def _library(self) -> Iterator[None]:
        """As `_errors`, around calls that print what confused them: that is no user's business."""
        with redirect_stdout(io.StringIO()), self._errors():
            yield

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """The libraries' errors as ours."""
        try:
            yield
        except (OSError, serial.SerialException) as error:
            raise TinylearnError(
                f"lost the connection to the board at {self.port} ({error}). Is the cable in? Then run the same again.",
                NO_ANSWER,
            ) from None
        except (MpremoteError, ampy.pyboard.PyboardError) as error:
            raise TinylearnError(
                f"the board at {self.port} does not answer as a REPL should: {error}", NO_ANSWER
            ) from None


class Program:
    """A program that runs on the board. Leaving its `with` block early interrupts it."""

    def __init__(self, transport: Transport):
        self._transport = transport
        self.running = True

    def lines(self, timeout: float = 10) -> Iterator[str]:
        """What it prints, line by line, to its end; then its traceback, if any, as BoardError."""
        line = bytearray()
        while (byte := self._transport._read_byte(timeout)) != b"\x04":
            if byte == b"\n":
                yield line.rstrip(b"\r").decode(errors="replace")
                line.clear()
            else:
                line += byte
        if line:
            yield line.decode(errors="replace")
        traceback = bytearray()
        while (byte := self._transport._read_byte(timeout)) != b"\x04":
            traceback += byte
        self.running = False
        if traceback:
            raise BoardError(self._transport.port, traceback.decode(errors="replace"))

    def requests(self, timeout: float = 10) -> Iterator[None]:
        """Each time it asks for a line. Other output is not expected."""
        for line in self.lines(timeout):
            if line != "?":
                raise TinylearnError(
                    f"the board at {self._transport.port} said {line!r} where it should ask", NO_ANSWER
                )
            yield

    def converse(self, samples: Iterable[bytes], timeout: float = 10) -> Iterator[dict]:
        """Each event that it tells, while it is given the bytes of samples, base64 line by line, as it asks for them.

        What else it prints, such as a library's words to its user, is the event "print" with a "text".
        """
        lines = (b64encode(sample[at : at + LINE]) for sample in samples for at in range(0, len(sample), LINE))
        for line in self.lines(timeout):
            if line == "?":
                self.send(next(lines))
            elif line.startswith("{"):
                yield json.loads(line)
            else:
                yield {"event": "print", "text": line}

    def send(self, line: bytes) -> None:
        """One line to its standard input."""
        with self._transport._errors():
            self._transport._serial.write(line + b"\n")

    def __enter__(self) -> Program:
        return self

    def __exit__(self, kind, error, trace) -> None:
        if self.running and not (isinstance(error, TinylearnError) and error.exit_code == NO_ANSWER):
            self._transport.interrupt()


class MpremoteTransport(Transport):
    """Through mpremote, MicroPython's own tool: raw-paste mode where the board has it."""

    @staticmethod
    def _open(port: str) -> SerialTransport:
        return SerialTransport(port, exclusive=True, timeout=READ_TIMEOUT)

    def put_plain(self, path: str, data: bytes) -> None:
        with self._library():
            self._link.fs_writefile(path, data)


class AmpyTransport(Transport):
    """Through adafruit-ampy."""

    @staticmethod
    def _open(port: str) -> ampy.pyboard.Pyboard:
        return _Pyboard(port)

    def put_plain(self, path: str, data: bytes) -> None:
        with self._library():
            ampy.files.Files(self._link).put(path, data)
        self.soft_reset()  # ampy leaves the friendly REPL


class _Pyboard(ampy.pyboard.Pyboard):
    """ampy's board on any pyserial URL: its own constructor knows only device names and waits for ever."""

    def __init__(self, port: str):
        ampy.pyboard._rawdelay = 0
        self.serial = serial.serial_for_url(port, baudrate=115200, exclusive=True, timeout=READ_TIMEOUT)


TRANSPORTS = {"mpremote": MpremoteTransport, "ampy": AmpyTransport}


def connect(port: str, transport: str = "mpremote") -> Transport:
    """The board at `port`, freshly reset; `transport` is a key of TRANSPORTS."""
    return TRANSPORTS[transport](port)


def _why_not(port: str) -> TinylearnError:
    """Why `port` did not open: try once more with bare pyserial, which says."""
    try:
        serial.serial_for_url(port, exclusive=True, timeout=0).close()
    except (OSError, ValueError) as error:
        code, text = getattr(error, "errno", None), str(error)
        if code in (errno.EAGAIN, errno.EBUSY) or "lock" in text:
            return TinylearnError(
                f"{port} is in use by another program (a terminal, another tinylearn?). Close it first.", PORT_BUSY
            )
        if code in (errno.EACCES, errno.EPERM):
            return TinylearnError(
                f"no permission to open {port}. On Linux: sudo usermod -a -G dialout $USER, then log in again.",
                NO_BOARD,
            )
        return TinylearnError(f"cannot open {port}: {text}", NO_BOARD)
    return TinylearnError(f"cannot open {port}, but now it would work: try again", NO_BOARD)
