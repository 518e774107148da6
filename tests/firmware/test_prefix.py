"""What lies before the layers that are trained runs once for each view of each sample, however many steps are made."""

from __future__ import annotations

import mistakes
import pytest
import tinylearn

METHODS = {
    "bias": {"layers": 2},
    "last_layer": {},
    "scheme": {"scheme": "small"},
    "tinytrain": {"criterion": "l2"},
    "tinytrain by fisher": {"method": "tinytrain"},
    "full": {"layers": 2},
    "lightcl": {"method": "full", "layers": 2, "continual": "lightcl"},
}


@pytest.fixture
def runs(monkeypatch, small):
    """runs(steps, options): how often each operator ran forward while a model was taught, what explain() says of it."""
    import tl_infer

    def count(steps: int, options: dict):
        model = tinylearn.load(str(small), recall=False)
        found, run = [0] * model.operators, tl_infer.run
        if options.get("continual"):  # so that there is something to hold on to
            model.adapt(mistakes.GOOD, steps=2, **options)

        def counted(file, arena, first, last, *rest):
            for i in range(first, last):
                found[i] += 1
            return run(file, arena, first, last, *rest)

        with monkeypatch.context() as patch:
            patch.setattr(tl_infer, "run", counted)
            model.adapt(mistakes.GOOD, steps=steps, **options)
        return found, model.explain().told

    return count


@pytest.mark.parametrize("cache", ["ram", "flash", "recompute"])
@pytest.mark.parametrize("name", METHODS)
def test_the_prefix_runs_once(runs, name, cache):
    options = {"method": name, "views": 3, "augment": {"shift": 1}, "cache": cache, **METHODS[name]}
    if name == "last_layer":
        options = {"method": name}
    (few, told), (many, _) = runs(2, options), runs(5, options)
    frozen, samples = told.first, len(mistakes.GOOD)
    assert 0 < frozen <= told.end
    assert many[frozen : told.end] > few[frozen : told.end] or name == "last_layer"  # the others run in each step
    if cache == "recompute" and name != "last_layer":
        assert min(many[:frozen]) > max(few[:frozen])
        return
    looked = 2 * samples if name == "tinytrain by fisher" else 0  # it sees each sample twice, before it knows
    assert few[:frozen] == many[:frozen] == [samples * (1 + told.views) + looked] * frozen
