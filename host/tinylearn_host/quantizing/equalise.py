"""Cross-layer equalisation: even out the channels of an activation by scales that its two layers take up.

Nagel et al. 2019 (arXiv 1906.04721), section 4.1: relu(s a) = s relu(a) for s > 0, so what the layer before is scaled
by in a channel, the layer behind divides its weights by, and the answer stays. Here weights have a scale per output
channel anyway; what gains is the activation, which has one for all channels. So its measured reach stands where the
paper has the range of the first layer's weights (its equation 11).

A ReLU6 lets scales through only below its bound. So channels that come to it stay, and others grow at most up to it.
"""

from __future__ import annotations

import numpy as np

from tinylearn_host.quantizing.network import Network, attributes
from tinylearn_host.quantizing.observe import Activation

# What lets a positive scale per channel through.
PASSES = {"Relu", "MaxPool", "AveragePool", "GlobalAveragePool", "ReduceMean", "Pad", "Reshape"}
LIMIT = 32.0  # scales stay within 1/LIMIT .. LIMIT


def equalise(network: Network, seen: dict[str, Activation]) -> tuple[Network, int]:
    """The network with other weights and the same answer, and how many activations were equalised."""
    constants = dict(network.constants)
    pairs = _pairs(network)
    for first, middle, second, bound in pairs:
        w, options = constants[second.input[1]], attributes(second)
        channels = len(constants[first.input[2]])
        columns, depthwise = _columns(w, options, channels), options.get("group", 1) > 1
        scale = _scales(seen[middle].reach, columns, depthwise, bound)
        constants[first.input[1]] = constants[first.input[1]] * _rows(scale, constants[first.input[1]])
        constants[first.input[2]] = constants[first.input[2]] * scale
        constants[second.input[1]] = (_divided(w, options, scale)).astype(np.float32)
    return network.with_constants(constants), len(pairs)


def _pairs(network: Network) -> list[tuple]:
    """(layer, name of the activation between, next layer, bound of the activation), where nothing else reads it."""
    readers = network.readers()
    writers = {node.output[0]: node for node in network.nodes}
    pairs = []
    for second in network.nodes:
        if second.op_type not in ("Conv", "Gemm"):
            continue
        name, bound = second.input[0], np.inf
        middle = name
        while name in writers and readers[name] == 1 and _passes(network, writers[name]):
            bound = min(bound, _bound(network, writers[name]))
            name = writers[name].input[0]
            middle = name if len(network.shapes[middle]) != len(network.shapes[name]) else middle
        first = writers.get(name)
        if first is not None and readers[name] == 1 and first.op_type in ("Conv", "Gemm"):
            pairs.append((first, middle, second, bound))
    return pairs


def _passes(network: Network, node) -> bool:
    if node.op_type == "Pad":  # zeros around height and width stay zeros
        amounts = network.constants[node.input[1]]
        return len(node.input) < 3 and not amounts[1] and not amounts[len(amounts) // 2 + 1]
    if node.op_type == "Clip":
        return len(node.input) == 3 and all(node.input) and network.constants[node.input[1]] == 0
    return node.op_type in PASSES


def _bound(network: Network, node) -> float:
    return network.constants[node.input[2]].item() if node.op_type == "Clip" else np.inf


def _scales(reach: np.ndarray, columns: np.ndarray, depthwise: bool, bound: float = np.inf) -> np.ndarray:
    """float32 [channels] for the first layer's outputs.

    A depthwise layer behind has a weight scale for each channel, so the activation's reach can be made all even;
    an ordinary one shares its scale between input channels, so the two go halves.
    """
    sound = (reach > 0) & (columns > 0)
    if not sound.any():
        return np.ones(len(reach), np.float32)
    top = float(reach[sound].max())
    scale = np.ones(len(reach))
    r1, r2 = reach[sound] / top, columns[sound] / columns[sound].max()
    scale[sound] = 1 / r1 if depthwise else np.sqrt(r1 * r2) / r1
    if np.isfinite(bound):
        room = 0.999 * bound / reach[sound]
        scale[sound] = np.where(room > 1, np.minimum(scale[sound], room), 1)
    else:
        scale[sound] /= np.exp(np.log(scale[sound]).mean())
    return np.clip(scale, 1 / LIMIT, LIMIT).astype(np.float32)


def _rows(scale: np.ndarray, w: np.ndarray) -> np.ndarray:
    return scale.reshape(-1, *[1] * (w.ndim - 1))


def _columns(w: np.ndarray, options: dict, channels: int) -> np.ndarray:
    """Greatest absolute weight that each of the channels in between meets."""
    if options.get("group", 1) > 1:
        return np.abs(w).reshape(channels, -1).max(1)
    return np.abs(w).reshape(len(w), channels, -1).max((0, 2))


def _divided(w: np.ndarray, options: dict, scale: np.ndarray) -> np.ndarray:
    if options.get("group", 1) > 1:
        return (w.reshape(len(scale), -1) / scale[:, None]).reshape(w.shape)
    return (w.reshape(len(w), len(scale), -1) / scale[:, None]).reshape(w.shape)
