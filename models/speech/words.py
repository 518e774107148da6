"""Spoken words to train on: the Free Spoken Digit Dataset, through the front end of the model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tinylearn_host.front import LogMel
from tinylearn_host.pretraining import sounds

FRONT = LogMel()
SIDE = 32  # frames, and bands
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
        speaker, word = np.array([name[1] for name in names]), np.array([int(name[0]) for name in names])
        return Recordings([sounds.read(file)[0] for file in files], speaker, word)
    with np.load(path) as file:
        pcm = np.split(file["pcm"], file["end"][:-1])
        return Recordings(pcm, file["speaker"], file["digit"].astype(int))


def pictures(recordings: Recordings) -> np.ndarray:
    """What the board sees of each recording: uint8 [N, 32, 32]."""
    return sounds.pictures(recordings.pcm, FRONT)
