"""The cards of models/ say what the committed results say."""

from __future__ import annotations

import cards
import pytest
from tinylearn_host import paths

CARDS = sorted(paths.MODELS.glob("*/card.md"))


@pytest.mark.parametrize("card", CARDS, ids=[card.parent.name for card in CARDS])
def test_the_card_is_current(card):
    written = card.read_text("utf-8")
    assert cards.START in written and cards.END in written
    assert written == cards.filled(card), "run benchmarks/cards.py"


def test_all_methods_that_were_run_are_there():
    for name in ("glyph", "speech", "emg"):
        text = cards.text(name)
        assert "| prototype |" in text and "| pico |" in text and "± " in text, name
