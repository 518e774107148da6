"""The `unix` board: MicroPython's unix port as a board on a serial port. See serial_port.py for how it is stopped."""

import argparse
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
import serial_port  # noqa: E402

SOFT_RESET_FROM_RAW_REPL = 10  # the exit code by which boot.py says that the raw REPL was active


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--firmware", required=True, type=Path, help="folder with the built micropython")
    parser.add_argument("--state", required=True, type=Path, help="folder that is the board's filesystem")
    parser.add_argument("--heap", default=512 * 1024, type=int, help="bytes of the garbage-collected heap")
    options = parser.parse_args()
    files, romfs = options.state / "files", options.state / "romfs.img"
    serial_port.claim(options.state)
    files.mkdir(exist_ok=True)

    def spawn(last_exit: int | None) -> tuple[subprocess.Popen, int]:
        ours, terminal = os.openpty()
        process = subprocess.Popen(
            [
                options.firmware.absolute() / "micropython",
                "-X",
                f"heapsize={options.heap}",
                HERE / "boot.py",
                files.absolute(),
                romfs.absolute(),
                "raw" if last_exit == SOFT_RESET_FROM_RAW_REPL else "friendly",
            ],
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
            cwd=files,
            env={},
            start_new_session=True,
            preexec_fn=serial_port.die_with_parent,
        )
        os.close(terminal)
        return process, ours

    serial_port.serve(spawn)


if __name__ == "__main__":
    main()
