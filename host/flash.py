#!/usr/bin/env python3
"""Flash a board straight from a clone: `host/flash.py --board pico [MODEL.tlm]`. The same as `tinylearn flash`."""

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PYTHON = ROOT / ".venv" / "bin" / "python"


def main() -> None:
    sys.path.insert(0, str(ROOT / "host"))
    try:
        from tinylearn_host.cli import main as tinylearn
    except ImportError as error:
        if PYTHON.is_file() and Path(sys.prefix) != PYTHON.parent.parent:
            os.execv(PYTHON, [PYTHON, __file__, *sys.argv[1:]])
        sys.exit(f"{error}. Make the environment first: python3 {ROOT / 'setup' / 'prepare.py'} venv")
    sys.argv[:] = ["tinylearn", "flash", *sys.argv[1:]]
    tinylearn()


if __name__ == "__main__":
    main()
