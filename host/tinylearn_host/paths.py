"""Where things are: in a clone of the repository, or in an installed wheel, which carries boards and firmware."""

from pathlib import Path

_HERE = Path(__file__).resolve().parent
_CLONE = _HERE.parents[1]

IS_CLONE = (_CLONE / "boards").is_dir() and (_CLONE / "firmware").is_dir()
ROOT = _CLONE if IS_CLONE else _HERE / "_data"

BOARDS = ROOT / "boards"
FIRMWARE = ROOT / "firmware" / "tinylearn"  # the Python package on the board, as source
MODELS = ROOT / "models"
BUILD = ROOT / "build"
NATIVE = BUILD / "native"  # native modules, one folder per architecture
SIMULATOR = ROOT / "native_modules" / "cpython"  # the native modules for CPython
