"""Ways to int8, tried one after the other; each is kept only where the int8 answers come closer to the float ones.

First the ranges of the activations, by each of ranges.METHODS; then cross-layer equalisation; then bias correction.
What counts is the answer of the simulator on some of the calibration samples, in dB of signal to noise.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from tinylearn_host import fuse, ir, tlm
from tinylearn_host.importers import onnx_qdq
from tinylearn_host.quantizing import bias, compare, equalise, qdq, ranges
from tinylearn_host.quantizing.network import Network
from tinylearn_host.quantizing.observe import Activation, observe, runner
from tinylearn_host.simulator import Simulator

JUDGES = 48  # calibration samples whose answers decide
WORTH = 0.05  # dB that a way must gain to be kept

Watch = Callable[[str, int, int], None]  # called with what is done, how much of it, and out of how much


@dataclass(frozen=True)
class Try:
    """A way that was tried: its answers' signal to noise in dB, and whether it was kept."""

    what: str
    sqnr: float
    kept: bool


@dataclass
class Candidate:
    """network: the float one that the int8 one stands for; model: QDQ ONNX; graph: the same for boards"""

    network: Network
    seen: dict[str, Activation]
    model: object
    graph: ir.Graph
    sqnr: float = 0.0


@dataclass
class Search:
    """Looks for the best int8 form of `network` on calibration samples float32 [N, *network.shape].

    input_step:  (scale, zero point) of the input, where it is given rather than measured
    """

    network: Network
    samples: np.ndarray
    path: Path
    input_step: tuple[float, int] | None = None
    watch: Watch = lambda what, done, total: None
    tries: list[Try] = field(default_factory=list)

    def best(self, methods: list[str], quick: bool = False) -> Candidate:
        """methods: of ranges.METHODS, to choose from. quick: with the first of them, and that is all"""
        self.judges = self.samples[compare.spread(len(self.samples), JUDGES)]
        self.truth = compare.float_answers(runner(self.network), self.judges)
        methods = methods[:1] if quick else methods
        self.done, self.total = 0, len(methods) + (1 if quick else 4)
        seen = self._observe(self.network)
        found = {name: self._candidate(self.network, seen, name) for name in methods}
        method = max(found, key=lambda name: found[name].sqnr)
        best = found[method]
        self.tries += [Try(f"ranges by {name}", c.sqnr, name == method) for name, c in found.items()]
        return best if quick else self._corrected(self._equalised(best, method), method)

    def _equalised(self, best: Candidate, method: str) -> Candidate:
        network, pairs = equalise.equalise(best.network, best.seen)
        if not pairs:
            self._step(2)
            return best
        seen = self._observe(network)
        return self._better(best, self._candidate(network, seen, method), f"{pairs} activations equalised")

    def _corrected(self, best: Candidate, method: str) -> Candidate:
        network = bias.correct(best.network, best.seen, qdq.weights(best.model))
        return self._better(best, self._candidate(network, best.seen, method, best.network), "biases corrected")

    def _better(self, best: Candidate, other: Candidate, what: str) -> Candidate:
        kept = other.sqnr > best.sqnr + WORTH
        self.tries.append(Try(what, other.sqnr, kept))
        return other if kept else best

    def _observe(self, network: Network) -> dict[str, Activation]:
        seen = observe(network, self.samples)
        self._step()
        return seen

    def _candidate(self, network: Network, seen: dict[str, Activation], method: str, stands_for=None) -> Candidate:
        """`network` in int8 with ranges by `method`; `stands_for`: the float network to compare it with, if another."""
        spans = ranges.choose(seen, method, network.input)
        model = qdq.quantise(network, spans, self.input_step)
        graph = fuse.pads_into_convolutions(onnx_qdq.from_model(model, self.path))
        shown = compare.answers(graph, Simulator(tlm.build(graph, None)), self.judges)
        self._step()
        return Candidate(stands_for or network, seen, model, graph, compare.answer_sqnr(self.truth, shown))

    def _step(self, count: int = 1) -> None:
        self.done += count
        self.watch("quantising", self.done, self.total)
