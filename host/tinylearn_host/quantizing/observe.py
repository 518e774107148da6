"""Run a float network over samples and keep what quantisation asks about its activations."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from tinylearn_host.quantizing.network import OPEN_BATCH, Network

BATCH = 16
BINS = 2048


class Runner:
    """A network, or any ONNX model, ready to give the named activations."""

    def __init__(self, model, batch: int = 1, optimised: bool = False, saturating: bool = False):
        """model: onnx.ModelProto whose outputs are what is wanted; batch: how many samples it takes at once

        optimised:   with ONNX Runtime's own idea of the graph: a QDQ model runs in integer kernels
        saturating:  those of x86 processors without VNNI may cut sums of two products off at 16 bits, their default
        """
        import onnxruntime

        levels = onnxruntime.GraphOptimizationLevel
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = levels.ORT_ENABLE_ALL if optimised else levels.ORT_DISABLE_ALL
        options.log_severity_level = 4
        options.add_session_config_entry("session.x64quantprecision", "0" if saturating else "1")
        raw = model.SerializeToString()
        self.session = onnxruntime.InferenceSession(raw, options, providers=["CPUExecutionProvider"])
        self.input = self.session.get_inputs()[0].name
        self.names = [output.name for output in self.session.get_outputs()]
        self.batch = batch

    def batches(self, samples: np.ndarray) -> Iterator[dict[str, np.ndarray]]:
        """float32 [n, ...] of every output, for so many samples at a time; samples float32 as the model takes them."""
        for start in range(0, len(samples), self.batch):
            answers = self.session.run(None, {self.input: samples[start : start + self.batch]})
            yield dict(zip(self.names, answers, strict=True))

    def outputs(self, samples: np.ndarray) -> np.ndarray:
        """The first output, [N, ...]."""
        return np.concatenate([answers[self.names[0]] for answers in self.batches(samples)])


def runner(network: Network, names: list[str] | None = None) -> Runner:
    return Runner(network.model(batch=OPEN_BATCH, outputs=names), BATCH)


@dataclass
class Activation:
    """What one activation was on all samples.

    low, high:  float32 [channels]
    mean:       float64, of each value over the samples: [c, h, w], [c, w] or [n]
    counts:     int64 [BINS] over edges[0] .. edges[-1], the range of all values
    """

    low: np.ndarray
    high: np.ndarray
    mean: np.ndarray
    counts: np.ndarray | None = None
    edges: np.ndarray | None = None

    @property
    def range(self) -> tuple[float, float]:
        return float(self.low.min()), float(self.high.max())

    @property
    def reach(self) -> np.ndarray:
        """float32 [channels]: the greatest absolute value"""
        return np.maximum(np.abs(self.low), np.abs(self.high))


def observe(network: Network, samples: np.ndarray) -> dict[str, Activation]:
    """Statistics of every activation, the input's too. samples: float32 [N, *network.shape]"""
    names = [node.output[0] for node in network.nodes]
    run = runner(network, names)
    seen: dict[str, Activation] = {}
    for answers in _with_input(run, network, samples):
        for name, values in answers.items():
            _extend(seen, name, values, len(samples))
    for activation in seen.values():
        low, high = activation.range
        activation.edges = np.linspace(low, max(high, low + 1e-12), BINS + 1)
        activation.counts = np.zeros(BINS, np.int64)
    for answers in _with_input(run, network, samples):
        for name, values in answers.items():
            activation = seen[name]
            ends = (activation.edges[0], activation.edges[-1])
            activation.counts += np.histogram(values, BINS, ends)[0]
    return seen


def _with_input(run: Runner, network: Network, samples: np.ndarray) -> Iterator[dict[str, np.ndarray]]:
    for index, answers in enumerate(run.batches(samples)):
        yield {network.input: samples[index * run.batch : (index + 1) * run.batch], **answers}


def _extend(seen: dict[str, Activation], name: str, values: np.ndarray, total: int) -> None:
    others = (0, *range(2, values.ndim))
    low, high = values.min(others), values.max(others)
    part = values.sum(0, dtype=np.float64) / total
    if name not in seen:
        seen[name] = Activation(low, high, part)
        return
    known = seen[name]
    known.low, known.high = np.minimum(known.low, low), np.maximum(known.high, high)
    known.mean += part
