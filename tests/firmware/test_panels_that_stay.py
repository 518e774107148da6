"""Packed weights that stay while a tail is trained: in room that nobody else wants, made as often as weights move, and
the same bits as where they are made for each sample."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tinylearn import plan, training, tuning
from tinylearn.model import Model
from tinylearn_host import partition, paths, tlm
from tinylearn_host.training_sections import Entry, Scheme

NAMES = ("glyph", "speech", "emg")
GAP = Scheme("gap", 0, 8, (Entry(4, 3), Entry(8, 2), Entry(10, 3)))  # of glyph: what lies between stays as it is
AT_END, PACKED = 3, 1 << 30  # native_modules/kernels/program.h


@cache
def file(name: str) -> bytes:
    model = tlm.read((paths.MODELS / name / f"{name}.tlm").read_bytes())
    return partition.with_schemes(model, [GAP, *model.schemes]).raw if name == "glyph" else model.raw


def on_board(name: str) -> Model:
    model = Model(bytearray(file(name)))
    model.in_place = True
    return model


@settings(max_examples=60)
@given(
    st.sampled_from(NAMES),
    st.integers(30_000, 300_000),
    st.integers(1, 5),
    st.sampled_from(["bias", "full", "tinytrain"]),
    st.sampled_from([None, 2]),
)
def test_they_take_what_is_left_over(name, budget, shots, method, patches):
    """Never of what is trained, never more than is named; each lies for itself behind all else."""
    model = on_board(name)
    asked = tuning.Settings(model, {"method": method, "budget": budget, "filter": patches, "cache": "recompute"})
    try:
        kept = tuning.find(model, method, 5 * shots, 5, asked)
    except (MemoryError, ValueError):
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tuning.Fit, "keep", lambda self, room, pace: None)
        bare = tuning.find(model, method, 5 * shots, 5, asked)
    assert kept.tail.choice == bare.tail.choice and kept.tail.size == bare.tail.size and kept.best == bare.best
    sizes = [panel[2] for panel in kept.panels]
    assert kept.panel_bytes == sum(sizes) <= (budget - bare.bytes) / 2
    assert [kept.bytes - bare.bytes, kept.heap - bare.heap, kept.arena - bare.arena] == 3 * [sum(sizes)]
    left = [size for op, size, _ in kept.tail.panels() if op.index not in [panel[0] for panel in kept.panels]]
    assert all(size > (budget - bare.bytes) // 2 - sum(sizes) for size in left)
    fields, at = kept.layout(), bare.arena
    assert fields["arena"] == at + sum(sizes)
    for (scratch, empty, full, _), size in zip(fields["panels"], sizes, strict=True):
        assert fields["places"][scratch] == empty == at + AT_END and full == empty + PACKED
        at += size


def samples(name: str) -> list:
    x = np.random.default_rng(7).integers(-128, 128, (9, len(on_board(name).x))).astype(np.int8)
    return [(v.tobytes(), i % 3) for i, v in enumerate(x)]


def learned(name: str, keeps: bool, monkeypatch, **options) -> tuple:
    """(weights and head after training, explain())"""
    model = on_board(name)
    with monkeypatch.context() as patch:
        patch.setattr(training, "PASSING", ())  # else what is patched goes with the code that plans
        if not keeps:
            patch.setattr(tuning.Fit, "keep", lambda self, room, pace: None)
        model.in_place = False
        model.adapt(samples(name), steps=3, budget=260_000, **options)
    weights = [bytes(model.tensor(t)[0]) for t in model.changed]
    return (weights, bytes(model.head.w), bytes(model.head.b)), model.explain()


CASES = [
    ("glyph", {"method": "scheme", "scheme": "gap"}),
    ("glyph", {"method": "full", "layers": 4, "rate": "find"}),
    ("glyph", {"method": "full", "layers": 6, "filter": 2, "cache": "recompute"}),
    ("speech", {"method": "tinytrain", "cache": "recompute"}),
    ("emg", {"method": "bias"}),
    ("emg", {"method": "full", "continual": "lightcl"}),
]


@pytest.mark.parametrize(("name", "options"), CASES, ids=lambda case: case if isinstance(case, str) else case["method"])
def test_the_same_bits(name, options, monkeypatch):
    (kept, told), (bare, plain) = (learned(name, keeps, monkeypatch, **options) for keeps in (True, False))
    assert kept == bare and kept[0]
    assert told.told.panel_bytes == told.told.ram_bytes - plain.told.ram_bytes > 0 == plain.told.panel_bytes
    said = f"packed weights stay in {told.told.panel_bytes} bytes of that RAM"
    assert said in repr(told) and "packed weights" not in repr(plain)


def test_weights_that_do_not_move_are_packed_once(monkeypatch):
    """What a sample finds where panels lie counts: of operator 6 always, of 4, 8 and 10, which are trained, only while
    the clean samples run."""
    seen, run = [], training.tl_infer.run

    def watched(file, arena, first, last, places=None, masks=None):
        if first:
            seen.append((masks is not None, [places[t] >= PACKED for t, *_ in panels]))
        return run(file, arena, first, last, places, *(() if masks is None else (masks,)))

    model, panels = on_board("glyph"), []
    of = {model.operator(i, "<H", 22)[0]: i for i in (4, 6, 8, 10)}
    init = training.Training.__init__

    def started(self, support, *rest):
        panels.extend(support.layout.panels)
        init(self, support, *rest)

    monkeypatch.setattr(training.Training, "__init__", started)
    monkeypatch.setattr(training.tl_infer, "run", watched)
    model.in_place = False
    model.adapt(samples("glyph"), method="scheme", scheme="gap", steps=2, budget=500_000, head="prototype")
    assert [of[t] for t, *_ in panels] == [6, 10, 8, 4] and [panel[3] for panel in panels] == [
        True,
        False,
        False,
        False,
    ]
    clean, moving = [True] * 4, [True, False, False, False]
    sweep = [(False, [False] * 4)] + 8 * [(False, clean)] + 9 * [(True, moving)]
    again = [(False, moving)] + 8 * [(False, clean)]
    assert [pair for pair in seen if pair[1]] == sweep + again + 9 * [(True, moving)] + again


@pytest.mark.parametrize("name", NAMES)
def test_the_forecast_counts_them(name):
    model = on_board(name)
    pace = plan.Pace([op.macs * 5e-8 for op in tlm.read(file(name)).ops], 125e6)
    asked = tuning.Settings(model, {"method": "full", "budget": 300_000})
    kept = tuning.find(model, "full", 25, 5, asked, pace=pace)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tuning.Fit, "keep", lambda self, room, pace: None)
        bare = tuning.find(model, "full", 25, 5, asked, pace=pace)
    assert 0 < kept.saved < 0.1 * bare.step and kept.saved == pytest.approx(bare.step - kept.step)
    told = model.plan(method="full", ways=5, shots=5, budget=300_000)
    assert told.panels == kept.panel_bytes and 0 < told.saved < told.seconds
