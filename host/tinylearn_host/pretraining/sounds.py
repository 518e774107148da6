"""Recorded words as a model's front end sees them: placed in its second, faster and slower (which moves the voice,
too), earlier and later, in noise, and backwards as words of their own."""

from __future__ import annotations

import wave
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from tinylearn_host.errors import BAD_DATA, TinylearnError
from tinylearn_host.front import Front, LogMel

VARIANTS = 8  # of each recording
WIDTHS = {1: "u1", 2: "<i2", 4: "<i4"}  # bytes of a sample


def read(path: Path) -> tuple[np.ndarray, int]:
    """(int16 [n], samples a second) of a WAV of PCM; channels are averaged. Raises: exit code 13, naming the file."""
    try:
        with wave.open(str(path), "rb") as file:
            width, channels, rate = file.getsampwidth(), file.getnchannels(), file.getframerate()
            raw = file.readframes(file.getnframes())
    except (OSError, EOFError, wave.Error) as error:
        raise TinylearnError(
            f"{path} is no WAV of PCM that can be read: {error or 'it is cut short'}", BAD_DATA
        ) from None
    if width not in WIDTHS:
        raise TinylearnError(f"{path} has {8 * width} bits a sample; save it with 16", BAD_DATA)
    values = np.frombuffer(raw[: len(raw) // (width * channels) * width * channels], WIDTHS[width]).astype(float)
    values = (values - 128) * 256 if width == 1 else values / 256.0 ** (width - 2)
    pcm = np.rint(values.reshape(-1, channels).mean(1)).astype(np.int16)
    if not pcm.any():
        raise TinylearnError(f"{path} holds {len(pcm)} samples of silence", BAD_DATA)
    return pcm, rate


def resampled(pcm: np.ndarray, rate: int, wanted: int) -> np.ndarray:
    """int16 at another rate, through a filter that keeps what is above its half out."""
    if rate == wanted:
        return pcm
    from scipy.signal import resample_poly  # scikit-learn brings SciPy along

    return np.clip(np.rint(resample_poly(pcm.astype(float), wanted, rate)), -32768, 32767).astype(np.int16)


def placed(pcm: np.ndarray, samples: int, at: float = 0.5) -> np.ndarray:
    """So many samples with the recording among them: at 0 as early, at 1 as late as it fits. Longer ones lose both
    ends."""
    spare = samples - len(pcm)
    if spare < 0:
        return pcm[-spare // 2 :][:samples]
    page = np.zeros(samples, pcm.dtype)
    start = int(at * spare)
    page[start : start + len(pcm)] = pcm
    return page


def pictures(recordings: list[np.ndarray], log_mel: LogMel) -> np.ndarray:
    """What the board sees of each, int16 [n]: uint8 [N, frames, bins]."""
    front = Front(log_mel.pack())
    return np.stack([_bright(front(placed(pcm, log_mel.samples))) for pcm in recordings])


def variants(
    recordings: list[np.ndarray],
    log_mel: LogMel,
    seed: int,
    watch: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[np.ndarray, np.ndarray]:
    """Two sets of pictures uint8 [N, VARIANTS, frames, bins]: the words, and the words backwards."""
    random, front, total = np.random.default_rng(seed), Front(log_mel.pack()), 2 * len(recordings)

    def drawn(pcm: np.ndarray) -> Iterator[np.ndarray]:
        for _ in range(VARIANTS):
            sound = placed(_faster(pcm, np.exp(random.uniform(-0.2, 0.2))), log_mel.samples, random.random())
            yield _bright(front(_noisy(sound, random.uniform(15, 60), random)))

    sets = []
    for turn, step in enumerate((1, -1)):
        rows = []
        for number, pcm in enumerate(recordings, start=1):
            rows.append(list(drawn(pcm[::step].astype(float))))
            watch(turn * len(recordings) + number, total)
        sets.append(np.array(rows))
    return sets[0], sets[1]


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
