"""Over a network as rewrite.py leaves it: what nobody reads goes, bounds and scales find their way into layers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tinylearn_host.quantizing.network import Network, attributes


def tidied(network: Network) -> Network:
    return scales_forward(bounds_forward(without_idle(network)))


def without_idle(network: Network) -> Network:
    """Without nodes and constants that nothing reads any more."""
    needed, nodes = {network.output}, []
    for node in reversed(network.nodes):
        if node.output[0] in needed:
            nodes.append(node)
            needed.update(name for name in node.input if name)
    constants = {name: array for name, array in network.constants.items() if name in needed}
    return replace(network, nodes=nodes[::-1], constants=constants)


def bounds_forward(network: Network) -> Network:
    """A ReLU or clip behind what only moves values goes before it, where it is part of a layer."""
    nodes, shapes, readers = list(network.nodes), dict(network.shapes), network.readers()
    index = 1
    while index < len(nodes):
        move, bound = nodes[index - 1 : index + 1]
        alone = move.output[0] == bound.input[0] and readers[bound.input[0]] == 1
        if alone and bound.op_type in ("Relu", "Clip") and _moves(network, move) and move.input[0] != network.input:
            early = f"{bound.output[0]}:early"
            shapes[early] = shapes[move.input[0]]
            nodes[index - 1 : index + 1] = _rewired(bound, move.input[0], early), _rewired(move, early, bound.output[0])
            index = max(index - 1, 1)
        else:
            index += 1
    return replace(network, nodes=nodes, shapes=shapes)


def _moves(network: Network, node) -> bool:
    return node.op_type in ("MaxPool", "Reshape") or (node.op_type == "Pad" and len(node.input) < 3)


def _rewired(node, x: str, y: str):
    """A copy of `node` that reads x in the place of its first input, and gives y."""
    copy = type(node)()
    copy.CopyFrom(node)
    copy.input[0], copy.output[0] = x, y
    return copy


def scales_forward(network: Network) -> Network:
    """A scale that stands alone before a layer (pixels brought to 0 .. 1) becomes part of that layer's weights.

    A summand does only where the layer does not pad: outside the image there is nothing to add it to.
    """
    constants, readers = dict(network.constants), network.readers()
    alone = {node.output[0]: node for node in network.nodes if _is_scale(node, constants)}
    gone = set()
    for node in network.nodes:
        scale = alone.get(node.input[0])
        if scale is None or node.op_type != "Conv" or readers[scale.output[0]] != 1 or scale is node:
            continue
        factor, summand = constants[scale.input[1]].reshape(-1), constants[scale.input[2]]
        if np.any(summand) and any(attributes(node).get("pads") or [0]):
            continue
        w, b = (constants[name] for name in node.input[1:])
        spread = (lambda v, w=w: v.reshape(1, -1, *[1] * (w.ndim - 2))) if w.shape[1] > 1 or len(factor) == 1 else None
        if spread is None:  # depthwise: its output channels belong to one input channel each
            per_output = np.repeat(factor, len(w) // len(factor)), np.repeat(summand, len(w) // len(factor))
            factors, summands = (v.reshape(-1, 1, *[1] * (w.ndim - 2)) for v in per_output)
        else:
            factors, summands = spread(factor), spread(summand)
        constants[node.input[1]] = (w * factors).astype(np.float32)
        constants[node.input[2]] = (b + (w * summands).reshape(len(w), -1).sum(1)).astype(np.float32)
        node.input[0] = scale.input[0]
        gone.add(scale.output[0])
    nodes = [node for node in network.nodes if node.output[0] not in gone]
    return without_idle(replace(network, nodes=nodes, constants=constants))


def _is_scale(node, constants) -> bool:
    if node.op_type != "Conv":
        return False
    w, options = constants[node.input[1]], attributes(node)
    plain = max(options.get("strides") or [1]) == 1 and not any(options.get("pads") or [0])
    return plain and w[0].size == 1 and options.get("group", 1) == len(w)
