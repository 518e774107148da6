"""Examples from an .npz file: `x` [N, H, W, C] or [N, H, W] (or [N, F] for vectors) and `y` [N]."""

from __future__ import annotations

import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tinylearn_host.errors import BAD_DATA, TinylearnError

TYPECODES = {np.dtype(np.uint8): "B", np.dtype(np.int8): "b", np.dtype(np.int16): "h", np.dtype(np.float32): "f"}


@dataclass(frozen=True)
class Samples:
    """Examples as the board takes them.

    x:  [N, inputs] uint8 (pixels), int8 (already quantised) or float32 (real values), or what the model's front end
        takes (int16 PCM), one contiguous row per example
    y:  N labels, int or str
    """

    x: np.ndarray
    y: list[int] | list[str]

    def __len__(self) -> int:
        return len(self.y)

    @property
    def typecode(self) -> str:
        """The element type as Python's array module names it."""
        return TYPECODES[self.x.dtype]

    @property
    def classes(self) -> list[int] | list[str]:
        """Labels that occur, sorted."""
        return sorted(set(self.y))


def load(path: Path, inputs: int | None = None) -> Samples:
    """Read `path`. `inputs`: how many values the model takes per example, None to accept any.

    Raises: exit code 13, saying which array is wrong and what was expected.
    """
    try:
        with zipfile.ZipFile(path):  # np.load takes other files too
            file = np.load(path, allow_pickle=False)
        with file:
            missing = {"x", "y"} - set(file.files)
            if missing:
                raise TinylearnError(
                    f"{path} has no array {' and no array '.join(sorted(missing))}; it has {', '.join(file.files)}",
                    BAD_DATA,
                )
            x, y = file["x"], file["y"]
    except (OSError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        raise TinylearnError(f"{path} is not an .npz file that can be read: {error}", BAD_DATA) from None
    return check(x, y, inputs, str(path))


def check(x: np.ndarray, y: np.ndarray, inputs: int | None = None, name: str = "the data") -> Samples:
    """Arrays as Samples; raises as `load`."""
    if x.dtype == np.float64:
        x = x.astype(np.float32)
    if x.dtype not in TYPECODES:
        raise TinylearnError(
            f"{name}: x is {x.dtype}; expected uint8 (pixels), int8 (quantised), float32 (real values) or int16 (PCM)",
            BAD_DATA,
        )
    if x.ndim < 2 or y.ndim != 1 or len(x) != len(y):
        raise TinylearnError(
            f"{name}: x has shape {x.shape} and y {y.shape}; expected [N, H, W, C] or [N, H, W], and [N]", BAD_DATA
        )
    if not len(x):
        raise TinylearnError(f"{name}: there is no example in it", BAD_DATA)
    if y.dtype.kind not in "iuU":
        raise TinylearnError(f"{name}: y is {y.dtype}; labels are whole numbers or strings", BAD_DATA)
    if x.dtype == np.float32 and not np.isfinite(x).all():
        raise TinylearnError(
            f"{name}: x holds values that are not finite, first in example {int(np.argwhere(~np.isfinite(x))[0][0])}",
            BAD_DATA,
        )
    rows = np.ascontiguousarray(x.reshape(len(x), -1))
    if inputs is not None and rows.shape[1] != inputs:
        raise TinylearnError(
            f"{name}: an example has {rows.shape[1]} values (shape {x.shape[1:]}), the model takes {inputs}", BAD_DATA
        )
    return Samples(rows, y.tolist())
