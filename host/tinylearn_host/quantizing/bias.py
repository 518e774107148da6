"""Bias correction: rounded weights shift the mean of a layer's output; its bias takes the shift back.

Nagel et al. 2019 (arXiv 1906.04721), section 4.2: the shift is E[W_q x] - E[W x] = (W_q - W) * E[x]. The mean of x is
measured, value by value, so that the layer's padding counts as it does in use.
"""

from __future__ import annotations

import numpy as np

from tinylearn_host.quantizing.network import Network
from tinylearn_host.quantizing.observe import Activation, Runner


def correct(network: Network, seen: dict[str, Activation], rounded: dict[str, np.ndarray]) -> Network:
    """The network with other biases. rounded: {layer: its quantised weights as reals}, see qdq.weights"""
    changed = {}
    for node in network.nodes:
        if node.name in rounded:
            error = rounded[node.name] - network.constants[node.input[1]]
            shift = _mean_output(network, node, seen[node.input[0]].mean, error.astype(np.float32))
            changed[node.input[2]] = (network.constants[node.input[2]] - shift).astype(np.float32)
    return network.with_constants(changed)


def _mean_output(network: Network, node, x: np.ndarray, w: np.ndarray) -> np.ndarray:
    """float32 [channels]: the mean over the pixels of what `node` gives for x with weights w and no bias."""
    if node.op_type == "Gemm":
        return w @ x.reshape(-1).astype(np.float32)
    alone = Network(
        node.name,
        network.source,
        [node],
        {node.input[1]: w, node.input[2]: np.zeros(len(w), np.float32)},
        node.input[0],
        network.shapes[node.input[0]][1:],
        node.output[0],
        network.opset,
        {node.output[0]: network.shapes[node.output[0]]},
    )
    y = Runner(alone.model()).outputs(x[None].astype(np.float32))
    return y.reshape(len(w), -1).mean(1)
