"""What a method trains within a budget of RAM: a larger one never trains less, and a refusal says what is missing."""

from __future__ import annotations

import re
from functools import cache

import mistakes
import pytest
import tinylearn
from hypothesis import given, settings
from hypothesis import strategies as st
from tinylearn import plan, selection, tuning
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


# ---- Refusals --------------------------------------------------------------------------------------------------------


def refusal(model, method: str, count=25, ways=5, pace=None, **options) -> str | None:
    """What is said, or None where something fits."""
    asked = tuning.Settings(model, {"method": method, **options})
    try:
        tuning.find(model, method, count, ways, asked, pace=pace)
    except (MemoryError, ValueError) as error:
        return str(error)


def number(sentence: str, what: str) -> float:
    return float(re.search(rf"takes at least (\S+) {what}", sentence)[1])


@pytest.mark.parametrize("cache", [None, "ram", "flash", "recompute"])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", ["glyph", "emg"])
def test_the_least_ram_is_enough_and_a_byte_less_is_not(name, method, cache):
    """TinyTrain's pass over the samples is refused first, then what it would choose."""
    model, budget = zoo(name), 1000
    said = refusal(model, method, budget=budget, cache=cache)
    while said:
        assert f"for 25 samples, and budget is {budget}: give fewer samples" in said
        assert ("another cache" in said) == bool(cache)
        assert "flash" not in said
        least = int(number(said, "bytes of RAM"))
        assert least > budget
        budget, said = least, refusal(model, method, budget=least, cache=cache)
    assert refusal(model, method, budget=budget - 1, cache=cache)


@pytest.mark.parametrize("method", METHODS)
def test_the_flash_has_no_room(method, monkeypatch):
    """The sentence names it where the RAM would do."""
    model = zoo("glyph")
    monkeypatch.setattr(tuning, "_free_flash", lambda model: 10_000)
    said = refusal(model, method, budget=60_000, cache="flash")
    assert "of flash for 25 samples, and 10000 are free: give fewer samples or views, another cache, or" in said
    least = int(number(said, "bytes of flash"))
    monkeypatch.setattr(tuning, "_free_flash", lambda model: least)
    assert refusal(model, method, budget=60_000, cache="flash") is None
    monkeypatch.setattr(tuning, "_free_flash", lambda model: least - 1)
    assert refusal(model, method, budget=60_000, cache="flash")


@pytest.mark.parametrize("method", METHODS)
def test_the_least_time_is_enough_and_less_is_not(method):
    model = zoo("glyph")
    pace = plan.Pace([0.01] * model.operators, 125e6)
    said = refusal(model, method, pace=pace, time_budget=0.5)
    assert "for 25 samples and 5 steps, and time_budget is 0.5 s: give fewer samples" in said
    least = number(said, "s")
    assert refusal(model, method, pace=pace, time_budget=1.01 * least) is None
    assert refusal(model, method, pace=pace, time_budget=0.99 * least)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"method": "full", "filter": 3}, "filter is 2, 4 or None"),
        ({"method": "full", "filter": 4, "layers": 1, "budget": 1}, "takes at least"),
        ({"method": "prototype", "filter": 2}, "filter is for methods that train the network"),
        ({"method": "closed_form", "budget": 1000}, "budget is for methods .* makes a head alone"),
        ({"method": "scheme", "scheme": "huge"}, "no scheme 'huge', it has 'large', 'small'"),
        ({"method": "tinytrain", "compute": 1e-6}, "the least takes 3072: compute=0.264 does"),
        ({"method": "full", "hold": {"samples": 3}}, "hold is of continual='lightcl'"),
        ({"method": "full", "hold": 3, "continual": "lightcl"}, "hold is a dict of"),
        ({"method": "full", "continual": "ewc"}, "continual is 'lightcl', 'replay' or None, not 'ewc'"),
        ({"method": "full", "budget": "48K"}, "budget, in bytes, is a whole number"),
        ({"method": "full", "time_budget": 0}, "time_budget is a number of seconds above 0"),
    ],
    ids=lambda value: value if isinstance(value, str) else ",".join(map(str, value)),
)
def test_what_makes_no_sense_is_said(small, options, said):
    model = tinylearn.load(str(small), recall=False)
    with pytest.raises((ValueError, MemoryError), match=said):
        model.adapt(mistakes.GOOD, augment=options.get("augment"), **options)
    assert model.head is None and not model.changed


def test_compute_that_does(small):
    model = tinylearn.load(str(small), recall=False)
    model.adapt(mistakes.GOOD, method="tinytrain", compute=0.264, steps=1, augment={"shift": 1})
    assert model.explain().method == "tinytrain"
