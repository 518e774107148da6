"""An emulated Pico for one test: started on a state folder of its own, killed at the end of the block."""

import subprocess
import sys
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from mpremote.transport_serial import SerialTransport

ROOT = Path(__file__).resolve().parents[2]
EMULATOR = ROOT / "boards" / "emulators" / "pico"
sys.path.insert(0, str(EMULATOR))

from control import Control  # noqa: E402


@cache
def prepare() -> None:
    """Build the firmware and the boot ROM and install the emulator, where they are not there yet."""
    subprocess.run([sys.executable, ROOT / "setup" / "prepare.py", "pico-emulated"], check=True)


class Pico:
    """`port` is its serial port, `process` the emulator, `state` the folder with its flash."""

    def __init__(self, state: Path, *options: str):
        prepare()
        self.state = state
        self.process = subprocess.Popen(
            [sys.executable, EMULATOR / "start.py", "--state", state, *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.port = self.process.stdout.readline().strip()
        if not self.port:
            raise AssertionError(f"the emulated Pico did not start: {self.process.communicate()[1]}")

    def control(self) -> Control:
        return Control(self.state)

    @contextmanager
    def repl(self, soft_reset: bool = True):
        """mpremote's transport, at the raw REPL."""
        transport = SerialTransport(self.port, wait=0)
        try:
            transport.enter_raw_repl(soft_reset=soft_reset)
            yield transport
            transport.exit_raw_repl()
        finally:
            transport.serial.close()  # transport.close() would fail on a port that is gone

    @contextmanager
    def running(self, code: str):
        """The same with `code` running on the board, which need not come back to its prompt."""
        with self.repl() as transport:
            transport.exec_raw_no_follow(code)
            transport.exit_raw_repl = lambda: None
            yield transport

    def run(self, code: str) -> str:
        """What `code` prints on the board."""
        with self.repl() as transport:
            return transport.exec(code).decode().replace("\r\n", "\n")

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()

    def stop(self) -> int:
        """End it as the host tool does, by closing its stdin. Returns its exit code."""
        self.process.communicate(timeout=10)
        return self.process.returncode


@contextmanager
def started(state: Path, *options: str):
    pico = Pico(state, *options)
    try:
        yield pico
    finally:
        pico.kill()
