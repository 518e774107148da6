"""What a method trains within a budget of RAM: a larger one never trains less, and a refusal says what is missing."""

from __future__ import annotations

from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tinylearn import selection, tuning
from tinylearn_host import paths
from tinylearn_host.learning import arithmetic
from tinylearn_host.tlm import read

METHODS = ("bias", "scheme", "full", "tinytrain")
BUDGETS = st.integers(12_000, 72_000)  # below and above what the least and everything of the zoo takes


@cache
def zoo(name: str):
    return arithmetic.in_place(read(paths.MODELS / name / f"{name}.tlm"))


def rank(model, method: str, budget: int, count: int, ways: int, options: dict, look):
    """How much is trained: larger is more; None where nothing is. TinyTrain takes layers by their scores: each is worth
    more than all that come after."""
    asked = tuning.Settings(model, {"method": method, "budget": budget, **options})
    try:
        fit = tuning.find(model, method, count, ways, asked, look=look)
    except MemoryError:
        return None
    assert fit.bytes <= budget
    if method == "tinytrain":
        return tuple(layer.op in fit.tail.choice for _, layer in fit.order)
    known = [choice for choice, _ in tuning.choices(model, method, asked)]
    return -known.index(fit.tail.choice)


@settings(max_examples=40)
@given(
    st.sampled_from(["glyph", "speech", "emg"]),
    st.tuples(BUDGETS, st.integers(1, 8_000)),
    st.integers(2, 10),
    st.integers(1, 5),
    st.fixed_dictionaries({}, optional={"cache": st.sampled_from(["ram", "flash", "recompute"])}),
    st.randoms(use_true_random=False),
)
@pytest.mark.parametrize("method", METHODS)
def test_a_larger_budget_never_trains_less(method, name, budgets, ways, shots, options, random):
    model, look = zoo(name), None
    if method == "tinytrain":
        layers = tuning.inspected(model, tuning.Settings(model, {"method": method}))
        values = {op.index: [random.randrange(1 << 20) for _ in range(op.channels(0))] for op in layers}
        look = selection.Look([selection.condense(op, 0, 0.5, (v, 0)) for op, v in values.items()])
    less, more = (
        rank(model, method, budget, ways * shots, ways, options, look) for budget in (budgets[0], sum(budgets))
    )
    assert less is None or (more is not None and more >= less)
