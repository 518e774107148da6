"""Steps of activations and weights under which no sum comes near a half, so that every runtime rounds it alike.

A layer's output is round(r n): n is a sum of whole numbers, r = x scale * weight scale / y scale. Near a half the last
bit decides, and runtimes differ in it: ONNX Runtime rounds products and sums to float32, a board has 21 to 29 bits of
r. That befalls some values in a million, and a deep network makes several steps of one. But a n / b in whole numbers
with an odd b is never nearer to a half than 1 / 2b, which is a thousand times what float32 loses. So every r is raised
to the next such fraction, by scales that are larger by at most SLACK.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tinylearn_host.quantizing.network import Network
from tinylearn_host.quantizing.ranges import Range

Step = tuple[float, int]  # scale and zero point

SLACK = 0.01  # of a scale: 0.1 dB
MOST = 2047  # of b; below 1 / MOST a board would have too few bits for r, too
MOST_BIAS = 2.0**29  # steps of a bias: the board's sums stay in an int32 with it
SAME = ("MaxPool", "AveragePool", "Reshape", "Pad")  # what they give has the step of what they get
SUMS = ("Add", "GlobalAveragePool", "ReduceMean", "Relu", "Clip")  # nothing but the scales of their inputs can give way


@dataclass(frozen=True)
class Steps:
    """activations: of every activation, the input's too; weights: {name: float32 scales [output channels]}"""

    activations: dict[str, Step]
    weights: dict[str, np.ndarray]


def raised(ratios: np.ndarray, together: bool = False) -> np.ndarray:
    """float64 [n]: for each ratio >= 0 the least a / b from it on, of the first odd b that has one within SLACK.

    together: of one b for all. Where there is none, a ratio stays, but is 1 / MOST at least.
    """
    found = np.zeros_like(ratios)
    for b in range(1, MOST + 1, 2):
        a = np.ceil(ratios * b * (1 - 1e-12))
        fits = (found == 0) & (a > 0) & (a <= ratios * b * (1 + SLACK))
        if not together or fits.all():
            found[fits] = a[fits] / b
        if found.all():
            return found
    return np.where(found > 0, found, ratios if together else np.maximum(ratios, 1 / MOST))


def choose(network: Network, ranges: dict[str, Range], given: dict[str, Step]) -> Steps:
    """Steps for the ranges of all activations. given: those that are not to be changed"""
    owners = _owners(network)
    scales = {name: float(np.float32((high - low) / 255)) for name, (low, high) in ranges.items()}
    scales.update({name: float(np.float32(scale)) for name, (scale, _) in given.items()})
    held = {owners[name] for name in given}
    for node in reversed(network.nodes):
        if node.op_type in SUMS and owners[node.input[0]] != owners[node.output[0]]:
            _fit_inputs(network, node, scales, owners, held)
    own = {name: given.get(name) or _step(ranges[name], scales[name]) for name in set(owners.values())}
    return Steps({name: own[owners[name]] for name in ranges}, _weights(network, scales, owners))


def _owners(network: Network) -> dict[str, str]:
    """{activation: the one whose step it has}. A ReLU is part of the layer before it where nothing else reads that."""
    owners, readers = {network.input: network.input}, network.readers()
    for node in network.nodes:
        x, y = node.input[0], node.output[0]
        owners[y] = owners[x] if node.op_type in SAME else y
        if node.op_type in ("Relu", "Clip") and readers[x] == 1 and owners[x] == x != network.input:
            owners[x] = y
    return owners


def _fit_inputs(network: Network, node, scales: dict[str, float], owners: dict[str, str], held: set[str]) -> None:
    """Raise the scales of what `node` adds up until their ratios to its output's are fractions of one odd b."""
    inputs = [owners[name] for name in dict.fromkeys(node.input) if name in owners]
    count = np.prod(network.shapes[node.input[0]][2:]) if node.op_type in ("GlobalAveragePool", "ReduceMean") else 1
    whole = scales[owners[node.output[0]]] * count
    ratios = np.array([scales[name] for name in inputs]) / whole
    if held.isdisjoint(inputs):
        scales.update(zip(inputs, (float(np.float32(r * whole)) for r in raised(ratios, together=True)), strict=True))
    held.update(inputs)


def _step(span: Range, scale: float) -> Step:
    return scale, int(np.clip(np.rint(-128 - span[0] / scale), -128, 127))


def _weights(network: Network, scales: dict[str, float], owners: dict[str, str]) -> dict[str, np.ndarray]:
    """Wide enough for the weights, and for a bias that would leave an int32; there the products hardly count."""
    found = {}
    for node in network.nodes:
        if node.op_type not in ("Conv", "Gemm"):
            continue
        w, b = (network.constants[name].astype(np.float64) for name in node.input[1:])
        x, y = scales[owners[node.input[0]]], scales[owners[node.output[0]]]
        least = np.maximum(np.abs(w).reshape(len(w), -1).max(1) / 127, np.abs(b) / (x * MOST_BIAS))
        found[node.input[1]] = (raised(least * x / y) * y / x).astype(np.float32)
    return found
