"""What is measured: a function of on_board/bench.py, its model, its data."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import partial
from importlib import import_module
from pathlib import Path

import numpy as np

from tinylearn_host import digits, flash, importers, paths, simulator, tlm
from tinylearn_host.bench import gradients, kernels, litert, reference_models
from tinylearn_host.samples import Samples

SHOTS, SEED = 5, 1
FRONT = "speech, log-mel of a second"
METHODS = ("prototype", "closed_form", "last_layer")  # those of Model.adapt
LAST_LAYER_STEPS = 40  # and its default
# Those that train the network, with their options as `tinylearn benchmark` writes them. Where a budget is named, it is
# what every board has in one piece beside the larger module that the method takes, so that all choose the same. Layers
# and the scheme are what fast kernels have room for: with more to train they would get less scratch.
TAIL_METHODS = {
    "bias": {"layers": 5, "budget": 44_000},
    "scheme": {"scheme": "48K"},
    "full": {"layers": 2},
    "full:filter=2": {"filter": 2, "layers": 2, "budget": 42_000},
    "tinytrain": {"budget": 28_000},
}
TAIL_STEPS, TAIL_BUDGET, TAIL_WAYS = 5, 48_000, 5  # bytes: what a Pico has left beside the model
WHOLE, WHOLE_STEPS = "adapt scheme, 40 steps", 40  # as many steps as adapt takes by itself
SLOW = (WHOLE,)  # minutes in an emulator: measured only where their whole name is asked for


@dataclass(frozen=True)
class Workload:
    """One measurement.

    call:       a function of on_board/bench.py
    model:      the .tlm that it gets first, loaded
    data:       contents of a file, whose name it gets next; `arguments` are the rest
    tflite, x:  the same model for other interpreters, and its int8 input, where a comparison makes sense
    """

    name: str
    call: str
    macs: int
    model: bytes
    data: bytes
    arguments: tuple = ()
    tflite: Callable[[], bytes] | None = None
    x: np.ndarray | None = None

    def modules(self) -> list[str]:
        """Native modules that it takes besides those of the model that was flashed."""
        filtered = any(isinstance(given, dict) and given.get("filter") for given in self.arguments)
        return [flash.FRONT] * bool(tlm.read(self.model).front) + [flash.FILTER] * filtered


def choose(pattern: str = "", model: Path | None = None) -> list[Workload]:
    """Those whose name begins with `pattern`, in which * and ? mean what they mean in file names. SLOW: whole names.
    Of a model of the user's own: its answer, and each operator of it. Raises as `tlm.read`."""
    found = {name: make for name, make in _those(model).items() if fnmatchcase(name, pattern + "*")}
    return [make() for name, make in found.items() if name not in SLOW or name == pattern]


def names(model: Path | None = None) -> list[str]:
    return list(_those(model))


def _those(model: Path | None) -> dict[str, Callable[[], Workload]]:
    return _all() if model is None else _of(model)


def _of(path: Path) -> dict[str, Callable[[], Workload]]:
    """A model's answer, and each of its operators: where the time of the answer goes."""
    operators = tlm.read(path).ops
    made = {f"{path.stem} {i} {op.name}": partial(_operator, path, i) for i, op in enumerate(operators)}
    return {path.stem: partial(_own_model, path), **made}


def _all() -> dict[str, Callable[[], Workload]]:
    """Every workload by name, not made yet: some take a while to make."""
    made = {layer.name: partial(_layer, layer) for layer in kernels.LAYERS}
    made |= {gradient.name: partial(_gradient, gradient) for gradient in gradients.GRADIENTS}
    made |= {name: partial(_reference_model, name) for name in reference_models.NAMES}
    made[FRONT] = _front
    zoo = sorted(paths.MODELS.glob("*/*.tlm"))
    made |= {path.stem: partial(_own_model, path) for path in zoo}
    if zoo:
        made |= {f"adapt {method}": partial(_adaptation, method) for method in METHODS}
        made["step last_layer"] = _step
        made |= {f"step {method}": partial(_tail_step, method) for method in TAIL_METHODS}
        made |= {f"adapt {method}": partial(_tail_adaptation, method) for method in TAIL_METHODS}
        made["adapt auto"] = _auto
        made[WHOLE] = partial(_tail_adaptation, "scheme", WHOLE_STEPS, WHOLE)
    return made


def _layer(layer: kernels.Layer) -> Workload:
    graph = kernels.graph(layer)
    return _forward(
        "kernel", layer.name, tlm.build(graph, growth=3.0), kernels.sample(layer), partial(litert.export, graph)
    )


def _gradient(gradient: gradients.Gradient) -> Workload:
    raw, arena, arguments = gradients.job(gradient)
    macs = sum(op.macs for op in tlm.read(raw).ops)
    return Workload(gradient.name, "backward", macs, raw, arena, arguments)


def _reference_model(name: str) -> Workload:
    source = reference_models.path(name)
    return _forward("predict", name, tlm.build(importers.load(source), growth=0.25), None, source.read_bytes)


def _own_model(path: Path) -> Workload:
    return _forward("predict", path.stem, path.read_bytes(), None)


def _operator(path: Path, index: int) -> Workload:
    whole = _own_model(path)
    op = tlm.read(whole.model).ops[index]
    name = f"{whole.name} {index} {op.name}"
    return Workload(name, "operator", op.macs, whole.model, whole.data, (index, op.y))


