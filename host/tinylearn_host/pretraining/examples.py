"""A user's own examples: a folder with a subfolder per class, of images, WAVs or CSVs; or a CSV with a column "label".

Whatever is wrong with a file is said with its name, and line, before anything is trained. Raises: exit code 13.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from tinylearn_host.errors import BAD_DATA, TinylearnError
from tinylearn_host.front import LogMel
from tinylearn_host.pretraining import sounds, tables
from tinylearn_host.pretraining.sounds import resampled

IMAGES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".pgm", ".ppm", ".tif", ".tiff", ".webp")
FEWEST = 4  # files of a class: a quarter is held out, and a few must be left to learn from
RATES = (8000, 16000)
MOST = 1 << 31  # bytes of examples that are held in memory


@dataclass
class Examples:
    """What the network is to learn.

    x:          [N, h, w, channels] uint8 pictures, or float32 signals in the units of their files
    y:          index of each one's class [N]; source: number of the file, or recording, that it is from [N]
    classes:    names, sorted
    domain:     "image", "spectrogram" or "signal"
    pcm:        the recordings that x was made of, and front: how
    notes:      sentences that the user should read
    overlap:    how many windows before one share rows with it
    """

    x: np.ndarray
    y: np.ndarray
    source: np.ndarray
    classes: list[str]
    domain: str
    pcm: list[np.ndarray] = field(default_factory=list)
    front: LogMel | None = None
    notes: list[str] = field(default_factory=list)
    overlap: int = 0


def bad(what: str) -> TinylearnError:
    return TinylearnError(what, BAD_DATA)


def files_of(folder: Path, suffixes: tuple[str, ...]) -> dict[str, list[Path]]:
    """class -> its files, sorted, of a folder with a subfolder per class."""
    if not folder.is_dir():
        raise bad(f"{folder} is no folder; one with a subfolder per class was expected")
    folders = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    found = {
        path.name: sorted(file for file in path.rglob("*") if file.suffix.lower() in suffixes and file.is_file())
        for path in folders
    }
    if not any(found.values()):
        raise bad(f"{folder} has no {', '.join(suffixes)} in subfolders; each class has its own, named as it")
    empty = [name for name, files in found.items() if not files]
    if empty:
        raise bad(f"{folder / empty[0]} has no {', '.join(suffixes)}: every subfolder is a class")
    enough(folder, {name: len(files) for name, files in found.items()}, "files")
    return found


def enough(where: Path, counts: dict[str, int], what: str) -> None:
    """Two classes at least, and a few examples of each."""
    if len(counts) < 2:
        raise bad(f"{where} has one class only ({', '.join(counts)}); two or more are needed to tell apart")
    few = [name for name, count in counts.items() if count < FEWEST]
    if few:
        raise bad(f"{where}: class {few[0]} has {counts[few[0]]} {what}; at least {FEWEST} are needed of each")


def _labels(found: dict[str, list[Path]]) -> tuple[np.ndarray, list[str]]:
    return np.repeat(np.arange(len(found)), [len(files) for files in found.values()]), list(found)


# ---- Images ----------------------------------------------------------------------------------------------------------


def images(folder: Path, size: int) -> Examples:
    """Pictures of size x size; grey where all of them are, else with three channels."""
    found = files_of(folder, IMAGES)
    y, classes = _labels(found)
    pixels = np.stack([_image(file, size) for files in found.values() for file in files])  # [N, size, size, 3]
    grey = (pixels == pixels[..., :1]).all()
    if pixels.min() == pixels.max():
        raise bad(f"{folder}: all images are one even colour")
    return Examples(pixels[..., :1] if grey else pixels, y, np.arange(len(y)), classes, "image")


def _image(path: Path, size: int) -> np.ndarray:
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as image:
            if min(image.size) < size // 4:
                sides = " x ".join(map(str, image.size))
                raise bad(f"{path} has {sides} pixels, too few to see anything at {size} x {size}")
            if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
                page = Image.new("RGBA", image.size, "white")
                image = Image.alpha_composite(page, image.convert("RGBA"))
            return np.asarray(image.convert("RGB").resize((size, size), Image.Resampling.BOX))
    except (OSError, SyntaxError, ValueError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise bad(f"{path} is no image that can be read: {error}") from None


# ---- Sounds ----------------------------------------------------------------------------------------------------------


def wavs(folder: Path, rate: int | None, seconds: float) -> Examples:
    """Spectrograms of 32 frames and 32 bands. rate: what all are resampled to; None: that which they share."""
    found = files_of(folder, (".wav",))
    y, classes = _labels(found)
    files = [file for files in found.values() for file in files]
    heard = [sounds.read(file) for file in files]
    rate = rate or _common_rate(files, [own for _, own in heard])
    pcm = [resampled(sound, own, rate) for sound, own in heard]
    log_mel = front(rate, seconds)
    for file, sound in zip(files, pcm, strict=True):
        if len(sound) < log_mel.window:
            raise bad(f"{file} lasts {1000 * len(sound) / rate:.1f} ms; a word of up to {seconds:g} s was expected")
    longer = [file for file, sound in zip(files, pcm, strict=True) if len(sound) > log_mel.samples]
    notes = (
        [f"{len(longer)} WAVs are longer than {seconds:g} s and lose both ends, first {longer[0]}"] if longer else []
    )
    pictures = sounds.pictures(pcm, log_mel)[..., None]
    return Examples(pictures, y, np.arange(len(y)), classes, "spectrogram", pcm, log_mel, notes)


def _common_rate(files: list[Path], rates: list[int]) -> int:
    for file, rate in zip(files, rates, strict=True):
        if rate != rates[0]:
            raise bad(
                f"{file} has {rate} samples a second and {files[0]} {rates[0]}; --rate 8000 brings all to one rate, "
                "which must be that of the board's microphone"
            )
    if rates[0] not in RATES:
        raise bad(f"{files[0]} has {rates[0]} samples a second; boards sample with 8000 or 16000: --rate 8000")
    return rates[0]


def front(rate: int, seconds: float, frames: int = 32) -> LogMel:
    """Frames of 50 ms, as many as the network takes, spread over the recording."""
    samples, window = int(rate * seconds), rate // 20
    fft = 1 << (window - 1).bit_length()
    hop = (samples - window) // (frames - 1)
    if samples > 65535 or hop < 1:
        raise bad(f"{seconds:g} s at {rate} Hz are {samples} samples; {window + frames} to 65535 can be taken")
    return LogMel(rate=rate, samples=samples, window=window, hop=hop, fft=fft, high=0.475 * rate)


# ---- Signals ---------------------------------------------------------------------------------------------------------


def csv(data: Path, window: int, hop: int) -> Examples:
    """Windows of `window` rows, a new one every `hop` rows: x float32 [N, 1, window, channels]."""
    if data.is_dir():
        found = {name: [tables.recording(f) for f in files] for name, files in _tables(data).items()}
    else:
        found = tables.labelled(data)
    first = next(iter(found.values()))[0]
    x, y, source, short = [], [], [], []
    for index, recordings in enumerate(found.values()):
        for recording in recordings:
            if recording.channels != first.channels:
                raise bad(
                    f"{recording.where} has the columns {', '.join(recording.channels)}; "
                    f"{first.where} has {', '.join(first.channels)}"
                )
            windows = recording.windows(window, hop)
            short += [] if len(windows) else [f"{recording.where} with {len(recording.values)} rows"]
            x.append(windows)
            y += [index] * len(windows)
            source += [len(x)] * len(windows)
    counts = np.bincount(y, minlength=len(found))
    enough(data, dict(zip(found, counts.tolist(), strict=True)), f"windows of {window} rows")
    every = np.concatenate(x).astype(np.float32)[:, None]
    notes, overlap = _uneven(every, first.channels), -(-window // hop) - 1
    if short:
        notes.append(
            f"{len(short)} recordings are shorter than a window of {window} rows and left out, first {short[0]}"
        )
    return Examples(every, np.array(y), np.array(source), list(found), "signal", notes=notes, overlap=overlap)


def _tables(folder: Path) -> dict[str, list[Path]]:
    folders = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    found = {path.name: sorted(path.rglob("*.csv")) for path in folders}
    found = {name: files for name, files in found.items() if files}
    if not found:
        raise bad(f"{folder} has no .csv in subfolders; each class has its own, named as it")
    if len(found) < 2:
        raise bad(f"{folder} has one class only ({', '.join(found)}); two or more are needed to tell apart")
    return found


def _uneven(x: np.ndarray, channels: tuple[str, ...]) -> list[str]:
    """Boards take int8: one step for all channels, which must not be too coarse for the smallest."""
    most = np.abs(x).max((0, 1, 2))
    if not most.all():
        raise bad(f"column {channels[int(np.argmin(most))]} is 0 everywhere; leave it out")
    if not np.ptp(x, (0, 1, 2)).any():
        raise bad(f"nothing ever changes: all columns ({', '.join(channels)}) are the same in every row")
    if most.max() > 16 * most.min():
        small, large = channels[int(np.argmin(most))], channels[int(np.argmax(most))]
        ratio = most.max() / most.min()
        return [f"{small} is {ratio:.0f} times smaller than {large}, too coarse in int8: scale it, on the board, too"]
    return []
