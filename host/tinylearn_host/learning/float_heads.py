"""The heads that a board teaches, in float64: (rows, biases, what to do to features first) of features and classes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

STEPS, RATE, TAU = 40, 100.0, 10.0
DISTANCE = 8  # of class means from their mean, squared and whitened, which probabilities follow from

Head = tuple[np.ndarray, np.ndarray, Callable[[np.ndarray], np.ndarray]]


def unit(x: np.ndarray) -> np.ndarray:
    return x / np.maximum(np.linalg.norm(x, axis=-1, keepdims=True), 1e-12)


def _means(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.array([x[y == k].mean(0) for k in range(y.max() + 1)])


def cosine(x: np.ndarray, y: np.ndarray) -> Head:
    means = _means(x, y)
    return TAU * unit(means), np.zeros(len(means)), unit


def euclidean(x: np.ndarray, y: np.ndarray) -> Head:
    means = _means(x, y)
    return 2 * means, -(means**2).sum(1), np.asarray


def closed_form(x: np.ndarray, y: np.ndarray, part: float = 1) -> Head:
    """Linear discriminant analysis; the covariance is that of the samples and part * n more of a sphere of its size,
    then scaled to a mean distance of DISTANCE (native_modules/kernels/head_closed_form.c)."""
    means, n = _means(x, y), x.shape[1]
    z, centred = x - means[y], means - means.mean(0)
    examples, trace = len(x) - len(means), (z**2).sum()
    covariance = z.T @ z + np.eye(n) * part * trace / examples if trace else np.eye(n)
    w = np.linalg.solve(covariance, centred.T).T
    w *= DISTANCE / max((w * centred).sum(1).mean(), 1e-12)
    return w, -(w * (means + means.mean(0))).sum(1) / 2, np.asarray


def last_layer(x: np.ndarray, y: np.ndarray) -> Head:
    """Softmax regression on centred features of length 1, full-batch SGD from the prototypes, gradient norm <= 1."""
    w, b, _ = cosine(x, y)
    u = unit(x)
    mean = u.mean(0)
    b = b + w @ mean
    for _ in range(STEPS):
        logits = (u - mean) @ w.T + b
        p = np.exp(logits - logits.max(1, keepdims=True))
        p /= p.sum(1, keepdims=True)
        gradient = (p - np.eye(len(w))[y]).T @ (u - mean) / len(u)
        w = w - RATE * min(1, 1 / max(np.linalg.norm(gradient), 1e-12)) * gradient
    return w, b - w @ mean, unit


HEADS = {"prototype": cosine, "euclidean": euclidean, "closed_form": closed_form, "last_layer": last_layer}
CLOSED = ("closed_form", "closed_form/8")  # as firmware/tinylearn/head.py
HEADS |= {name: partial(closed_form, part=0.125**i) for i, name in enumerate(CLOSED)}


def answers(head: Head, x: np.ndarray) -> np.ndarray:
    """The row that each of the features is nearest to."""
    w, b, prepare = head
    return (prepare(x) @ w.T + b).argmax(1)


# ---- Which head ------------------------------------------------------------------------------------------------------

FOLDS = 5


def judged(x: np.ndarray, y: np.ndarray, names: tuple[str, ...], of_one: str) -> tuple[str, int]:
    """As teaching.judged: (the head that gives the right classes the highest probability, of samples held out in turn,
    how many of them it answers right). of_one: the head where there is nothing to hold out."""
    asked, right, sure = held_out(x, y, names)
    best = sure.index(max(sure))
    return (names[best] if asked else of_one), right[best]


def held_out(x: np.ndarray, y: np.ndarray, names: tuple[str, ...]) -> tuple[int, list[int], list[float]]:
    """As teaching.held_out: (how many samples, how many of them each head answers right, the probabilities that it
    gives to their classes, added up)."""
    fold = np.empty(len(y), int)
    for label in np.unique(y):
        rows = np.flatnonzero(y == label)
        fold[rows] = np.arange(len(rows)) % FOLDS if len(rows) > 1 else FOLDS
    right, sure = [0] * len(names), [0.0] * len(names)
    for held in range(FOLDS):
        kept = fold != held
        for i, name in enumerate(names if not kept.all() else ()):
            ok, p = belief(HEADS[name](x[kept], y[kept]), x[~kept], y[~kept])
            right[i], sure[i] = right[i] + ok, sure[i] + p
    return int((fold < FOLDS).sum()), right, sure


def belief(head: Head, x: np.ndarray, y: np.ndarray) -> tuple[int, float]:
    """(how many of the features get their class, the probabilities that their classes have, added up)."""
    w, b, prepare = head
    logits = prepare(x) @ w.T + b
    p = np.exp(logits - logits.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    return int((logits.argmax(1) == y).sum()), float(p[np.arange(len(y)), y].sum())
