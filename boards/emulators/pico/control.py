"""Client of the emulated Pico's control channel: cycle counter, reset, and power cuts at a chosen flash operation.

    with Control(state) as board:             # the folder given to start.py
        board.cut(after=3, fraction=0.5)      # the fourth erase or program from now stops half way, power is off
        ...
        board.reset()                         # power is on again

Code on the board reads the same cycle counter at CYCLES, low word first: machine.mem32[0x4f000000].
Standard library only.
"""

import json
import socket
import time
from pathlib import Path

CYCLES = 0x4F000000


class Control:
    def __init__(self, state: Path | str, timeout: float = 10):
        """Connect to the emulator that runs on the folder `state`. Raises OSError where none does."""
        port = json.loads((Path(state) / "control.json").read_text())["control"]
        self._socket = socket.create_connection(("127.0.0.1", port), timeout)
        self._lines = self._socket.makefile("r")

    def __enter__(self) -> "Control":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._lines.close()
        self._socket.close()

    def _ask(self, cmd: str, **options: object) -> dict:
        self._socket.sendall(json.dumps({"cmd": cmd, **options}).encode() + b"\n")
        line = self._lines.readline()
        if not line:
            raise ConnectionError("the emulated Pico has ended")
        answer = json.loads(line)
        if not answer.pop("ok"):
            raise ValueError(answer["error"])
        return answer

    def cycles(self) -> int:
        """Cycles that the core has executed since the emulator was started."""
        return self._ask("cycles")["cycles"]

    def nanos(self) -> float:
        """Emulated nanoseconds since the board's last reset: cycles, and the time that the core slept."""
        return self._ask("cycles")["nanos"]

    def profile(self) -> dict:
        """What code on the board has had counted: it writes 1 to 0x4f00001c to add cycles, -1 to take them off, and 0
        to stop. sram: [[offset, cycles], ..] of instructions in RAM; flash, rom: cycles; memory: the RAM, base64."""
        return self._ask("profile")

    def status(self) -> dict:
        """up, power, sleeping: bool; resets, erased_sectors, programmed_pages: since the emulator was started."""
        return self._ask("status")

    def reset(self) -> None:
        """Power off and on. The serial port's connection breaks; wait_until_up() says when the board is back."""
        self._ask("reset")

    def cut(self, after: int, fraction: float = 0) -> None:
        """Cut the power after `after` more flash operations, with `fraction` (0..1) of the following one done."""
        self._ask("cut", after=after, fraction=fraction)

    def wait_until_up(self, timeout: float = 30) -> None:
        """Wait until the board has booted and come to rest at its prompt. Raises TimeoutError."""
        self._wait_for("up", True, timeout)

    def wait_until_cut(self, timeout: float = 30) -> None:
        """Wait until the power is cut. Raises TimeoutError."""
        self._wait_for("power", False, timeout)

    def _wait_for(self, key: str, value: bool, timeout: float) -> None:
        end = time.monotonic() + timeout
        while self.status()[key] != value:
            if time.monotonic() > end:
                raise TimeoutError(f"the emulated Pico's {key} did not become {value} in {timeout} s")
            time.sleep(0.01)
