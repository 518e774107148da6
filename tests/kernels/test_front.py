"""Front ends against float64: numpy's FFT and logarithm.

The transform of a log-mel keeps 15 bits of each frame's largest point: noise, FLOOR below that point. So a band's
amplitude is right to that of the noise, and its brightness is the logarithm of something so near, to one step of 255.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tinylearn_host import front, simulator
from tinylearn_host.errors import TinylearnError

simulator.on_path()
import tl_front  # noqa: E402

PARAMS, BUFFER = 51, 52
FLOOR = 10**-7  # 70 dB
SMALL = {"samples": 900, "rate": 4000, "high": 1900.0}
GEOMETRIES = [
    front.LogMel(),
    front.LogMel(**SMALL, window=64, hop=40, fft=64, bins=12),
    front.LogMel(**SMALL, window=100, hop=200, fft=128, bins=20, decibels=80.0),
    front.LogMel(**SMALL, window=900, hop=1, fft=1024, bins=64, decibels=40.0, low=0.0),
]


def log_mel(pcm: np.ndarray, f: front.LogMel) -> tuple[np.ndarray, np.ndarray]:
    """The least and the greatest brightness 0 .. 255 that are right, not rounded [frames, bins]."""
    window = np.rint(32767 * (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(f.window) / f.window))) / 32768
    pcm = pcm - np.trunc(pcm.mean())
    frames = np.stack([pcm[i * f.hop :][: f.window] * window for i in range(f.frames)])
    points = np.abs(np.fft.rfft(frames, f.fft)[:, : f.fft // 2]) ** 2
    amplitude, floor = np.sqrt(points @ triangles(f)), np.sqrt(FLOOR * points.max(1, keepdims=True))
    octaves = round(f.decibels / 10 * np.log2(10) * 1024) / 1024
    least, most = (2 * np.log2(np.maximum(a, 1)) for a in (amplitude - floor, amplitude + floor))
    low, high = (max(logs.max(), octaves) for logs in (least, most))
    return tuple(255 * np.clip((a - b) / octaves + 1, 0, 1) for a, b in ((least, high), (most, low)))


def triangles(f: front.LogMel) -> np.ndarray:
    """How much of each point's energy each band takes, to 1/256 [fft / 2, bins], from HTK's formula for the mel."""

    def mel(hertz):
        return 2595 * np.log10(1 + hertz / 700)

    centres = np.linspace(mel(f.low), mel(f.high), f.bins + 2)
    points = mel(np.arange(f.fft // 2) * f.rate / f.fft)
    up = (points[:, None] - centres[:-2]) / np.diff(centres)[:-1]
    down = (centres[2:] - points[:, None]) / np.diff(centres)[1:]
    return np.rint(256 * np.maximum(np.minimum(up, down), 0)) / 256


def picture(f, samples: np.ndarray) -> np.ndarray:
    return front.Front(f.pack())(samples)[..., 0].astype(int) + 128


@st.composite
def sounds(draw, samples: int) -> np.ndarray:
    """int16: noise of any loudness, a few tones, silence for a while."""
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    loud = draw(st.sampled_from([0, 1, 30, 1000, 9000]))
    t = np.arange(samples)
    sound = random.normal(0, loud, samples)
    for _ in range(draw(st.integers(0, 3))):
        sound += draw(st.integers(0, 12000)) * np.sin(t * draw(st.floats(0.02, 3.1)))
    sound[: draw(st.integers(0, samples))] *= draw(st.sampled_from([0, 1]))
    return np.clip(np.rint(sound), -32768, 32767).astype(np.int16)


@pytest.mark.parametrize("f", GEOMETRIES, ids=lambda f: f"{f.window} of {f.fft}, {f.bins} bands")
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_a_log_mel_is_what_floats_say(f, data):
    pcm = data.draw(sounds(f.samples))
    assert picture(f, pcm).shape == (f.frames, f.bins)
    assert_right(pcm, f)


def assert_right(pcm: np.ndarray, f: front.LogMel) -> None:
    least, most = log_mel(pcm.astype(float), f)
    got = picture(f, pcm)
    assert (got >= least - 1).all() and (got <= most + 1).all(), f"{(least - got).max()} {(got - most).max()}"


@pytest.mark.parametrize("value", [-32768, 32767, 1, 0])
def test_extremes_do_not_overflow(value):
    f = front.LogMel()
    for sign in (np.ones(8000), np.where(np.arange(8000) % 10 < 5, 1, -1), np.where(np.arange(8000) % 2, 1, -1)):
        assert_right(np.clip(value * sign, -32768, 32767).astype(np.int16), f)


def test_loudness_does_not_matter():
    random = np.random.default_rng(2)
    quiet = np.rint(random.normal(0, 300, 8000)).astype(np.int16)
    assert np.abs(picture(front.LogMel(), quiet) - picture(front.LogMel(), quiet * 16)).max() <= 1


def test_speech_like_sounds_are_exact_to_a_step():
    """Where a frame's energy is spread, the floor is far below."""
    random = np.random.default_rng(3)
    sound = random.normal(0, 3000, 8000) * (1 + np.sin(np.arange(8000) / 300)) * np.linspace(0.1, 1, 8000)
    pcm = np.clip(np.rint(sound), -32768, 32767).astype(np.int16)
    least, most = log_mel(pcm.astype(float), front.LogMel())
    assert (most - least).max() < 2
    assert np.abs(picture(front.LogMel(), pcm) - (least + most) / 2).max() <= 1


