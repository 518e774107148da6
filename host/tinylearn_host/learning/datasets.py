"""Samples to learn from, by file: `Pool`s of int8 samples with their class, and whose they are.

A file is known by its arrays (`LAYOUTS`), so another one with the same arrays takes its place. What a person or an
alphabet gave is never split: tasks draw from the groups that a model has not been trained on.
"""

from __future__ import annotations

import itertools
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tinylearn_host import digits, samples
from tinylearn_host.errors import BAD_DATA, TinylearnError

Front = Callable[[np.ndarray], np.ndarray]  # one sample of a sensor -> what the network takes, int8

# Arrays of a file, and what it is.
LAYOUTS = {
    "glyphs": ("images", "alphabet"),
    "speech": ("pcm", "end", "speaker", "digit"),
    "armband": ("emg", "end", "label", "participant", "session", "gesture"),
    "samples": ("x", "y"),
}
FILES = {"glyphs": "omniglot_background.npz", "speech": "spoken_digits.npz", "armband": "emg_gestures.npz"}


@dataclass(frozen=True)
class Pool:
    """x int8 [N, inputs]; label, group, part [N]: class, alphabet or person, and time within what the person gave.

    raw: what a sensor gave, [N, ...], where methods without a network want it. names: of the classes, as models that
    know them have them among their labels.
    """

    x: np.ndarray
    label: np.ndarray
    group: np.ndarray
    part: np.ndarray
    raw: np.ndarray | None = None
    names: tuple[str, ...] | None = None

    def only(self, groups: list[str]) -> Pool:
        rows = np.isin(self.group, groups)
        raw = None if self.raw is None else self.raw[rows]
        return Pool(self.x[rows], self.label[rows], self.group[rows], self.part[rows], raw, self.names)


def layout(path: str | Path) -> str:
    """Which of LAYOUTS a file has. Raises exit code 13 where it is none of them."""
    try:
        with zipfile.ZipFile(path) as file:
            arrays = {name.removesuffix(".npy") for name in file.namelist()}
    except (OSError, zipfile.BadZipFile) as error:
        raise TinylearnError(f"{path} is not an .npz file that can be read: {error}", BAD_DATA) from None
    for name, wanted in LAYOUTS.items():
        if set(wanted) <= arrays:
            return name
    known = "; ".join(f"{name}: {', '.join(wanted)}" for name, wanted in LAYOUTS.items())
    raise TinylearnError(f"{path} has the arrays {', '.join(sorted(arrays))}; expected are those of {known}", BAD_DATA)


def _read(path: str | Path, names: tuple[str, ...], rate: int | None = None) -> list[np.ndarray]:
    """Arrays of a file; exit code 13 where one of them cannot be read or is empty, or where the file names another
    rate, in samples a second."""
    try:
        with np.load(path, allow_pickle=False) as file:
            found = [file[name] for name in names]
            said = int(file["rate"]) if rate and "rate" in file.files else rate
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise TinylearnError(f"{path} cannot be read: {error}", BAD_DATA) from None
    for name, array in zip(names, found, strict=True):
        if not array.size:
            raise TinylearnError(f"{path}: {name} is empty (shape {array.shape})", BAD_DATA)
    if said != rate:
        raise TinylearnError(f"{path}: rate is {said}; expected {rate} samples a second", BAD_DATA)
    return found


def _recorded(path: str | Path, name: str, ends: np.ndarray, samples: int, **each: np.ndarray) -> np.ndarray:
    """The first sample of each recording. Exit code 13 where `ends` are not those of recordings of `samples` samples,
    or where an array has not one entry for each."""
    ordered = ends.ndim == 1 and ends.dtype.kind in "iu" and (np.diff(ends.astype(np.int64), prepend=0) > 0).all()
    if not ordered or int(ends[-1]) > samples:
        raise TinylearnError(
            f"{path}: end says where each recording ends, in rising whole numbers up to {samples}, what {name} has",
            BAD_DATA,
        )
    for other, array in each.items():
        if array.shape != ends.shape:
            raise TinylearnError(
                f"{path}: {other} has shape {array.shape}; expected one for each of {len(ends)} ends", BAD_DATA
            )
    return np.concatenate([[0], ends[:-1]]).astype(np.int64)


