"""rate="find": of some rates that whose trial steps leave the lowest loss, and nothing of the trials stays."""

from __future__ import annotations

import mistakes
import pytest
import tinylearn
from tinylearn import plan, training, tuning

SHARED = {"method": "full", "layers": 2, "steps": 3, "augment": {"shift": 1}, "head": "prototype"}


@pytest.fixture
def model(small):
    return tinylearn.load(str(small), recall=False)


@pytest.mark.parametrize("card", [1e-4, 0.01, 1.0, 100.0])
@pytest.mark.parametrize("in_place", [True, False])
@pytest.mark.parametrize("views", [4, 0])
def test_the_rate_with_the_lowest_loss(model, monkeypatch, card, in_place, views):
    losses, watch, find = [], training.Training.watch, training._find_rate

    def watched(self):
        losses.append((watch(self), self.layout.rate))
        return losses[-1][0]

    def found(self, before, changed):
        weights = [bytes(w) for w in self.weights]
        find(self, before, changed)
        assert [bytes(w) for w in self.weights] == weights
        assert tuple(changed) == model.changed or not in_place

    monkeypatch.setattr(training.Training, "watch", watched)
    monkeypatch.setattr(training, "_find_rate", found)
    monkeypatch.setattr(tuning, "RATE", card)
    model.in_place = in_place
    model.adapt(mistakes.GOOD, rate="find", views=views, **SHARED)
    assert [rate for _, rate in losses] == [card, 4 * card, card / 4]
    assert model.explain().told.rate == pytest.approx(min(losses, key=lambda pair: pair[0])[1], rel=1e-6)


def test_what_it_costs(model):
    """The forecast counts the trials, and a time budget leaves fewer steps for them."""
    settings = [tuning.Settings(model, {"method": "full", "layers": 2, "rate": rate}) for rate in (None, "find")]
    pace = plan.Pace([0.001] * model.operators, 1e9)
    plain, finding = [tuning.find(model, "full", 9, 3, each, None, pace) for each in settings]
    assert finding.seconds == pytest.approx(plain.seconds + 9 * plain.step)
    assert finding.macs() > plain.macs()
    settings[1].time_budget = plain.first + 20 * plain.step
    assert tuning.find(model, "full", 9, 3, settings[1], None, pace).steps == 11


def test_it_is_for_training_the_network(model):
    with pytest.raises(ValueError, match="rate is a number"):
        model.adapt(mistakes.GOOD, method="last_layer", rate="find")
