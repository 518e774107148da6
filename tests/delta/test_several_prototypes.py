"""A head with several rows of a class is kept as it is; one whose rows belong to nobody is refused by all readers."""

from __future__ import annotations

import pytest
import tinylearn
from firmware.checks import answers, pictures
from tinylearn_host import tld
from tinylearn_host.errors import TinylearnError

PATH = "model.tlm"


@pytest.fixture
def taught(flash, models):
    """A model with five rows of three classes, saved."""
    flash.files[PATH] = bytearray(models[0])
    model = tinylearn.load(PATH)
    model.adapt(pictures(3, 2), "prototype")
    model.adapt(pictures(2, 2, seed=900), more="add", method="closed_form")
    model.save()
    return model


def delta_of(flash) -> bytearray:
    return next(content for path, content in flash.files.items() if path != PATH)


def test_it_comes_back(taught, flash):
    again = tinylearn.load(PATH)
    assert again.labels == [0, 1, 2]
    assert list(again.head.owners) == [0, 1, 2, 0, 1]
    assert answers(again, 3) == answers(taught, 3)
    head = tld.read(bytes(delta_of(flash))).head
    assert (head.labels, head.owners.tolist(), head.k) == ([0, 1, 2], [0, 1, 2, 0, 1], 5)
    assert (head.mult, head.shift) == tuple(taught.head.params[3:])
    again.adapt(pictures(1, 1, seed=5), "prototype")  # the newest row of class 0 is refined
    assert list(again.head.counts) == [2, 2, 2, 3, 2]


@pytest.mark.parametrize(
    "owners", [(0, 1, 3, 0, 1), (0, 0, 0, 0, 0), (0, 2, 2, 0, 2), (255, 1, 2, 0, 1), (0, 1, 2, 3, 4)]
)
def test_rows_of_nobody_are_refused(taught, flash, capsys, owners):
    delta = delta_of(flash)
    at = delta.rindex(bytes((0, 1, 2, 0, 1)))
    delta[at : at + 5] = bytes(owners)
    delta[:] = tld.seal(bytes(delta))
    with pytest.raises(TinylearnError):
        tld.read(bytes(delta))
    assert tinylearn.load(PATH).head is None
    assert "is not loaded" in capsys.readouterr().out
