"""Few-shot accuracy of features: the nearest prototype by the cosine. As on the board, a class is the mean of its
examples' features."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from tinylearn_host.simulator import Simulator

Features = Callable[[np.ndarray], np.ndarray]  # pictures uint8 [N, ...] -> float [N, n], zero point taken off


def features_of(model: str | Path) -> Features:
    """The backbone in `model` as a function: a .tlm in the simulator or a float .onnx in ONNX Runtime."""
    if Path(model).suffix == ".tlm":
        return _integer_features(model)
    session, name, (_, channels, height, width) = _session(str(model))

    def features(pixels: np.ndarray) -> np.ndarray:
        x = pixels.reshape(len(pixels), 1, height, width, channels).transpose(0, 1, 4, 2, 3) / np.float32(255)
        return np.concatenate([session.run(None, {name: sample})[0] for sample in x])

    return features


def _session(model: str):
    """ONNX Runtime's session that ends where a classifier (a last Gemm) begins; its input's name and shape."""
    import onnx
    import onnxruntime

    network = onnx.load(model)
    last = network.graph.node[-1]
    if last.op_type == "Gemm":
        del network.graph.output[:]
        network.graph.output.append(onnx.helper.make_empty_tensor_value_info(last.input[0]))
        network.graph.node.pop()
    quiet = onnxruntime.SessionOptions()
    quiet.log_severity_level = 3  # errors: its classifier's weights are left over
    session = onnxruntime.InferenceSession(network.SerializeToString(), quiet, providers=["CPUExecutionProvider"])
    return session, session.get_inputs()[0].name, session.get_inputs()[0].shape


def _integer_features(model: str | Path) -> Features:
    simulator = Simulator(model)
    zero_point = simulator.model.tensors[simulator.model.features].zero_point

    def features(pixels: np.ndarray) -> np.ndarray:
        x = (pixels.astype(np.int16) - 128).astype(np.int8)
        return np.stack([simulator.features(sample) for sample in x]).astype(np.float32) - zero_point

    return features


def prototypes(features: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(labels that occur, sorted [k]; the mean of each one's features, of length 1 [k, n])."""
    classes = np.unique(labels)
    means = np.stack([features[labels == label].mean(0) for label in classes])
    return classes, means / (np.linalg.norm(means, axis=1, keepdims=True) + 1e-9)


def accuracy(support: np.ndarray, support_labels, query: np.ndarray, query_labels) -> float:
    """Percent of the queries [n_query, n] whose nearest prototype of the support is of their label."""
    classes, rows = prototypes(support, np.asarray(support_labels))
    return float(100 * (classes[np.argmax(query @ rows.T, 1)] == np.asarray(query_labels)).mean())


def accuracies(
    features: np.ndarray,
    labels: np.ndarray,
    *,
    way: int,
    shot: int,
    queries: int,
    episodes: int = 300,
    seed: int = 1,
) -> np.ndarray:
    """Accuracy in percent of each few-shot task. features [N, n], labels [N]; `queries` per class at most."""
    random = np.random.default_rng(seed)
    members = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    results = np.empty(episodes)
    for episode in range(episodes):
        taken = [random.permutation(members[k])[: shot + queries] for k in random.permutation(len(members))[:way]]
        support, query = (np.concatenate(rows) for rows in zip(*[(t[:shot], t[shot:]) for t in taken], strict=True))
        results[episode] = accuracy(features[support], labels[support], features[query], labels[query])
    return results


def interval(results: np.ndarray) -> float:
    """Half of the 95 % confidence interval of the mean over episodes (or people)."""
    return float(1.96 * np.std(results, ddof=1) / len(results) ** 0.5)
