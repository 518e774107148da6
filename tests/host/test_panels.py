"""panels.py: what weight panels take and save, for one layer in arenas that grow more and more for its scratch."""

import pytest
from tinylearn_host import boards, panels, tlm
from tinylearn_host.bench import kernels

LAYERS = {layer.name: layer for layer in kernels.LAYERS}


def trade(name: str, growth: float, board: str = "pico-emulated") -> dict:
    return panels.trade(tlm.read(tlm.build(kernels.graph(LAYERS[name]), growth=growth)), boards.find(board))


def test_without_scratch_the_kernel_is_plain():
    found = trade("L5 forward", 0.0)
    assert [layer["kept"] for layer in found["layers"]] == ["plain"] and found["made_cycles"] == 0


@pytest.mark.parametrize("name", ["L4 forward", "L5 forward"])
def test_more_scratch_means_fewer_parts(name):
    found = [trade(name, growth) for growth in (0.25, 0.5, 1.0, 3.0)]
    layers = [one["layers"][0] for one in found]
    parts = [layer["parts"] for layer in layers]
    assert parts[0] > 1 and parts == sorted(parts, reverse=True) and parts[-1] == 1
    for one, layer in zip(found, layers, strict=True):
        assert layer["kept"] == ("in parts" if layer["parts"] > 1 else "each answer")
        assert (layer["bytes"] < layer["whole"]) == (layer["parts"] > 1) == (one["again_cycles"] > 0)
        assert one["most_scratch"] == layer["whole"] == layers[-1]["bytes"]  # the same whatever there is
        assert one["made_cycles"] == found[0]["made_cycles"] > 0  # each weight is packed once, in however many parts


def test_a_dense_layer_has_its_panel_in_the_file_or_none():
    tight, roomy = trade("L6 forward", 0.25), trade("L6 forward", 3.0)
    assert [tight["layers"][0]["kept"], roomy["layers"][0]["kept"]] == ["none", "file"]
    assert [tight["file_bytes"], roomy["file_bytes"]] == [0, 2 * 16384]  # two bytes for each of 256 x 64 weights
    assert tight["made_cycles"] == roomy["made_cycles"] == 0


def test_cycles_are_seconds_only_on_a_cortex_m0plus():
    found = trade("L4 forward", 0.25)
    assert found["made_seconds"] == pytest.approx(found["made_cycles"] / 125e6, abs=1e-6)
    assert trade("L4 forward", 0.25, "qemu-m4")["made_seconds"] is None
    assert "ms" in panels.sentences(found)[0] and "in parts" in panels.sentences(found)[1]
