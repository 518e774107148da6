"""Samples to calibrate on and to compare with: out of files and arrays, checked against the model's input."""

from __future__ import annotations

import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tinylearn_host.errors import BAD_DATA, TinylearnError

FEW = 32  # below so many calibration samples there is a word


@dataclass(frozen=True)
class Raw:
    """x [N, ...] as somebody gave it, y [N] or None, and what messages call it."""

    x: np.ndarray
    y: np.ndarray | None
    name: str


@dataclass(frozen=True)
class Data:
    """x: float32 [N, *shape], as the float network takes it; y: as given, or None; pixels: whether x came as uint8"""

    x: np.ndarray
    y: np.ndarray | None
    name: str
    pixels: bool

    def __len__(self) -> int:
        return len(self.x)


def load(path: Path) -> Raw:
    """A .npz with `x` and perhaps `y`, or a .npy with x alone. Raises: exit code 13."""
    try:
        if path.suffix == ".npy":
            return Raw(np.load(path, allow_pickle=False), None, str(path))
        with zipfile.ZipFile(path):  # np.load takes other files too
            file = np.load(path, allow_pickle=False)
        with file:
            if "x" not in file.files:
                raise TinylearnError(f"{path} has no array x; it has {', '.join(file.files) or 'none'}", BAD_DATA)
            return Raw(file["x"], file["y"] if "y" in file.files else None, str(path))
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise TinylearnError(f"{path} is no .npz or .npy file that can be read: {error}", BAD_DATA) from None


def of(data: object, name: str) -> Raw:
    """What Python callers give: a path, an array, or a pair (x, y); arrays may be PyTorch's."""
    if isinstance(data, (str, Path)):
        return load(Path(data))
    x, y = data if isinstance(data, tuple) else (data, None)
    return Raw(np.asarray(x), None if y is None else np.asarray(y), name)


def fit(raw: Raw, shape: tuple[int, ...], pixels: tuple[float, float] = (0.0, 1.0), last: bool = True) -> Data:
    """`raw` as a network takes it that wants samples of `shape` (channels first).

    pixels:  what the network was shown for a uint8 of 0 and of 255
    last:    which order of axes is meant where both would do: channels last
    Raises: exit code 13, with what is wrong and what was expected.
    """
    x = _values(raw, pixels)
    x = _axes(x, raw.name, shape, last)
    finite = np.isfinite(x.reshape(len(x), -1)).all(1)
    if not finite.all():
        raise TinylearnError(f"{raw.name}: sample {int(np.argmin(finite))} holds NaN or infinity", BAD_DATA)
    if raw.y is not None and raw.y.shape != (len(x),):
        raise TinylearnError(
            f"{raw.name}: y has shape {raw.y.shape} for {len(x)} samples; one label each was expected", BAD_DATA
        )
    return Data(np.ascontiguousarray(x, np.float32), raw.y, raw.name, raw.x.dtype == np.uint8)


def _values(raw: Raw, pixels: tuple[float, float]) -> np.ndarray:
    kind = raw.x.dtype
    if kind == np.uint8:
        low, high = pixels
        return np.float32(low) + raw.x.astype(np.float32) * np.float32((high - low) / 255)
    if kind.kind != "f":
        raise TinylearnError(
            f"{raw.name}: x is {kind}; expected uint8 (pixels 0 .. 255) or float32 (what the model was trained on)",
            BAD_DATA,
        )
    return raw.x.astype(np.float32)


def _axes(x: np.ndarray, name: str, shape: tuple[int, ...], last: bool) -> np.ndarray:
    if x.ndim < 1 or not len(x):
        raise TinylearnError(f"{name}: there are no samples in it", BAD_DATA)
    one, behind = x.shape[1:], (*shape[1:], shape[0])
    forms = {behind: "last"} if last else {shape: "first"}
    for form, axes in ((shape, "first"), (behind, "last"), *([(shape[1:], "one")] if shape[0] == 1 else [])):
        forms.setdefault(form, axes)
    if one not in forms:
        if len(shape) == 1 and int(np.prod(one)) == shape[0]:
            return x.reshape(len(x), -1)
        words = f"{behind} (channels last) or {shape}" if len(shape) > 1 else f"{shape}"
        raise TinylearnError(f"{name}: samples have the shape {one}; the model takes {words}", BAD_DATA)
    if forms[one] == "one":
        return x[:, None]
    return np.moveaxis(x, -1, 1) if forms[one] == "last" and len(shape) > 1 else x


def check_calibration(data: Data) -> list[str]:
    """Words about calibration samples that are few. Raises (13) where they cannot calibrate anything."""
    if data.x.min() == data.x.max():
        raise TinylearnError(
            f"{data.name}: all samples are constant ({data.x.min():g}); real ones are needed", BAD_DATA
        )
    if len(data) > 1 and (data.x == data.x[:1]).all():
        raise TinylearnError(f"{data.name}: all {len(data)} samples are the same; different ones are needed", BAD_DATA)
    if len(data) < FEW:
        return [f"{len(data)} samples are few to calibrate on: give 100 or more, of every kind that will come"]
    return []


def classes(data: Data, outputs: int, labels: list[str] | None) -> np.ndarray | None:
    """int [N]: y as indices of the model's outputs; None without y. labels: names of the outputs

    Raises: exit code 13 where they do not match.
    """
    if data.y is None:
        return None
    if data.y.dtype.kind in "US":
        names = {label: index for index, label in enumerate(labels or [])}
        unknown = sorted({str(y) for y in data.y} - set(names))
        if not labels or unknown:
            what = f'"{unknown[0]}" is none of the {outputs} labels' if labels else "y holds names"
            raise TinylearnError(f"{data.name}: {what}; name the model's outputs in order with --labels", BAD_DATA)
        return np.array([names[str(y)] for y in data.y])
    if data.y.dtype.kind not in "iub":
        raise TinylearnError(f"{data.name}: y is {data.y.dtype}; labels are whole numbers or strings", BAD_DATA)
    y = data.y.astype(np.int64)
    bad = np.flatnonzero((y < 0) | (y >= outputs))
    if len(bad):
        raise TinylearnError(
            f"{data.name}: label {y[bad[0]]} of sample {bad[0]} is none of the model's {outputs} outputs, "
            f"0 .. {outputs - 1}",
            BAD_DATA,
        )
    return y