def _names(of: np.ndarray) -> np.ndarray:
    """Whose samples are, as text: files have names, bytes or numbers."""
    return of.astype(str)


def pixels(images: np.ndarray) -> np.ndarray:
    """uint8 [N, h, w], bright ink, as int8 [N, h * w]."""
    return (images.astype(np.int16) - 128).astype(np.int8).reshape(len(images), -1)


def _pool(x: np.ndarray, label: np.ndarray, group: np.ndarray | None = None, names=None) -> Pool:
    nobody = np.zeros(len(x), int)
    return Pool(x, label, nobody if group is None else group, nobody, names=names)


# ---- Pictures --------------------------------------------------------------------------------------------------------


def written_digits(invert: bool = False) -> Pool:
    """scikit-learn's digits; invert: dark ink on a bright page."""
    images, labels = digits.load()
    return _pool(pixels(255 - images if invert else images), labels)


def glyphs(path: str | Path) -> Pool:
    """Characters: uint8 [classes, drawings, 28, 28] with ink bright, and the alphabet of each."""
    images, alphabets = _read(path, LAYOUTS["glyphs"])
    if images.ndim != 4 or alphabets.shape != images.shape[:1]:
        raise TinylearnError(
            f"{path}: images has shape {images.shape} and alphabet {alphabets.shape}; expected [classes, drawings, "
            "height, width] and [classes]",
            BAD_DATA,
        )
    if images.dtype == bool:
        images = images * np.uint8(255)
    if images.dtype != np.uint8:
        raise TinylearnError(f"{path}: images is {images.dtype}; expected uint8, ink 255 and paper 0", BAD_DATA)
    each = images.shape[1]
    labels = np.repeat(np.arange(len(images)), each)
    return _pool(pixels(images.reshape(-1, *images.shape[2:])), labels, np.repeat(_names(alphabets), each))


def user(path: str | Path) -> Pool:
    """Examples of a user's own: x uint8 (pixels) or int8 (as the model takes them), and y."""
    examples = samples.load(Path(path))
    if examples.x.dtype == np.float32:
        raise TinylearnError(f"{path}: x is {examples.x.dtype}; the benchmark takes uint8 or int8", BAD_DATA)
    x = examples.x if examples.x.dtype == np.int8 else pixels(examples.x)
    return _pool(x, np.unique(np.array(examples.y), return_inverse=True)[1])


# ---- Speech ----------------------------------------------------------------------------------------------------------

SECOND = 8000  # samples
WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


def recordings(path: str | Path) -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
    """(PCM int16 of each recording, its speaker, its word)."""
    pcm, ends, speakers, words = _read(path, LAYOUTS["speech"], SECOND)
    if pcm.dtype != np.int16 or pcm.ndim != 1:
        raise TinylearnError(f"{path}: pcm is {pcm.dtype} {pcm.shape}; expected int16 [samples]", BAD_DATA)
    starts = _recorded(path, "pcm", ends, len(pcm), speaker=speakers, digit=words)
    return [pcm[a:b] for a, b in zip(starts, ends, strict=True)], _names(speakers), words


def speech(path: str | Path, front: Front, length: int = SECOND) -> Pool:
    """Words, each in the middle of `length` samples of PCM at 8 kHz; the middle of longer ones."""
    pieces, speakers, words = recordings(path)
    x = np.stack([front(centred(piece, length)).reshape(-1) for piece in pieces])
    names, labels = _vocabulary(words)
    return _pool(x, labels, speakers, names)


def _vocabulary(words: np.ndarray) -> tuple[tuple[str, ...], np.ndarray]:
    """(names of the classes, the class of each recording) of digits, or of words by name."""
    if words.dtype.kind in "iu" and words.min() >= 0 and words.max() < len(WORDS):
        return WORDS, words.astype(int)
    names, labels = np.unique(_names(words), return_inverse=True)
    return tuple(map(str, names)), labels