def _front() -> Workload:
    """One second of noise to a log-mel spectrogram. Of its work, the multiplications of window and transform."""
    raw = (paths.MODELS / "speech" / "speech.tlm").read_bytes()
    section = tlm.read(raw).front
    samples = np.random.default_rng(SEED).normal(0, 3000, section.values).astype("<i2")
    macs = section.frames * (section.window + 2 * section.fft * (section.fft.bit_length() - 1))
    return Workload(FRONT, "front", macs, raw, samples.tobytes())


def _forward(call: str, name: str, raw: bytes, x: np.ndarray | None, tflite: Callable | None = None) -> Workload:
    """One answer of a .tlm to x, or to noise."""
    model = tlm.read(raw)
    if x is None:
        x = np.random.default_rng(SEED).integers(-128, 128, model.input_shape()).astype(np.int8)
    macs = sum(op.macs for op in model.ops)
    return Workload(name, call, macs, raw, x.tobytes(), (), tflite, x)


def _adaptation(method: str) -> Workload:
    """Ten digits by five examples each, taught to the model of the demo."""
    raw, support = flash.default_model().read_bytes(), digits.task(SHOTS, 1, SEED)[0]
    macs = _feature_macs(raw) * len(support)
    if method == "last_layer":
        macs += LAST_LAYER_STEPS * _step_macs(raw, len(support))
    if method == "closed_form":  # the samples' products with each other, and the rows made of them
        macs += len(support) ** 2 * _features(raw) // 2 + _step_macs(raw, len(support))
    arguments = (bytes(support.y), {"method": method})
    return Workload(f"adapt {method}", "adapt", macs, raw, support.x.tobytes(), arguments)


def _step() -> Workload:
    """One step of the last of these adaptations."""
    raw, support = flash.default_model().read_bytes(), digits.task(SHOTS, 1, SEED)[0]
    macs = _step_macs(raw, len(support))
    arguments = (bytes(support.y), {"method": "last_layer"})
    return Workload("step last_layer", "step", macs, raw, support.x.tobytes(), arguments)


def _features(raw: bytes) -> int:
    model = tlm.read(raw)
    return model.tensors[model.features].bytes


def _feature_macs(raw: bytes) -> int:
    model = tlm.read(raw)
    return sum(op.macs for op in model.ops[: model.head])


def _step_macs(raw: bytes, samples: int) -> int:
    """Of the scores and of the gradient."""
    return 2 * samples * 10 * _features(raw)


# ---- Training the network --------------------------------------------------------------------------------------------


def _tail_adaptation(method: str, steps: int = TAIL_STEPS, name: str | None = None) -> Workload:
    """25 samples and a few steps, each of which costs what a step does. TinyTrain's choice has no macs here."""
    raw, support = _few_digits()
    first, step = _tail_macs(support, method)
    arguments = (bytes(support.y), {**_options(method), "steps": steps})
    return Workload(name or f"adapt {method}", "adapt", first + steps * step, raw, support.x.tobytes(), arguments)


def _auto() -> Workload:
    """What adapt does where no method is named: these samples, near what the network knows, it does not train it for.
    The macs are those of the forward runs."""
    raw, support = _few_digits()
    macs = _feature_macs(raw) * len(support.y)
    options = {"method": "auto", "budget": TAIL_BUDGET}
    return Workload("adapt auto", "adapt", macs, raw, support.x.tobytes(), (bytes(support.y), options))


def _tail_step(method: str) -> Workload:
    """One step of the same."""
    raw, support = _few_digits()
    macs = _tail_macs(support, method)[1]
    return Workload(f"step {method}", "step", macs, raw, support.x.tobytes(), (bytes(support.y), _options(method)))


def _options(method: str) -> dict:
    return {"method": method.split(":")[0], "budget": TAIL_BUDGET, "head": "prototype", **TAIL_METHODS[method]}


def _few_digits() -> tuple[bytes, Samples]:
    support = digits.task(SHOTS, 1, SEED)[0]
    few = [i for i, y in enumerate(support.y) if y < TAIL_WAYS]
    return flash.default_model().read_bytes(), Samples(support.x[few], [support.y[i] for i in few])


class _Counted:
    """Samples as a board gets them from a file: how many there are is known, but not of how many classes, and room is
    left for more."""

    def __init__(self, samples: Samples):
        self.samples = samples

    def __len__(self) -> int:
        return len(self.samples.y)

    def __iter__(self) -> Iterator:
        return zip(self.samples.x, self.samples.y, strict=True)


def _tail_macs(support: Samples, method: str) -> tuple[int, int]:
    """(of what runs once, of a step), by what the simulator tells of one that it has made."""
    simulator.module()
    with tempfile.TemporaryDirectory() as folder:  # training keeps samples beside the model
        path = shutil.copy(flash.default_model(), folder)
        model = import_module("tinylearn").load(path, recall=False)
        model.adapt(_Counted(support), steps=1, **_options(method))
    explained = model.explain()
    told, again = explained.told, explained.cache == "recompute"
    first = told.samples * (1 + told.views) * told.macs_frozen
    return first, told.samples * (2 * (told.macs_forward + again * told.macs_frozen) + told.macs_back)
