"""A step of training is a handful of native calls for each sample, whatever is trained."""

from __future__ import annotations

import sys
from collections import Counter

import numpy as np
import pytest
from tinylearn_host import paths, simulator

SHOTS, CLASSES = 2, 3
SAMPLES = SHOTS * CLASSES


@pytest.fixture
def calls(monkeypatch):
    """{function: how often it was called} of the native modules, counted while a test runs."""
    simulator.on_path()
    import tl_grad
    import tl_infer
    import tl_train

    for other in ("tl_channels", "tl_filter"):  # which would do in tl_grad's place
        monkeypatch.delitem(sys.modules, other, raising=False)
    counted = Counter()

    def counting(name, function):
        def call(*args):
            counted[name] += 1
            return function(*args)

        return call

    for module in (tl_infer, tl_train, tl_grad):
        for name, function in list(vars(module).items()):
            if getattr(function, "__module__", None) == module.__name__ and name[0] != "_":
                monkeypatch.setattr(module, name, counting(name, function))
    return counted


@pytest.mark.parametrize("method", ["bias", "scheme", "full"])
def test_native_calls_of_a_step(calls, method, monkeypatch, tmp_path):
    from tinylearn.model import Model

    monkeypatch.chdir(tmp_path)  # a model without a path has its files where it is, and other tests have such, too
    model = Model(bytearray((paths.MODELS / "glyph" / "glyph.tlm").read_bytes()))
    x = np.random.default_rng(1).integers(-128, 128, (SAMPLES, len(model.x))).astype(np.int8)
    steps = []
    model.adapt(
        [(x[i], i % CLASSES) for i in range(SAMPLES)],
        method=method,
        head="prototype",
        steps=3,
        on_step=lambda *_: steps.append(Counter(calls)),
    )
    step = steps[2] - steps[1]
    assert step == {  # clean samples and views through the tail, the loss, the way back; the head's rows once
        **{"run": 2 * SAMPLES, "class_sums": SAMPLES, "head_loss": SAMPLES, "backward": SAMPLES},
        **{"class_rows": 1},
    }