def centred(pcm: np.ndarray, length: int) -> np.ndarray:
    """int16 [length]: silence on both sides, or cut off on both."""
    cut = max(len(pcm) - length, 0) // 2
    pcm = pcm[cut : cut + length]
    before = (length - len(pcm)) // 2
    return np.pad(pcm, (before, length - len(pcm) - before))


def spectrograms(pool: Pool, frames: int, bins: int) -> Pool:
    """Spoken words as pictures for a network that knows drawings: brightness of `pool`, 28 x 28."""
    bright = pool.x.reshape(-1, frames, bins).astype(np.float64) + 128
    return _pool(pixels(digits.enlarge(bright.transpose(0, 2, 1)[:, ::-1])), pool.label, pool.group)


# ---- Armband ---------------------------------------------------------------------------------------------------------

WINDOW, STRIDE, RATE = 48, 24, 200  # samples of 5 ms: 240 ms, every 120 ms
ELECTRODES = 8


def armband(path: str | Path, front: Front, wearers: list[str] | None = None) -> Pool:
    """Windows of 240 ms; part: 100 * session + block of 5 s. The first half second of a block is left out: the hand is
    still on its way. wearers: whose; None or none: everybody's.
    """
    emg, ends, shown, who, session, gesture = _read(path, LAYOUTS["armband"], RATE)
    if emg.dtype != np.int8 or emg.ndim != 2 or emg.shape[1] != ELECTRODES or len(shown) != len(emg):
        raise TinylearnError(
            f"{path}: emg is {emg.dtype} {emg.shape} and label {shown.shape}; expected int8 [samples, {ELECTRODES}] "
            "and [samples]",
            BAD_DATA,
        )
    starts = _recorded(path, "emg", ends, len(emg), participant=who, session=session, gesture=gesture)
    who, session = _names(who), session.astype(int)
    x, labels, groups, parts, known = [], [], [], [], np.unique(gesture).tolist()
    for recording, (start, end) in enumerate(zip(starts, ends, strict=True)):
        if wearers and who[recording] not in wearers:
            continue
        spans = _blocks(shown[start:end], int(gesture[recording]))
        for block, (a, b) in enumerate(spans):
            windows = _windows(emg[start + a + RATE // 2 : start + b])
            x += windows
            labels += [known.index(gesture[recording])] * len(windows)
            groups += [str(who[recording])] * len(windows)
            parts += [100 * session[recording] + block] * len(windows)
    if not x:
        whose = f"; there are {', '.join(np.unique(who))}" if wearers else ""
        raise TinylearnError(f"{path} has no gesture of {', '.join(wearers or []) or 'anybody'}{whose}", BAD_DATA)
    raw = np.array(x)
    pictures = np.stack([front(window).reshape(-1) for window in raw])
    return Pool(pictures, np.array(labels), np.array(groups), np.array(parts), raw)


def _blocks(shown: np.ndarray, gesture: int) -> list[tuple[int, int]]:
    """(first, behind last) sample of each 5 s of a gesture; rest goes on for a minute: the same rhythm."""
    if gesture == 0:
        return [(a, a + 5 * RATE) for a in range(0, len(shown) - 5 * RATE, 10 * RATE)]
    edges = np.concatenate([[0], np.flatnonzero(np.diff(shown)) + 1, [len(shown)]])
    return [(a, b) for a, b in itertools.pairwise(edges) if shown[a] == gesture and b - a > RATE]


def _windows(emg: np.ndarray) -> list[np.ndarray]:
    return [emg[a : a + WINDOW] for a in range(0, len(emg) - WINDOW + 1, STRIDE)]


def log_rms(windows: np.ndarray) -> np.ndarray:
    """int8 [windows, samples, 8] -> log2 of each electrode's RMS, float64 [windows, 8]."""
    return np.log2(np.sqrt((windows.astype(np.float64) ** 2).mean(1)) + 0.5)