@pytest.mark.parametrize("zero", [0, -9, 2048])
def test_silence_is_black(zero):
    assert not picture(front.LogMel(), np.full(8000, zero, np.int16)).any()


def test_a_constant_offset_does_not_matter():
    random = np.random.default_rng(4)
    pcm = np.rint(random.normal(0, 300, 8000)).astype(np.int16)
    total = int(pcm.sum())
    pcm[: abs(total)] -= np.sign(total)  # a mean of 0, so that rounding it changes nothing
    assert (picture(front.LogMel(), pcm + np.int16(2048)) == picture(front.LogMel(), pcm)).all()


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 9), st.integers(1, 20), st.integers(1, 5), st.integers(0, 2**32), st.sampled_from([1, 10, 128]))
@example(1, 1, 1, 0, 128)
def test_an_envelope_is_what_floats_say(channels, frames, window, seed, loud):
    f = front.Envelope(channels=channels, samples=frames * window, window=window)
    random = np.random.default_rng(seed)
    x = random.integers(-loud, loud, (f.samples, channels)).astype(np.int8)
    sums = 1 + np.abs(x.astype(int)).reshape(frames, window, channels).sum(1)
    expected = 255 * np.log2(sums) / np.log2(1 + 128 * window)
    assert np.abs(picture(f, x) - expected).max() <= 1


def test_the_largest_envelope_is_white():
    assert (picture(front.Envelope(), np.full((48, 8), -128, np.int8)) == 255).all()


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from([*GEOMETRIES, front.Envelope()]),
    st.dictionaries(st.integers(0, 11), st.integers(0, 65535) | st.integers(0, 70), max_size=3),
    st.integers(-3, 3),
)
def test_host_and_board_refuse_the_same_sections(f, changes, longer):
    """Any 16 bits of the header, and the length."""
    raw = bytearray(f.pack())
    for at, value in changes.items():
        raw[2 * at : 2 * at + 2] = value.to_bytes(2, "little")
    raw = bytes(raw[: len(raw) + min(longer, 0)]) + b"\0" * max(longer, 0)
    scratch = tl_front.scratch(np.frombuffer(raw, np.uint8).copy())
    assert (front.parse(raw) is None) == (scratch < 0)
    if scratch >= 0 and front.parse(raw).frames * front.parse(raw).bins < 1 << 20:
        front.Front(raw)(np.zeros(front.parse(raw).values, front.parse(raw).dtype))  # whatever the tables say
    else:
        with pytest.raises(TinylearnError, match="damaged"):
            front.Front(raw)


@pytest.mark.parametrize("f", [front.LogMel(), front.Envelope()], ids=["log-mel", "envelope"])
def test_buffers_of_another_size_are_refused(f):
    ready = front.Front(f.pack())
    samples = np.zeros(ready.section.values, ready.section.dtype)
    out, scratch = np.zeros(f.frames * f.bins, np.int8), ready.scratch
    assert tl_front.run(ready.raw, samples, out, scratch) == 0
    assert tl_front.run(ready.raw, samples[1:].copy(), out, scratch) == BUFFER
    assert tl_front.run(ready.raw, samples, out[1:].copy(), scratch) == BUFFER + 256
    if len(scratch):
        assert tl_front.run(ready.raw, samples, out, scratch[1:].copy()) == BUFFER + 512
    assert tl_front.run(ready.raw[:-4].copy(), samples, out, scratch) == PARAMS
    with pytest.raises(ValueError, match="no samples"):
        ready(samples[1:])
