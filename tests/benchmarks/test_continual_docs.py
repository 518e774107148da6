"""The document of continual learning, and what of it comes from `tinylearn freeze`."""

from __future__ import annotations

import json

import continual_docs

FOUND = {
    "setting": {"sequence": "wearers", "model": "emg.tlm", "pairs": 4, "seed": 1},
    "freeze": 7,
    "layers": [
        {"op": 3, "plasticity": 1.0, "stability": 0.9, "new": 80.0, "old": 70.0},
        {"op": 7, "plasticity": 0.995, "stability": 0.8, "new": 79.6, "old": 72.0},
    ],
}


def _read(folder):
    return [json.loads(file.read_text()) for file in sorted(folder.glob("*.json"))]


def test_the_document_is_that_of_the_committed_results():
    written = continual_docs.text(_read(continual_docs.FOLDER), _read(continual_docs.FREEZING))
    assert continual_docs.TARGET.read_text() == written


def test_the_freeze_point_is_in_bold():
    text = continual_docs.text(_read(continual_docs.FOLDER), [FOUND])
    assert "gestures, wearer after wearer: 4 pairs of tasks, seed 1, `emg.tlm`." in text
    assert "| **7** | 0.995 | 0.800 | 79.6 | 72.0 |" in text and "| 3 | 1.000 | 0.900 | 80.0 | 70.0 |" in text
