"""Front ends: what turns a sensor's samples into the picture that a network takes, as section FRNT of the model's file.

Tables are computed here, so that a board needs no sine; the arithmetic is native_modules/kernels/front.h, for host and
board the same C. A picture is int8 [frames, bins] = brightness 0 .. 255 less 128: the input of its network has scale
1/255 and zero point -128, as that of a network for pixels.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from importlib import import_module
from math import log2

import numpy as np

from tinylearn_host import simulator
from tinylearn_host.errors import BAD_MODEL, TinylearnError

TAG = b"FRNT"
HEADER = struct.Struct("<2H2I6H")
LOG_MEL, ENVELOPE = 1, 2
ONE = 1 << 10  # an octave


@dataclass(frozen=True)
class LogMel:
    """Spectrogram of int16 PCM in `bins` triangular bands, equally wide in mel from low to high Hz.

    rate:               samples a second
    samples:            that make one picture
    window, hop:        samples of a frame, and from one to the next
    fft:                points of the transform, a power of two
    decibels:           between black and white; white is the loudest of the picture
    """

    rate: int = 8000
    samples: int = 8000
    window: int = 400
    hop: int = 245
    fft: int = 512
    bins: int = 32
    low: float = 60.0
    high: float = 3800.0
    decibels: float = 60.0

    @property
    def frames(self) -> int:
        return (self.samples - self.window) // self.hop + 1

    def pack(self) -> bytes:
        """The section: header and tables."""
        octaves = round(self.decibels / 10 * log2(10) * ONE)
        sizes = (self.window, self.hop, self.frames, self.bins, self.fft, octaves)
        header = HEADER.pack(LOG_MEL, 1, self.rate, self.samples, *sizes)
        turn = 2 * np.pi * np.arange(self.window) / self.window
        sine = np.sin(2 * np.pi * np.arange(self.fft // 4 + 1) / self.fft)
        fixed = [np.rint(32767 * table).astype("<i2").tobytes() for table in (0.5 - 0.5 * np.cos(turn), sine)]
        return header + b"".join(fixed) + b"".join(self._bands())

    def _bands(self) -> tuple[bytes, bytes]:
        """For each point of the spectrum: the band whose centre lies above it, and its share of 256 in that."""

        def mel(hertz):
            return 1127 * np.log1p(np.asarray(hertz) / 700)

        width = (mel(self.high) - mel(self.low)) / (self.bins + 1)
        place = (mel(np.arange(self.fft // 2) * self.rate / self.fft) - mel(self.low)) / width  # centres at 1 .. bins
        place = np.where((place < 0) | (place > self.bins + 1), 0, np.rint(256 * place)).astype(int)
        return (place // 256).astype(np.uint8).tobytes(), (place % 256).astype(np.uint8).tobytes()


@dataclass(frozen=True)
class Envelope:
    """How strong each channel of int8 samples is, over time.

    rate:       samples a second
    samples:    of each channel, that make one picture
    window:     samples of a frame
    """

    rate: int = 200
    channels: int = 8
    samples: int = 48
    window: int = 4

    @property
    def frames(self) -> int:
        return self.samples // self.window

    @property
    def bins(self) -> int:
        return self.channels

    def pack(self) -> bytes:
        """The section. White is what a frame of the largest samples gives."""
        octaves = round(log2(1 + 128 * self.window) * ONE)
        sizes = (self.window, self.window, self.frames, self.channels, 0, octaves)
        return HEADER.pack(ENVELOPE, self.channels, self.rate, self.samples, *sizes)


@dataclass(frozen=True)
class Section:
    """What a section FRNT says, without its tables: the fields of tl_front_t (native_modules/kernels/front.h)."""

    kind: int
    channels: int
    rate: int
    samples: int
    window: int
    hop: int
    frames: int
    bins: int
    fft: int
    range: int

    @property
    def values(self) -> int:
        """Raw values that make one picture."""
        return self.samples * self.channels

    @property
    def dtype(self) -> np.dtype:
        return np.dtype(np.int16 if self.kind == LOG_MEL else np.int8)

    @property
    def bytes(self) -> int:
        """How long the section must be; 0 where its geometry is not sound. As tl_front_scratch has it."""
        sizes = (self.window, self.hop, self.frames, self.bins, self.range, self.channels)
        if min(sizes) < 1 or self.samples > 65535 or (self.frames - 1) * self.hop + self.window > self.samples:
            return 0
        if self.kind == ENVELOPE:
            return HEADER.size if self.bins == self.channels and self.fft == 0 else 0
        power = 64 <= self.fft <= 1024 and self.fft & (self.fft - 1) == 0
        if self.kind != LOG_MEL or self.channels != 1 or self.bins > 64 or not power or self.window > self.fft:
            return 0
        return HEADER.size + 2 * (self.window + self.fft // 4 + 1) + self.fft

    @property
    def scratch(self) -> int:
        """Bytes that a board works in beside the samples; as tl_front_scratch has it."""
        return 8 * self.bins + 2 * self.fft + 2 * self.frames * self.bins if self.kind == LOG_MEL else 0

    def __str__(self) -> str:
        if self.kind == LOG_MEL:
            return f"log-mel of {self.samples} samples of int16 PCM at {self.rate} Hz"
        return f"envelope of {self.samples} samples of int8 in {self.channels} channels at {self.rate} Hz"


def parse(raw: bytes) -> Section | None:
    """None where it is damaged."""
    if len(raw) < HEADER.size:
        return None
    section = Section(*HEADER.unpack_from(raw))
    return section if section.bytes == len(raw) else None


class Front:
    """A section FRNT, ready to run."""

    def __init__(self, raw: bytes):
        """Raises TinylearnError (11) where the section is damaged."""
        section = parse(raw)
        if section is None:
            raise TinylearnError("the model's front end (section FRNT) is damaged", BAD_MODEL)
        simulator.on_path()
        tl_front = import_module("tl_front")
        self.section, self._run = section, tl_front.run
        self.raw = np.frombuffer(raw, np.uint8).copy()  # numpy aligns what it owns
        self.scratch = np.zeros((tl_front.scratch(self.raw) + 7) // 8, np.int64)

    def __call__(self, samples: np.ndarray) -> np.ndarray:
        """int8 [frames, bins, 1] of int16 [samples] or int8 [samples, channels]."""
        section = self.section
        if samples.dtype != section.dtype or samples.size != section.values:
            raise ValueError(f"{samples.dtype} {samples.shape} are no samples for a {section}")
        picture = np.empty((section.frames, section.bins, 1), np.int8)
        status = self._run(self.raw, np.ascontiguousarray(samples), picture, self.scratch)
        if status:
            raise TinylearnError(simulator.explain(status), BAD_MODEL)
        return picture
