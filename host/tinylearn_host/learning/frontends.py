"""From a sensor's samples to a network's input: the model's own front end, or that of MLPerf Tiny's keyword model."""

from __future__ import annotations

import numpy as np

from tinylearn_host import tlm
from tinylearn_host.errors import BAD_MODEL, TinylearnError
from tinylearn_host.front import TAG, Front, LogMel

KEYWORDS = (49, 10, 1)  # frames, coefficients


def of(model: tlm.Model) -> Front | Coefficients:
    """What the model's file says about its input (section FRNT); the keyword model's where the shape is its."""
    place = tlm.sections(model.raw).get(TAG)
    if place:
        return Front(model.raw[place[0] : place[0] + place[1]])
    if model.input_shape() == KEYWORDS:
        record = model.tensors[model.input]
        return Coefficients(float(record.scale), record.zero_point)
    raise TinylearnError("the model has no front end (section FRNT), so it cannot take a sensor's samples", BAD_MODEL)


def log_mel() -> Front:
    """The spectrograms of models/speech, 32 x 32."""
    return Front(LogMel().pack())


class Coefficients:
    """MFCC as MLPerf Tiny's keyword model has been trained on them (mlcommons/tiny, get_dataset.py): 16 kHz, frames of
    30 ms every 20 ms, 40 mel bands from 20 to 4000 Hz, the first 10 of the cosine transform of their logarithms.

    Takes one second of int16 PCM at 8 kHz, in which nothing above 4 kHz is missed.
    """

    RATE, WINDOW, HOP, POINTS, BANDS, LOW, HIGH = 16000, 480, 320, 512, 40, 20.0, 4000.0

    def __init__(self, scale: float, zero_point: int):
        self.scale, self.zero_point = scale, zero_point
        self.window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(self.WINDOW) / self.WINDOW)
        self.bands = self._bands()
        n, k = np.arange(self.BANDS), np.arange(KEYWORDS[1])
        self.cosines = np.sqrt(2 / self.BANDS) * np.cos(np.pi / self.BANDS * np.outer(n + 0.5, k))

    def _bands(self) -> np.ndarray:
        """Triangles in mel, [points of the spectrum, bands]."""

        def mel(hertz):
            return 1127 * np.log1p(np.asarray(hertz) / 700)

        edges = np.linspace(mel(self.LOW), mel(self.HIGH), self.BANDS + 2)
        points = mel(np.arange(self.POINTS // 2 + 1) * self.RATE / self.POINTS)[:, None]
        up, down = (points - edges[:-2]) / (edges[1:-1] - edges[:-2]), (edges[2:] - points) / (edges[2:] - edges[1:-1])
        triangles = np.maximum(0, np.minimum(up, down))
        triangles[0] = 0
        return triangles

    def __call__(self, pcm: np.ndarray) -> np.ndarray:
        """int8 [49, 10, 1] of int16 [8000]."""
        sound = np.repeat(pcm.astype(np.float64), 2)
        sound[1:-1:2] = (sound[0:-2:2] + sound[2::2]) / 2  # 8 to 16 kHz
        sound /= max(1.0, np.abs(sound).max())
        frames = np.stack([sound[a : a + self.WINDOW] for a in range(0, len(sound) - self.WINDOW + 1, self.HOP)])
        spectrum = np.abs(np.fft.rfft(frames * self.window, self.POINTS))
        coefficients = np.log(spectrum @ self.bands + 1e-6) @ self.cosines
        return np.clip(np.rint(coefficients / self.scale) + self.zero_point, -128, 127).astype(np.int8)[:, :, None]
