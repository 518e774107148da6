"""What training a choice takes: the arenas that the board plans, close to the least possible, and nothing overlaps."""

from __future__ import annotations

from functools import cache
from itertools import combinations

import pytest
from tinylearn_host import fuse, importers, partition, paths, planner, tlm, training_report
from tinylearn_host.bench import reference_models
from tinylearn_host.training_sections import BIAS, WEIGHTS, Entry

ZOO = sorted(paths.MODELS.glob("*/*.tlm"))
MODELS = [*reference_models.NAMES, *(path.stem for path in ZOO)]


@cache
def model(name: str) -> tlm.Model:
    found = [path for path in ZOO if path.stem == name]
    if found:
        return tlm.read(found[0])
    graph = fuse.pads_into_convolutions(importers.load(reference_models.path(name)))
    return partition.prepare(tlm.read(tlm.build(graph, growth=0.25)))


def choices(name: str):
    """Biases, and everything, of the last layers, each number of them; and the schemes: (entries, width)."""
    trainable = [record for record in model(name).backward if record.flags & (WEIGHTS | BIAS)]
    for flags in (BIAS, WEIGHTS | BIAS):
        for width in (8, 16):
            for k in range(1, len(trainable) + 1):
                yield tuple(Entry(r.op, r.flags & flags) for r in reversed(trainable[:k]) if r.flags & flags), width
    for scheme in model(name).schemes:
        yield scheme.entries, scheme.width


@pytest.mark.parametrize("name", MODELS)
def test_arenas_are_within_5_percent_of_the_least_possible(name):
    """As the board lays them out, and as the host would (test_planner.py has the forward's)."""
    seen = 0
    for entries, width in choices(name):
        plan = partition.plan(model(name), entries, width)
        end = max(block.at + block.size for block in plan.live)
        assert end <= 1.05 * partition.tail().lower_bound(plan.live)
        seen += 1
    assert seen >= 4
    assert planner.place(partition.blocks(plan)).ratio <= 1.05  # of the last scheme: it takes its time


@pytest.mark.parametrize("name", MODELS)
def test_blocks_that_live_at_once_are_apart(name):
    for entries, width in choices(name):
        plan = partition.plan(model(name), entries, width)
        for a, b in combinations(plan.live, 2):
            if a.first <= b.last and b.first <= a.last:
                assert a.at + a.size <= b.at or b.at + b.size <= a.at
        assert all(at >= plan.kept["exponents", 0] for at in plan.kept.values())


@pytest.mark.parametrize("name", MODELS)
def test_kernels_have_of_the_scratch_what_is_left_over(name):
    """In any arena between the least, for plain kernels, and what fast ones want; nothing else gets smaller."""
    tail = partition.tail()
    for entries, width in choices(name):
        plan = partition.plan(model(name), entries, width)
        wanted, fixed = plan.size, {key: b.size for key, b in plan.blocks.items() if not b.sizes}
        for speed in (tail.NARROW, tail.PLAIN):
            plan.lay(speed)
            least = plan.size
            assert least <= 1.06 * wanted  # a placement may be less lucky
            for share in (0.1, 0.5, 1):
                size = least + int(share * max(0, wanted - least)) | 1
                plan.lay(speed)
                plan.widen(size)
                assert least <= plan.size <= size
                assert fixed == {key: b.size for key, b in plan.blocks.items() if not b.sizes}
                for (kind, index), block in plan.blocks.items():
                    assert block.at % 4 == 0
                    if kind == "scratch":
                        assert block.sizes[speed] <= block.size <= block.sizes[0]
                    if kind == "work":
                        assert block.size == -(-(plan.model.nbytes(index) >> block.shift) // 4) * 4
                for a, b in combinations(plan.live, 2):
                    if a.first <= b.last and b.first <= a.last:
                        assert a.at + a.size <= b.at or b.at + b.size <= a.at


@pytest.mark.parametrize("name", MODELS)
def test_default_schemes_fit_their_budgets(name):
    schemes = partition.default_schemes(model(name))
    assert schemes or name == "micro_speech"  # whose features alone are too many
    assert [s.ram_bytes for s in schemes] == sorted((s.ram_bytes for s in schemes), reverse=True)
    for scheme in schemes:
        assert partition.adapting_bytes(model(name), scheme.entries) <= partition.BUDGETS[scheme.name]
        assert scheme.ram_bytes == partition.plan(model(name), scheme.entries, scheme.width).size


@pytest.mark.parametrize("name", MODELS)
def test_what_adapting_takes_is_what_the_board_says(name):
    """The host reckons without the simulator when it converts, so it has the board's sum once more."""
    task = training_report.Task()
    for scheme in model(name).schemes:
        found = training_report.find(model(name), "scheme", task, scheme=scheme.name, cache="flash")
        fit = found.fit
        features = fit.count * fit.tail.model.nbytes(fit.tail.features)
        without_best = fit.tail.size + features + fit.records + fit.inputs + max(fit.head, fit.choosing)
        assert without_best == pytest.approx(partition.adapting_bytes(model(name), scheme.entries), rel=0.05)
