"""What `method="auto"` decides (firmware/tinylearn/auto.py), by features in real numbers."""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from importlib import import_module

import numpy as np

from tinylearn_host import simulator
from tinylearn_host.learning import float_heads

ONE = 32768  # of a probability, as auto.SURE has it


@dataclass(frozen=True)
class Verdict:
    """As teaching.Verdict: whether the network is trained; the best head for it as it is; how many samples held out in
    turn that head answers rightly, or None where views watch."""

    trains: bool
    head: str
    right: int | None


def judge(x: np.ndarray, y: np.ndarray, views: np.ndarray | None, of_one: str, asked: str | None = None) -> Verdict:
    """x, y: features [samples, n] and classes. views: features of a view of each sample, where views are known; of_one:
    the head where nothing can be held out; asked: the head that was asked for."""
    auto = _board("auto")
    heads = (asked,) if asked in float_heads.HEADS else float_heads.CLOSED
    count, right, sure = float_heads.held_out(x, y, (*heads, "prototype"))
    at = sure.index(max(sure[:-1]))
    best, enough, watched = heads[at], auto.SURE, None
    if count:
        if views is None or len(y) >= auto.FEWEST * (y.max() + 1):
            watched = right[at]
    else:
        best = heads[0] if len(heads) == 1 else of_one
        if views is None:
            return Verdict(False, best, None)
        enough, count = auto.SURE_OF_VIEWS, len(y)
        sure = [float_heads.belief(float_heads.HEADS["prototype"](x, y), views, y)[1]]
    return Verdict(ONE * sure[-1] < enough * count, best, watched)


def _board(name: str):
    simulator.on_path()
    return import_module(f"tinylearn.{name}")


def asked_views(x: np.ndarray, parameters: object, seed: int) -> np.ndarray | None:
    """int8 views of samples as auto._of_views makes them, or None where none are known."""
    if parameters is None:
        return None
    simulator.on_path()
    augment, seen = import_module("tl_train").augment, np.empty_like(x)
    state = np.array([seed * 40503 & 0x3FFFFFFF | 1], np.int32)
    for sample, view in zip(x, seen, strict=True):
        status = augment(array("i", parameters), sample, view, state)
        assert status == 0, simulator.explain(status)
    return seen
