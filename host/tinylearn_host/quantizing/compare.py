"""The int8 model beside the float one it was made of: layer by layer, and in what it answers.

The int8 side is the simulator, so these are the bits of a board. Errors pile up from layer to layer, as they do in use:
every layer gets what the layers before it made in int8.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from tinylearn_host import ir
from tinylearn_host.quantizing.observe import Runner
from tinylearn_host.simulator import Simulator

TRACED = 64  # samples whose layers are looked at one by one, spread over the set

Watch = Callable[[int, int], None]  # called with the numbers of samples that are done and to do


def decibels(signal: float, noise: float) -> float:
    """Signal to noise in dB; within 0 .. 120, so that an error of nothing is a number, too."""
    return float(np.clip(10 * np.log10(max(signal, 1e-30) / max(noise, 1e-30)), -20, 120))


@dataclass
class Layer:
    """One operator of the int8 model (or its input, `index` -1) against the float one, over all samples.

    outside:  how many float values lie beyond what its int8 output can show (a ReLU has already been at them)
    times:    the furthest of them in multiples of that end of the range; 1 where none does
    """

    index: int
    code: str
    name: str
    low: float
    high: float
    inputs: list[int] = field(default_factory=list)
    signal: float = 0.0
    noise: float = 0.0
    outside: int = 0
    count: int = 0
    times: float = 1.0

    @property
    def sqnr(self) -> float:
        return decibels(self.signal, self.noise)

    @property
    def saturation(self) -> float:
        return self.outside / max(self.count, 1)

    def add(self, real: np.ndarray, shown: np.ndarray | None, step: float) -> None:
        """real, shown: float [...], the float model's values and the int8 model's in reals"""
        self.count += real.size
        if shown is not None:
            self.signal += float(np.square(real, dtype=np.float64).sum())
            self.noise += float(np.square(real - shown, dtype=np.float64).sum())
        beyond = (real > self.high + step / 2) | (real < self.low - step / 2)
        if beyond.any():
            self.outside += int(beyond.sum())
            ends = np.where(real[beyond] > 0, max(self.high, step), min(self.low, -step))
            self.times = max(self.times, float((real[beyond] / ends).max()))


@dataclass
class Comparison:
    """What both models made of one set of samples.

    real, shown:  float [N, outputs], the answers of the float model and of the int8 one, channels last
    """

    layers: list[Layer]
    real: np.ndarray
    shown: np.ndarray

    @property
    def sqnr(self) -> float:
        return answer_sqnr(self.real, self.shown)

    @property
    def agreement(self) -> float:
        """Share of samples that both give the same class."""
        return float(np.mean(self.real.argmax(1) == self.shown.argmax(1)))

    def top1(self, labels: np.ndarray) -> tuple[float, float]:
        """Share of samples that the float and the int8 model get right. labels: int [N]"""
        return tuple(float(np.mean(answers.argmax(1) == labels)) for answers in (self.real, self.shown))


def answer_sqnr(real: np.ndarray, shown: np.ndarray) -> float:
    return decibels(
        float(np.square(real, dtype=np.float64).sum()), float(np.square(real - shown, dtype=np.float64).sum())
    )


def steps_of(samples: np.ndarray, tensor: ir.Tensor) -> np.ndarray:
    """Real values as int8 steps of a tensor."""
    return np.clip(np.rint(samples / np.float32(tensor.scale)) + tensor.zero_point, -128, 127).astype(np.int8)


def reals(steps: np.ndarray, tensor: ir.Tensor) -> np.ndarray:
    return (steps.astype(np.float32) - tensor.zero_point) * np.float32(tensor.scale)


def channels_last(samples: np.ndarray) -> np.ndarray:
    return np.moveaxis(samples, 1, -1)


def spread(count: int, most: int) -> np.ndarray:
    """At most so many indices, evenly over 0 .. count - 1."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).astype(int))


def answers(graph: ir.Graph, simulator: Simulator, samples: np.ndarray, watch: Watch | None = None) -> np.ndarray:
    """float32 [N, outputs] of the int8 model, in reals. samples: as the float network takes them"""
    x, y = graph.tensors[graph.input], graph.tensors[graph.output]
    steps = steps_of(channels_last(samples), x)
    rows = []
    for index, sample in enumerate(steps):
        rows.append(simulator.run(sample).reshape(-1))
        if watch is not None:
            watch(index + 1, len(steps))
    return reals(np.stack(rows), y)


def float_answers(run: Runner, samples: np.ndarray) -> np.ndarray:
    return channels_last(run.outputs(samples)).reshape(len(samples), -1)


def compare(
    graph: ir.Graph,
    simulator: Simulator,
    names: dict[str, str],
    run: Runner,
    whole: Runner,
    samples: np.ndarray,
    watch: Watch | None = None,
) -> Comparison:
    """Run both over `samples` [N, ...] (as the float network takes them), and TRACED of them layer by layer.

    names:  int8 activation of `graph` -> the activation of the float network that it stands for
    run:    the float network, giving all of those;  whole: giving its answer
    """
    layers = _layers(graph, names)
    chosen = samples[spread(len(samples), TRACED)]
    for start in range(0, len(chosen), run.batch):
        part = chosen[start : start + run.batch]
        given = next(run.batches(part))
        for offset, sample in enumerate(part):
            _trace(graph, simulator, names, layers, sample, {k: v[offset] for k, v in given.items()})
    return Comparison(
        [layer for layer in layers if layer.count],
        float_answers(whole, samples),
        answers(graph, simulator, samples, watch),
    )


def _layers(graph: ir.Graph, names: dict[str, str]) -> list[Layer]:
    """The input, then one for each operator."""
    writers = {op.output: index for index, op in enumerate(graph.ops)}
    layers = []
    for index, name in enumerate([graph.input, *(op.output for op in graph.ops)]):
        t, op = graph.tensors[name], graph.ops[index - 1] if index else None
        low, high = (float((q - t.zero_point) * t.scale) for q in (-128, 127))
        inputs = [writers[x] for x in op.inputs if x in writers] if op else []
        layers.append(Layer(index - 1, op.code if op else "input", op.name if op else names[name], low, high, inputs))
    return layers


def _trace(graph: ir.Graph, simulator: Simulator, names, layers: list[Layer], sample: np.ndarray, given: dict) -> None:
    x = graph.tensors[graph.input]
    real = np.moveaxis(sample, 0, -1)
    layers[0].add(real, reals(steps_of(real, x), x), x.scale)
    order: dict[str, tuple] = {}  # vector that was flattened -> the (h, w, c) it was
    for layer, op, steps in zip(layers[1:], graph.ops, simulator.steps(steps_of(real, x)), strict=True):
        y, before = graph.tensors[op.output], graph.tensors[op.inputs[0]]
        flat = order.get(before.name)
        if len(y.shape) == 1 and (flat or op.code == ir.RESHAPE) and y.bytes == before.bytes:
            order[y.name] = flat or before.hwc
        if op.code != ir.RESHAPE and op.code != ir.FULLY_CONNECTED and flat:
            continue  # between a flatten and its dense layer the two sides count in another order
        if op.code != ir.RESHAPE:
            real = np.moveaxis(given[names[op.output]], 0, -1).reshape(steps.shape)
            layer.add(real, reals(steps, y), y.scale)
