"""Install and build what is missing. Run with any Python 3.10 or newer, before anything else is there:

    python3 setup/prepare.py venv unix           what `make demo` needs
    python3 setup/prepare.py --print-path micropython    where the MicroPython source tree is

What is fetched and built is kept in $TINYLEARN_CACHE (default ~/.cache/tinylearn) and used again; a firmware is built
again when MicroPython's version or the files that make it change. build/firmware/<board> points at the current one.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import sources
from common import ROOT, SetupError, only_one, say
from environment import venv

import firmware


def pico(built_in: bool) -> Path:
    import rp2

    return rp2.prepare(built_in)


TARGETS = {
    "venv": lambda: venv("requirements.txt"),
    "venv-dev": lambda: venv("requirements.txt", "requirements-dev.txt"),
    "micropython": sources.micropython,
    "mpy-cross": firmware.mpy_cross,
    "unix": firmware.unix,
    "qemu-m3": lambda: firmware.qemu("qemu-m3"),
    "qemu-m4": lambda: firmware.qemu("qemu-m4"),
    "qemu-rv32": lambda: firmware.qemu("qemu-rv32"),
    "pico-emulated": lambda: pico(built_in=False),
    # Firmwares with the native modules linked in: nothing to flash but Python, and no RAM for code.
    "unix-built-in": lambda: firmware.unix(built_in=True),
    "pico-built-in": lambda: pico(built_in=True),
}
# A real board's firmware comes from micropython.org: only its native modules are built here.
for path in sorted((ROOT / "boards").glob("*.toml")):
    TARGETS.setdefault(path.stem, lambda board=path.stem: firmware.compilers_for(board))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("targets", nargs="+", choices=TARGETS, metavar="TARGET", help=", ".join(TARGETS))
    parser.add_argument("--print-path", action="store_true", help="print where each target is, one per line")
    options = parser.parse_args()
    try:
        with only_one():
            for target in options.targets:
                path = TARGETS[target]()
                if options.print_path and path:
                    print(path)
    except SetupError as error:
        say(str(error))
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
