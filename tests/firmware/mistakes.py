"""What goes wrong while a model is taught: for each method a sentence, and the model predicts as before.

Runs on CPython over the simulator and on MicroPython; prints the sentences, which must be the same everywhere.
"""

# ruff: noqa: RUF005  (MicroPython's lists take no stars)
import gc
import os
from array import array

import tinylearn

METHODS = {
    "prototype": {},
    "closed_form": {},
    "last_layer": {"steps": 3},
    "bias": {"layers": 2},
    "scheme": {},
    "full": {"layers": 2},
    "tinytrain": {"budget": 40000},
    "auto": {},
    "continual": {"method": "full", "layers": 2, "continual": "lightcl", "budget": 24000},
    "filter": {"method": "full", "layers": 2, "filter": 2, "budget": 24000},
}
HEADS = "prototype", "closed_form"  # without steps to interrupt
ON_FEATURES = HEADS + ("last_layer",)


def picture(k, shot):
    return bytes((37 * i * (k + 2) + 11 * k + 29 * shot) % (256 - k) for i in range(64))


GOOD = [(picture(k, shot), k) for k in range(3) for shot in range(3)]
X = GOOD[0][0]


def interrupts(step, loss, accuracy):
    raise KeyboardInterrupt


class Half:
    """Samples of which the third raises; with a length or, as a generator has none, without."""

    def __init__(self, error):
        self.error = error

    def __iter__(self):
        yield GOOD[0]
        yield GOOD[4]
        raise self.error


class Counted(Half):
    def __len__(self):
        return len(GOOD)


NAN, ENDLESS = array("f", [0.5] * 63 + [float("nan")]), array("f", [float("inf")] * 64)
WRONG = (
    ("nothing", ()),
    ("an empty generator", iter(())),
    ("no samples at all", 7),
    ("no pairs", [X, X]),
    ("a short sample", GOOD + [(X[:-1], 1)]),
    ("a long sample", [(X + X, 0)] + GOOD),
    ("NaN", GOOD + [(NAN, 1)]),
    ("infinite", GOOD + [(ENDLESS, 1)]),
    ("a text", GOOD + [("picture", 1)]),
    ("a label that is none", GOOD + [(X, None)]),
    ("a label of the wrong type", GOOD + [(X, 0.5)]),
    ("a label that is there as a number", GOOD + [(X, "0")]),
    ("a sensor that fails", Half(OSError("the sensor is gone"))),
    ("the same with a length", Counted(OSError("the sensor is gone"))),
    ("Ctrl-C in the samples", Counted(KeyboardInterrupt())),
)


def answers(model):
    found = []
    for k in range(4):
        label, confidence = model.predict(picture(k, 7))
        found.append((label, int(confidence * 32768)))
    return found, list(model.changed), [bytes(model.tensor(t)[0]) for t in model.changed], model.labels


def sentence(model, name, samples, options):
    try:
        model.adapt(samples, **options)
    except (ValueError, TypeError, OSError, KeyboardInterrupt) as e:
        print("  ", name + ":", type(e).__name__, e)
        assert str(e) or isinstance(e, KeyboardInterrupt)
        return
    raise AssertionError("nothing is raised: " + name)


def run(name):
    """All mistakes with one method, on a model that was taught by it before."""
    options = {"method": name, "steps": 2, "seed": 3}
    if name not in ON_FEATURES:
        options.update({"augment": {"shift": 1}, "head": "prototype"})
    options.update(METHODS[name])
    model = tinylearn.load("model.tlm", recall=False)
    print(name)
    sentence(model, "one class only", [(X, "only")] * 4, options)
    assert model.head is None and not model.changed
    model.adapt(GOOD, **options)
    before = answers(model)
    for what, samples in WRONG:
        sentence(model, what, samples, options)
        assert answers(model) == before, what
        gc.collect()
    if name not in HEADS and name != "auto":
        sentence(model, "Ctrl-C in a step", GOOD, dict(options, on_step=interrupts))
        assert answers(model) == before
    assert not any(name.endswith(".tmp") for name in os.listdir(".")), "a file of the samples stays"
    model.adapt([(picture(3, shot), 3) for shot in range(3)] + GOOD, **options)
    assert model.labels == [0, 1, 2, 3]
    print("   and later", model.labels, [label for label, _ in answers(model)[0]])
