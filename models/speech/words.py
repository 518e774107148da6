"""Spoken words to train on: the Free Spoken Digit Dataset through the front end of the model, and backwards as words of
their own; spoken faster and slower (which moves the voice, too), earlier and later in the second, in noise."""

from __future__ import annotations

import wave
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from tinylearn_host.front import Front, LogMel
from torch import Tensor

FRONT = LogMel()
SIDE = 32  # frames, and bands
VARIANTS = 8  # of each recording
NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


@dataclass
class Recordings:
    """pcm: one int16 array each, 8 kHz; speaker, word (0 .. 9): [N]"""

    pcm: list[np.ndarray]
    speaker: np.ndarray
    word: np.ndarray

    def only(self, chosen: np.ndarray) -> Recordings:
        """Those of a boolean mask [N]."""
        kept = [pcm for pcm, keep in zip(self.pcm, chosen, strict=True) if keep]
        return Recordings(kept, self.speaker[chosen], self.word[chosen])


def load(path: str | Path) -> Recordings:
    """From an .npz with pcm, end, speaker and digit, or from the folder `recordings` of the data set's own repository,
    github.com/Jakobovski/free-spoken-digit-dataset: WAVs named digit_speaker_take.wav."""
    if Path(path).is_dir():
        files = sorted(Path(path).glob("[0-9]_*_*.wav"))
        names = [file.stem.split("_") for file in files]
        return Recordings(
            [_wav(file) for file in files], np.array([n[1] for n in names]), np.array([int(n[0]) for n in names])
        )
    with np.load(path) as file:
        pcm = np.split(file["pcm"], file["end"][:-1])
        return Recordings(pcm, file["speaker"], file["digit"].astype(int))


def _wav(path: Path) -> np.ndarray:
    with wave.open(str(path)) as file:
        return np.frombuffer(file.readframes(file.getnframes()), "<i2")


def second(pcm: np.ndarray, at: float = 0.5) -> np.ndarray:
    """One second with the recording in it: at 0 as early, at 1 as late as it fits. Longer ones lose both ends."""
    spare = FRONT.samples - len(pcm)
    if spare < 0:
        return pcm[-spare // 2 :][: FRONT.samples]
    page = np.zeros(FRONT.samples, pcm.dtype)
    start = int(at * spare)
    page[start : start + len(pcm)] = pcm
    return page


def pictures(recordings: Recordings) -> np.ndarray:
    """What the board sees of each recording: uint8 [N, 32, 32]."""
    front = Front(FRONT.pack())
    return np.stack([_bright(front(second(pcm))) for pcm in recordings.pcm])


def variants(recordings: Recordings, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Two sets of pictures uint8 [N, VARIANTS, 32, 32]: the words, and the words backwards."""
    random, front = np.random.default_rng(seed), Front(FRONT.pack())

    def drawn(pcm: np.ndarray) -> Iterator[np.ndarray]:
        for _ in range(VARIANTS):
            sound = second(_faster(pcm, np.exp(random.uniform(-0.2, 0.2))), random.random())
            yield _bright(front(_noisy(sound, random.uniform(15, 60), random)))

    forwards = np.array([list(drawn(pcm.astype(float))) for pcm in recordings.pcm])
    backwards = np.array([list(drawn(pcm[::-1].astype(float))) for pcm in recordings.pcm])
    return forwards, backwards


def _bright(picture: np.ndarray) -> np.ndarray:
    return picture[..., 0].view(np.uint8) ^ 128


def _faster(sound: np.ndarray, ratio: float) -> np.ndarray:
    return np.interp(np.arange(int(len(sound) / ratio)) * ratio, np.arange(len(sound)), sound)


def _noisy(sound: np.ndarray, decibels: float, random: np.random.Generator) -> np.ndarray:
    """int16, with noise so far below its peak: between white and pink."""
    spectrum = np.fft.rfft(random.normal(size=len(sound)))
    spectrum *= (np.arange(len(spectrum)) + 20.0) ** -random.uniform(0, 0.7)
    noise = np.fft.irfft(spectrum, len(sound))
    noise *= np.abs(sound).max() * 10 ** (-decibels / 20) / noise.std()
    return np.clip(np.rint(sound + noise), -32768, 32767).astype(np.int16)


def redraw(pictures: Tensor) -> Tensor:
    """Pictures 0 .. 1 [N, 1, 32, 32], each moved and stretched in time and pitch, tinted, with stripes cut out
    (SpecAugment, Park et al. 2019, arXiv 1904.08779)."""
    n = len(pictures)

    def each(low: float, high: float) -> Tensor:
        return torch.empty(n, 1, 1, 1).uniform_(low, high)

    maps = torch.zeros(n, 2, 3)
    for row, shift in ((0, 0.12), (1, 0.15)):  # bands, then time
        maps[:, row, row], maps[:, row, 2] = each(0.9, 1.1).view(n), each(-shift, shift).view(n)
    pictures = F.grid_sample(pictures, F.affine_grid(maps, pictures.shape, align_corners=False), align_corners=False)
    colour = torch.linspace(-1, 1, SIDE) * each(-0.15, 0.15) + each(-0.1, 0.05)
    colour = colour + F.interpolate(0.06 * torch.randn(n, 1, 5), SIDE, mode="linear")[:, :, None]
    pictures = torch.where(pictures > 0.02, pictures + colour, pictures)
    for shape in ((n, 1, SIDE, 1), (n, 1, 1, SIDE)):
        first, wide = torch.randint(SIDE, (n, 1)), torch.randint(6, (n, 1))
        line = torch.arange(SIDE)
        pictures = pictures * ((line < first) | (line >= first + wide)).view(shape)
    return pictures.clamp(0, 1)
