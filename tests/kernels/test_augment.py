"""Augmented views against float64, drawn from the same random numbers; their statistics; every bad parameter.

The reference takes each drawn number in float64 and interpolates at exact places. The kernel has places to 1/256 of a
pixel and angles to 2^-10, so a view of neighbours that differ by d is off by at most d times how far that moves it, and
one step for rounding. Where nothing lies between pixels, views are exact.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tinylearn_host import simulator

simulator.on_path()
import tl_train  # noqa: E402
from tinylearn import augment  # noqa: E402

FIELDS = ["h", "w", "c", "zero", "border", "shift_h", "shift_w", "flip", "rotate", "zoom", "shear", "gain",
          "channel_gain", "offset", "channel_offset", "noise", "mask_h", "mask_w"]  # fmt: skip
ONE, GAIN, STEP = 1 << 14, 1 << 12, 1 << 8
PARAMS, BUFFER = 51, 52
ZERO, EDGE, WRAP = range(3)


def params(h, w, c, zero=0, **amounts) -> np.ndarray:
    values = {"h": h, "w": w, "c": c, "zero": zero, **amounts}
    assert set(values) <= set(FIELDS)
    return np.array([values.get(name, 0) for name in FIELDS], np.int32)


def view(p, x, seed=2463534242):
    out, state = np.zeros_like(x), np.array([seed], np.uint32)
    assert tl_train.augment(p, x, out, state) == 0
    return out, int(state[0])


class Chance:
    """xorshift32 and what the kernel draws from it, as real numbers."""

    def __init__(self, seed):
        self.state = seed

    def word(self):
        v = self.state
        v = (v ^ v << 13) & 0xFFFFFFFF
        v ^= v >> 17
        self.state = (v ^ v << 5) & 0xFFFFFFFF
        return self.state

    def around(self, amount):
        return (2 * (self.word() >> 16) - 65535) / 65536 * amount

    def below(self, n):
        return (self.word() >> 16) * n // 65536

    def bell(self):
        return sum(self.word().to_bytes(4, "little")) - 510


def at(image, rows, columns, border, zero):
    """image [h, w] at whole places, with what lies beyond it."""
    h, w = image.shape
    if border == WRAP:
        return image[rows % h, columns % w]
    found = image[rows.clip(0, h - 1), columns.clip(0, w - 1)]
    outside = (rows < 0) | (rows >= h) | (columns < 0) | (columns >= w)
    return np.where(outside & (border == ZERO), zero, found)


def bilinear(image, rows, columns, border, zero):
    low_h, low_w = np.floor(rows).astype(int), np.floor(columns).astype(int)
    total = 0
    for down in (0, 1):
        for across in (0, 1):
            weight = (1 - abs(rows - low_h - down)) * (1 - abs(columns - low_w - across))
            total = total + weight * at(image, low_h + down, low_w + across, border, zero)
    return total


def reference(p, x, seed):
    """The view before it is rounded, float64 [h, w, c]."""
    f = dict(zip(FIELDS, map(int, p), strict=True))
    h, w, c, zero, border = (f[name] for name in FIELDS[:5])
    chance = Chance(seed)
    flip = -1 if chance.word() >> 18 < f["flip"] else 1
    shift_h, shift_w = (chance.below(2 * f[name] + 1) - f[name] for name in ("shift_h", "shift_w"))
    angle, size, shear = (chance.around(f[name] / ONE) for name in ("rotate", "zoom", "shear"))
    gain, offset = 1 + chance.around(f["gain"] / GAIN), chance.around(f["offset"] / STEP)
    down, across = np.meshgrid(np.arange(h) - (h - 1) / 2, np.arange(w) - (w - 1) / 2, indexing="ij")
    across = across * flip + shear * down
    rows = (1 + size) * (np.cos(angle) * down + np.sin(angle) * across) + (h - 1) / 2 - shift_h
    columns = (1 + size) * (np.cos(angle) * across - np.sin(angle) * down) + (w - 1) / 2 - shift_w
    y = np.zeros((h, w, c))
    for i in range(c):
        g = gain * (1 + chance.around(f["channel_gain"] / GAIN))
        o = offset + chance.around(f["channel_offset"] / STEP)
        y[:, :, i] = (bilinear(x[:, :, i].astype(np.float64), rows, columns, border, zero) - zero) * g + zero + o
        if f["noise"]:
            bell = np.array([chance.bell() for _ in range(h * w)]).reshape(h, w)
            y[:, :, i] += bell * np.sqrt(12 / (4 * (256**2 - 1))) * f["noise"] / STEP
    y = y.clip(-128, 127)
    if f["mask_h"] or f["mask_w"]:
        for axis, n in enumerate((h, w)):
            wide = chance.below(f[("mask_h", "mask_w")[axis]] + 1)
            first = chance.below(n - wide + 1)
            y.swapaxes(0, axis)[first : first + wide] = x.astype(np.float64).mean()
    return y, chance.state


SIDE = st.integers(1, 20)
SEED = st.integers(1, 2**32 - 1)


@st.composite
def samples(draw):
    h, w, c = draw(SIDE), draw(SIDE), draw(st.integers(1, 4))
    rng = np.random.default_rng(draw(SEED))
    return rng.integers(-128, 128, (h, w, c)).astype(np.int8), draw(st.integers(-128, 127))


def amount(most):
    return st.sampled_from([0, 0, most, most // 7]) | st.integers(0, most)


@settings(deadline=None)
@given(samples(), SEED, st.data())
def test_exact_where_nothing_lies_between_pixels(sample, seed, data):
    x, zero = sample
    h, w, c = x.shape
    p = params(
        h, w, c, zero, border=data.draw(st.integers(0, 2)), shift_h=data.draw(amount(h)),
        shift_w=data.draw(amount(w)), flip=data.draw(amount(ONE)),
        mask_h=data.draw(amount(h)), mask_w=data.draw(amount(w)),
    )  # fmt: skip
    y, state = view(p, x, seed)
    expected, after = reference(p, x, seed)
    assert np.array_equal(y, np.floor(expected + 0.5)) and state == after


@settings(deadline=None)
@given(samples(), SEED, st.data())
def test_views(sample, seed, data):
    x, zero = sample
    h, w, c = x.shape
    limits = {"shift_h": h, "shift_w": w, "flip": ONE, "rotate": 17160, "zoom": 8192, "shear": ONE, "gain": GAIN,
              "channel_gain": GAIN, "offset": 32767, "channel_offset": 32767, "noise": 8192}  # fmt: skip
    amounts = {name: data.draw(amount(most), label=name) for name, most in limits.items()}
    p = params(h, w, c, zero, border=data.draw(st.integers(0, 2)), **amounts)
    y, state = view(p, x, seed)
    expected, after = reference(p, x, seed)
    assert state == after
    moved = 0 if not any(amounts[name] for name in ("rotate", "zoom", "shear")) else 1 / 512 + (h + w) * 2**-12
    loudest = (1 + amounts["gain"] / GAIN) * (1 + amounts["channel_gain"] / GAIN)
    bound = 0.51 + loudest * (2 * 255 * moved + 1 / 256 + 255 * 2**-11) + amounts["noise"] / STEP * 3.46 * 2**-6
    assert np.abs(y - expected).max() <= bound


@settings(deadline=None)
@given(samples(), SEED)
def test_all_off_is_the_sample(sample, seed):
    x, zero = sample
    for border in (ZERO, EDGE, WRAP):
        assert np.array_equal(view(params(*x.shape, zero, border=border), x, seed)[0], x)


def test_a_large_sample_does_not_overflow():
    """The longest sides and the largest amounts; a sanitizer sees it too, in golden vectors of other shapes."""
    for shape in ((1 << 14, 3, 1), (2, 1 << 14, 2)):
        x = np.random.default_rng(1).integers(-128, 128, shape).astype(np.int8)
        h, w, c = shape
        p = params(h, w, c, -128, border=EDGE, shift_h=h, shift_w=w, flip=8000, rotate=25740, zoom=8192, shear=ONE)
        p[11:16] = GAIN, GAIN, 32767, 32767, 8192
        for seed in (7, 99991, 2**31 + 5):
            y, _ = view(p, x, seed)
            expected, _ = reference(p, x, seed)
            steps = np.abs(y - expected)
            assert np.median(steps) < 60  # where a pixel comes from is off by less than a few of the 16384


def views(n, shape=(8, 9, 2), zero=-20, level=10, **amounts):
    """n views of a flat sample, in one stream of random numbers: [n, h, w, c]."""
    x = np.full(shape, level, np.int8)
    p, state = params(*shape, zero, **amounts), np.array([123456789], np.uint32)
    out = np.zeros((n, *shape), np.int8)
    for y in out:
        assert tl_train.augment(p, x, y, state) == 0
    return out.astype(np.float64)


def test_noise_is_a_bell_of_that_width():
    y = views(200, noise=6 * STEP) - 10
    n = y.size
    assert abs(y.mean()) < 4.5 * 6 / np.sqrt(n) + 0.01
    assert abs(y.std() - np.sqrt(36 + 1 / 12)) < 4.5 * 6 / np.sqrt(2 * n)
    assert np.abs(y).max() <= np.ceil(6 * 3.46) and abs((y**3).mean()) < 6**3 * 4.5 * np.sqrt(15 / n)
    flat = y.reshape(200, -1)
    assert abs(np.corrcoef(flat[:, :-1].ravel(), flat[:, 1:].ravel())[0, 1]) < 4.5 / np.sqrt(n)


@pytest.mark.parametrize(
    ("name", "most", "shared"),
    [("gain", GAIN // 4, True), ("channel_gain", GAIN // 4, False),
     ("offset", 40 * STEP, True), ("channel_offset", 40 * STEP, False)],
)  # fmt: skip
def test_gains_and_offsets_are_uniform_over_their_range(name, most, shared):
    """Each of these amounts changes a level of 60 about -100 by at most 40."""
    y = views(800, (1, 1, 2), zero=-100, level=60, **{name: most})[:, 0, 0] - 60
    one = y[:, 0]
    assert -40 <= one.min() < -37 and 37 < one.max() <= 40
    quarters = np.histogram(one, [-41, -20, 0, 20, 41], weights=np.where(np.isin(one, (-20, 0, 20)), 0.5, 1))[0]
    quarters += np.array([(one == -20).sum() / 2, (one == 0).sum() / 2, (one == 20).sum() / 2, 0])
    assert np.abs(quarters - 200).max() < 4.5 * np.sqrt(150)
    assert np.array_equal(y[:, 0], y[:, 1]) == shared
    assert shared or abs(np.corrcoef(y.T)[0, 1]) < 4.5 / np.sqrt(800)


def test_every_shift_comes_equally_often():
    x = np.arange(63, dtype=np.int8).reshape(7, 9, 1)
    p, state, out = params(7, 9, 1, border=WRAP, shift_h=2, shift_w=1), np.array([5 << 20], np.uint32), np.zeros_like(x)
    found = np.zeros((7, 9))
    for _ in range(1500):
        assert tl_train.augment(p, x, out, state) == 0
        found[tuple(np.argwhere(out[:, :, 0] == 0)[0])] += 1
    rows, columns = np.nonzero(found)
    assert set(rows) == {0, 1, 2, 5, 6} and set(columns) == {0, 1, 8}
    assert np.abs(found[found > 0] - 100).max() < 4.5 * 10


def test_flips_come_with_their_probability():
    x = np.array([1, 2], np.int8).reshape(1, 2, 1)
    p, state, out, flips = params(1, 2, 1, flip=ONE // 4), np.array([99 << 12], np.uint32), np.zeros_like(x), 0
    for _ in range(2000):
        assert tl_train.augment(p, x, out, state) == 0
        flips += out[0, 0, 0] == 2
    assert abs(flips - 500) < 4.5 * np.sqrt(2000 * 0.25 * 0.75)


def test_masks_are_bands_with_the_mean():
    x = np.random.default_rng(3).integers(60, 128, (10, 12, 2)).astype(np.int8)
    x[0, 0] = -128
    mean = int(np.floor(x.astype(float).mean() + 0.5))
    p, state, out = params(10, 12, 2, mask_h=3, mask_w=4), np.array([77 << 16], np.uint32), np.zeros_like(x)
    x[x == mean] += 1
    seen = set()
    for _ in range(400):
        assert tl_train.augment(p, x, out, state) == 0
        rows, columns = (out == out[-1, -1, 0]).all((1, 2)), None
        changed = out != x
        rows, columns = changed.all((1, 2)).sum(), changed.all((0, 2)).sum()
        assert rows <= 3 and columns <= 4 and np.abs(out[changed].astype(int) - mean).max(initial=0) <= 1
        assert changed.sum() == 2 * (rows * 12 + columns * 10 - rows * columns)
        seen.add((int(rows), int(columns)))
    assert len(seen) == 20


# ---- Bad input ------------------------------------------------------------------------------------------------------

GOOD = {"border": 2, "shift_h": 1, "flip": 3, "rotate": 100, "gain": 5, "noise": 300, "mask_w": 2}


@pytest.mark.parametrize(
    ("name", "value"),
    [("h", 0), ("w", -1), ("c", 0), ("h", 16385), ("zero", 128), ("zero", -129), ("border", 3), ("border", -1),
     ("shift_h", 5), ("shift_w", 6), ("shift_h", -1), ("flip", ONE + 1), ("flip", -1), ("rotate", 25741),
     ("zoom", 8193), ("zoom", -1), ("shear", ONE + 1), ("gain", GAIN + 1), ("channel_gain", -1), ("offset", 32768),
     ("channel_offset", 1 << 20), ("noise", 8193), ("mask_h", 5), ("mask_w", 6), ("mask_w", -(2**31))],
)  # fmt: skip
def test_a_bad_parameter_is_refused(name, value):
    x, state = np.zeros((4, 5, 2), np.int8), np.array([9], np.uint32)
    out = np.ones_like(x)
    p = params(4, 5, 2, **GOOD)
    assert tl_train.augment(p, x, out, state) == 0
    p[FIELDS.index(name)], out[:], before = value, 1, state[0]
    assert tl_train.augment(p, x, out, state) == PARAMS
    assert out.all() and state[0] == before


def test_bad_buffers_are_refused():
    x, out, state = np.zeros(40, np.int8), np.zeros(40, np.int8), np.zeros(1, np.uint32)
    p = params(4, 5, 2, **GOOD)
    assert tl_train.augment(p[:-1], x, out, state) == PARAMS
    assert tl_train.augment(p, x[1:], out, state) == BUFFER
    assert tl_train.augment(p, x, out[1:], state) == BUFFER + 256
    assert tl_train.augment(p, x, out, np.zeros(2, np.uint32)) == BUFFER + 512
    assert tl_train.augment(p, x, out, np.zeros(8, np.int8)[1:5]) == BUFFER + 512
    both = np.zeros(60, np.int8)
    assert tl_train.augment(p, both[:40], both[20:], state) == BUFFER + 256  # they overlap
    assert tl_train.augment(p, None, out, state) == BUFFER
    huge = params(1 << 14, 1 << 14, 1 << 14)
    assert tl_train.augment(huge, x, out, state) == PARAMS
    assert tl_train.augment(p, x, out, state) == 0 and state[0] != 0  # a state of 0 is taken as 1


# ---- In words -------------------------------------------------------------------------------------------------------


def test_amounts_become_parameters():
    amounts = {"shift": (2, 3), "flip": 0.5, "noise": 4, "gain": 0.2, "rotate": 10, "zoom": 0.1, "shear": 0.05,
               "channel_gain": 0.25, "offset": 5.5, "channel_offset": 1, "border": "wrap", "mask": 2}  # fmt: skip
    found = np.array(augment.pack(amounts, 8, 9, 3, -7))
    expected = params(
        8, 9, 3, -7, border=WRAP, shift_h=2, shift_w=3, flip=ONE // 2, rotate=2860, zoom=1638, shear=819, gain=819,
        channel_gain=1024, offset=1408, channel_offset=256, noise=1024, mask_h=2, mask_w=2,
    )  # fmt: skip
    assert np.array_equal(found, expected)
    assert abs(found[8] / ONE - np.deg2rad(10)) < 1e-3
    lying = augment.pack({"time_shift": 5, "time_mask": 4, "frequency_mask": 1}, 1, 9, 3, 0)
    assert list(lying) == list(params(1, 9, 3, shift_w=5, mask_w=4, mask_h=1))
    standing = augment.pack({"time_shift": 5, "time_mask": 4, "frequency_mask": 1}, 9, 2, 3, 0)
    assert list(standing) == list(params(9, 2, 3, shift_h=5, mask_h=4, mask_w=1))


@pytest.mark.parametrize(
    ("amounts", "words"),
    [({"flip": 1.5}, "flip is a number from 0 to 1, not 1.5"), ({"rotate": "ten"}, "rotate is a number from 0 to 90"),
     ({"shift": 9}, "shift is a whole number from 0 to 8, for 8 rows, not 9"), ({"shift": (1, 2.5)}, "9 columns"),
     ({"shift": (1, 2, 3)}, "whole number"), ({"border": "mirror"}, "border is 'zero', 'edge' or 'wrap'"),
     ({"blur": 1}, "there is no 'blur'; known are border, channel_gain"), ({"noise": True}, "not True"),
     ({"gain": float("nan")}, "not nan"), ({"mask": -1}, "not -1"), ({"time_shift": 10}, "8 rows, not 10")],
)  # fmt: skip
def test_wrong_amounts_get_a_sentence(amounts, words):
    with pytest.raises(ValueError, match="augment: ") as caught:
        augment.pack(amounts, 8, 9, 3, 0)
    assert words in str(caught.value)


@pytest.mark.parametrize("shape", [(1, 1, 64), (28, 28, 1), (96, 96, 3), (49, 40, 1), (128, 1, 6), (1, 128, 6)])
@pytest.mark.parametrize("domain", ["image", "spectrogram", "signal"])
def test_defaults_fit_every_shape(domain, shape):
    p = np.array(augment.pack(augment.defaults(domain, *shape[:2]), *shape, -3))
    x = np.random.default_rng(1).integers(-128, 128, shape).astype(np.int8)
    y, _ = view(p, x)
    assert not np.array_equal(y, x)
