"""What holds for every model of the zoo: its size, its card, and that integers do what the float network does."""

import numpy as np
import pytest
from tinylearn_host import autodiff, front, paths, tlm
from tinylearn_host.pretraining.fewshot import features_of

ZOO = sorted(path.parent.name for path in paths.MODELS.glob("*/*.tlm"))
DOMAINS = {"glyph": "image", "speech": "spectrogram", "emg": "signal"}


def read(name: str) -> tlm.Model:
    return tlm.read(paths.MODELS / name / f"{name}.tlm")


def test_the_zoo_is_there():
    assert {"glyph", "speech", "emg"} <= set(ZOO)


@pytest.mark.parametrize("name", ZOO)
def test_small_and_ready_to_train(name):
    model = read(name)
    assert len(model.raw) <= 60 * 1024
    assert model.name == name and model.meta["domain"] == DOMAINS[name]
    assert model.backward, "nothing of it can be trained"


@pytest.mark.parametrize("name", ZOO)
def test_is_trained_by_the_fast_kernels(name):
    """Else: `tinylearn partition models/NAME/NAME.tlm --board sim -o` the same."""
    model = read(name)
    assert model.costs == [autodiff.cost(model, record) for record in model.backward]


@pytest.mark.parametrize("name", ZOO)
def test_the_card_tells_the_truth(name):
    model, card = read(name), (paths.MODELS / name / "card.md").read_text()
    assert f"{len(model.raw):,} bytes" in card
    assert f"arena {model.arena:,} bytes" in card
    assert f"{sum(op.macs for op in model.ops):,} MACs" in card
    assert f"zero point {model.tensors[model.features].zero_point}" in card
    for word in ("## Data", "## Recipe", "## Accuracy", "licence"):
        assert word in card


def sounds(count: int) -> np.ndarray:
    """Chirps in noise, int16 [count, 8000]."""
    random, t = np.random.default_rng(1), np.arange(8000) / 8000
    chirps = [
        np.sin(2 * np.pi * t * random.uniform(200, 1500) * (1 + random.uniform(-0.5, 1) * t)) for _ in range(count)
    ]
    loud = [np.exp(-(((t - random.uniform(0.3, 0.7)) / 0.15) ** 2)) for _ in range(count)]
    noise = random.normal(0, 60, (count, 8000))
    return np.rint(9000 * np.array(chirps) * np.array(loud) + noise).astype(np.int16)


def muscles(count: int) -> np.ndarray:
    """int8 [count, 48, 8]: noise, each electrode of another strength."""
    random = np.random.default_rng(2)
    return np.clip(random.normal(0, random.uniform(1, 40, (count, 1, 8)), (count, 48, 8)), -128, 127).astype(np.int8)


@pytest.mark.parametrize("name,samples", [("speech", sounds(40)), ("emg", muscles(40))])
def test_integers_do_what_the_float_network_does(name, samples):
    model, folder = read(name), paths.MODELS / name
    offset, length, _ = tlm.sections(model.raw)[front.TAG]
    make = front.Front(model.raw[offset : offset + length])
    pictures = np.stack([make(x) for x in samples]).view(np.uint8) ^ 128
    step = model.tensors[model.features].scale
    integers = step * features_of(folder / f"{name}.tlm")(pictures)
    floats = features_of(folder / f"{name}.onnx")(pictures)
    noise = 10 * np.log10((floats**2).sum() / ((integers - floats) ** 2).sum())
    assert noise > 20, f"{noise:.1f} dB"
    raw = integers / step + model.tensors[model.features].zero_point
    assert ((raw < -127.5) | (raw > 126.5)).mean() < 0.01  # few saturate, though the sounds are none of its words
