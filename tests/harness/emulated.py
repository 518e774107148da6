"""Emulated boards for tests: started when first asked for, restarted if a test broke it."""

from __future__ import annotations

import os
from contextlib import ExitStack, closing
from pathlib import Path

from mpremote.transport import TransportError
from mpremote.transport_serial import SerialTransport
from tinylearn_host import boards

FORGET = """\
import os
for name in os.listdir():
    if ".tld" in name:
        os.remove(name)
"""


def names() -> list[str]:
    """Every emulated board."""
    return [board.name for board in boards.load_all().values() if board.emulated]


class BoardPool:
    """Running emulated boards by name; their flash lies below `state`, and is theirs for the whole session."""

    def __init__(self, state: Path):
        self._state = state
        self._running: dict[str, tuple[ExitStack, str]] = {}

    def port(self, name: str) -> str:
        """The port of the board called `name`, which is started if it is not running."""
        if name not in self._running:
            stack = ExitStack()
            os.environ["TINYLEARN_STATE"] = str(self._state)  # read when the board starts
            try:
                self._running[name] = stack, stack.enter_context(boards.opened(name))
            finally:
                del os.environ["TINYLEARN_STATE"]
        return self._running[name][1]

    def fresh_port(self, name: str) -> str:
        """The same, once the board has answered to a soft reset and has forgotten what it saved; a board that does not
        answer is started again."""
        for attempt in range(2):
            port = self.port(name)
            try:
                with closing(LiveBoard(name, port)) as live:
                    live.run(FORGET)
                return port
            except (TransportError, OSError):
                self.stop(name)
                if attempt:
                    raise
        raise AssertionError("unreachable")

    def stop(self, name: str) -> None:
        stack, _ = self._running.pop(name)
        stack.close()

    def stop_all(self, but: str | None = None) -> None:
        for name in set(self._running) - {but}:
            self.stop(name)


class LiveBoard(SerialTransport):
    """mpremote's transport (exec, eval, fs_*) in the raw REPL of a freshly reset board.

    name: as in --board; spec: its board file; port: what pyserial opens
    """

    def __init__(self, name: str, port: str):
        self.name, self.port, self.spec = name, port, boards.find(name)
        super().__init__(port, timeout=30)
        try:
            self.enter_raw_repl(soft_reset=True)
        except BaseException:
            self.close()
            raise

    def run(self, code: str) -> str:
        """What `code` prints on the board, lines ending in LF. Raises TransportExecError with the board's traceback."""
        return self.exec(code).decode().replace("\r\n", "\n")

    def load_native(self, module: str, arch: str) -> None:
        """Copy build/native/<arch>/<module>.mpy to the board's root."""
        data = (boards.paths.NATIVE / arch / f"{module}.mpy").read_bytes()
        self.fs_writefile(f"/{module}.mpy", data)
