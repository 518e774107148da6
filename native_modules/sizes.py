"""A table of the native modules' bytes, which a board holds in RAM while they are loaded: `make sizes`."""

import sys
from pathlib import Path

modules = sorted(Path(sys.argv[1]).glob("*/*.mpy"))
names = sorted({m.stem for m in modules})
print("| architecture | " + " | ".join(names) + " |")
print("|---|" + "---|" * len(names))
for folder in sorted({m.parent for m in modules}):
    print(f"| {folder.name} | " + " | ".join(str((folder / f"{name}.mpy").stat().st_size) for name in names) + " |")
