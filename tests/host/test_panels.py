"""panels.py: what weight panels take and save, for one layer in arenas that grow more and more for its scratch."""

import numpy as np
import pytest
from tinylearn_host import boards, panels, paths, simulator, tlm
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


# ---- Panels that stay ------------------------------------------------------------------------------------------------

ROOM = 48 << 10


@pytest.fixture(scope="module")
def glyph() -> tlm.Model:
    return tlm.read((paths.MODELS / "glyph" / "glyph.tlm").read_bytes())


def test_panels_that_stay_take_the_room_that_there_is_for_them(glyph):
    stay = [[p for p in panels.panels(panels.keep(glyph, room)) if p.kept == "load"] for room in (0, ROOM, 1 << 20)]
    convolutions = [p for p in panels.panels(glyph) if p.kept in ("each answer", "in parts")]
    assert len(stay[0]) == 0 < len(stay[1]) < len(stay[2]) == len(convolutions)
    kept, before = panels.keep(glyph, ROOM), panels.trade(glyph, None)
    found = panels.trade(kept, None)
    assert glyph.arena + ROOM - 8192 < kept.arena <= glyph.arena + ROOM + 8
    assert found["stay_bytes"] == sum(p.whole for p in stay[1]) and found["kept_bytes"] < before["kept_bytes"]
    assert found["made_cycles"] < before["made_cycles"] and "first answer" in " ".join(panels.sentences(found))


def features(model, samples) -> list[bytes]:
    return [bytes(model.features(x)) for x in samples]


def test_panels_that_stay_give_the_same_answers_until_weights_change(glyph):
    simulator.on_path()
    from tinylearn.model import Model

    samples = np.random.default_rng(3).integers(-128, 128, (4, 784)).astype(np.int8)
    plain, kept = Model(bytearray(glyph.raw)), Model(bytearray(panels.keep(glyph, ROOM).raw))
    right = features(plain, samples)
    assert features(kept, samples) == right and features(kept, samples) == right

    stay = next(p.index for p in panels.panels(panels.keep(glyph, ROOM)) if p.kept == "load")
    for model in (plain, kept):
        model.change([glyph.ops[stay].w])
        model.tensor(glyph.ops[stay].w)[0][:64] = bytes(range(1, 65))
    changed = features(plain, samples)
    assert changed != right and features(kept, samples) == changed == features(kept, samples)
    for model in (plain, kept):  # while they may change, nothing of them is kept
        model.tensor(glyph.ops[stay].w)[0][:64] = bytes(range(65, 1, -1))
    again = features(plain, samples)
    assert again != changed and features(kept, samples) == again
    kept.change([])
    assert features(kept, samples) == right


def test_panels_that_stay_are_made_once(glyph):
    """What lies where the panels lie is what counts after the first answer."""
    simulator.on_path()
    from tinylearn.model import Model

    samples = np.random.default_rng(4).integers(-128, 128, (2, 784)).astype(np.int8)
    kept = Model(bytearray(panels.keep(glyph, ROOM).raw))
    right = features(kept, samples)
    kept.arena[glyph.arena + 8 :] = bytes(len(kept.arena) - glyph.arena - 8)
    assert features(kept, samples) != right
