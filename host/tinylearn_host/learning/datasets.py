"""Samples to learn from, by file: `Pool`s of int8 samples with their class, and whose they are.

A file is known by its arrays (`LAYOUTS`), so another one with the same arrays takes its place. What a person or an
alphabet gave is never split: tasks draw from the groups that a model has not been trained on.
"""

from __future__ import annotations

import itertools
import zipfile
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
    with np.load(path) as file:
        images, alphabets = file["images"], file["alphabet"]
    if images.ndim != 4 or len(images) != len(alphabets):
        raise TinylearnError(
            f"{path}: images has shape {images.shape} and alphabet {alphabets.shape}; expected [classes, drawings, "
            "height, width] and [classes]",
            BAD_DATA,
        )
    each = images.shape[1]
    labels = np.repeat(np.arange(len(images)), each)
    return _pool(pixels(images.reshape(-1, *images.shape[2:])), labels, np.repeat(alphabets, each))


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
    with np.load(path) as file:
        pcm, ends, speakers, words = (file[name] for name in LAYOUTS["speech"])
    starts = np.concatenate([[0], ends[:-1]])
    return [pcm[a:b] for a, b in zip(starts, ends, strict=True)], speakers, words


def speech(path: str | Path, front: Front, length: int = SECOND) -> Pool:
    """Words, each in the middle of `length` samples of PCM at 8 kHz; the middle of longer ones."""
    pieces, speakers, words = recordings(path)
    x = np.stack([front(centred(piece, length)).reshape(-1) for piece in pieces])
    return _pool(x, words.astype(int), speakers, WORDS)


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
GESTURES = 8


def armband(path: str | Path, front: Front, wearers: list[str] | None = None) -> Pool:
    """Windows of 240 ms; part: 100 * session + block of 5 s. The first half second of a block is left out: the hand is
    still on its way. wearers: whose; None: everybody's.
    """
    with np.load(path) as file:
        emg, shown, ends = file["emg"], file["label"], file["end"]
        who, session, gesture = file["participant"], file["session"].astype(int), file["gesture"]
    x, labels, groups, parts = [], [], [], []
    for recording, end in enumerate(ends):
        if wearers is not None and who[recording] not in wearers:
            continue
        start = ends[recording - 1] if recording else 0
        spans = _blocks(shown[start:end], int(gesture[recording]))
        for block, (a, b) in enumerate(spans):
            windows = _windows(emg[start + a + RATE // 2 : start + b])
            x += windows
            labels += [int(gesture[recording])] * len(windows)
            groups += [str(who[recording])] * len(windows)
            parts += [100 * session[recording] + block] * len(windows)
    if not x:
        raise TinylearnError(f"{path} has no recording of {', '.join(wearers or [])}", BAD_DATA)
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
