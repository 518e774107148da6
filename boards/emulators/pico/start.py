"""The `pico-emulated` board: the stock Pico firmware in rp2040js, its USB serial on a pseudo-terminal.

Prints the port when the board is up: /dev/pts/7, or socket://127.0.0.1:4711 with --tcp. Ends when stdin closes or on
SIGTERM, and with it goes everything it started: this very process becomes the emulator. Standard library only.
"""

import argparse
import fcntl
import os
import sys
import tty
from pathlib import Path

HERE = Path(__file__).resolve().parent
BUILD = HERE.parents[2] / "build"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    state = Path(os.environ.get("TINYLEARN_STATE") or BUILD / "boards") / "pico-emulated"
    parser.add_argument("--firmware", type=Path, default=BUILD / "firmware" / "pico-emulated", help="folder")
    parser.add_argument("--state", type=Path, default=state, help="folder in which the flash is kept")
    parser.add_argument("--tcp", type=int, metavar="PORT", help="serve a TCP port instead, 0 for any")
    options = parser.parse_args()
    for file in (options.firmware / "firmware.bin", HERE / "node_modules" / "rp2040js" / "package.json"):
        if not file.is_file():
            sys.exit(f"{file} is missing, make it with: python3 setup/prepare.py pico-emulated")
    hold(options.state)
    files = [HERE / "bridge.mjs", options.firmware / "bootrom.bin", options.firmware / "firmware.bin", options.state]
    line = ["pty", *terminal()] if options.tcp is None else ["tcp", str(options.tcp)]
    os.execvp("node", ["node", *map(str, files), *line])


def terminal() -> tuple[str, str]:
    """Open a raw pseudo-terminal for the emulator to inherit. Returns the master's descriptor and the port's name."""
    master, slave = os.openpty()  # with the slave held open, the port stays when a program closes it
    tty.setraw(slave)
    os.set_inheritable(master, True)
    os.set_inheritable(slave, True)
    return str(master), os.ttyname(slave)


def hold(state: Path) -> None:
    """Lock the state folder: a chip is in one board. The lock lives as long as the emulator, which inherits it."""
    state.mkdir(parents=True, exist_ok=True)
    lock = os.open(state / "lock", os.O_RDWR | os.O_CREAT)
    os.set_inheritable(lock, True)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        sys.exit(f"an emulated Pico is already running on {state}; another one needs another --state")


if __name__ == "__main__":
    main()
