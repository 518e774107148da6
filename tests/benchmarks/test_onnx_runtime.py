"""The document on ONNX Runtime is made from the committed figures, and they are what it claims."""

from __future__ import annotations

import json

import onnx_runtime


def test_the_document_is_current():
    found = json.loads(onnx_runtime.RESULTS.read_text())
    assert set(found) == set(onnx_runtime.NETWORKS)
    assert onnx_runtime.DOCUMENT.read_text() == onnx_runtime.text(found), "run benchmarks/onnx_runtime.py --table"


def test_trained_networks_are_within_a_step():
    """All but the deepest: docs/quantizing.md says why."""
    for name, row in json.loads(onnx_runtime.RESULTS.read_text()).items():
        assert row["layer"]["most"] <= 1 and row["layer"]["other"] < 1e-3, name
        if name != "mobilenet_v2":
            assert row["output"]["most"] <= 1, name
        assert row["output"]["same_class"] >= 0.98, name
