"""The document on ONNX Runtime is made from the committed figures, and they are what it claims."""

from __future__ import annotations

import json

import onnx_runtime


def test_the_document_is_current():
    found = json.loads(onnx_runtime.RESULTS.read_text())
    assert set(found) == set(onnx_runtime.NETWORKS)
    assert onnx_runtime.DOCUMENT.read_text() == onnx_runtime.text(found), "run benchmarks/onnx_runtime.py --table"


def test_networks_answer_as_onnx_runtime_and_lose_next_to_nothing():
    for name, row in json.loads(onnx_runtime.RESULTS.read_text()).items():
        assert row["accuracy"]["float"] - row["accuracy"]["int8"] <= 0.005, name
        for one in (row, row["random"]):
            assert one["layer"]["most"] == 0 and one["output"]["most"] <= 1, name
            assert one["optimised"]["most"] <= 1 and one["reference"]["most"] <= 1, name
