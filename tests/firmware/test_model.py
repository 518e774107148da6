"""Models of other shapes, and what only CPython has: numpy arrays, memoryviews that say what they hold."""

from __future__ import annotations

import json

import numpy as np
import pytest
import small_model
from checks import answers, pictures
from tinylearn_host import simulator

simulator.on_path()
import tinylearn  # noqa: E402


def model(tmp_path, **options):
    return tinylearn.load(str(small_model.write(tmp_path / "model.tlm", **options)))


def test_a_model_without_a_classifier_must_be_taught_first(tmp_path):
    m = model(tmp_path, head=False)
    assert m.labels == []
    with pytest.raises(ValueError, match="no classes yet: teach it first"):
        m.predict(bytes(64))
    m.adapt(pictures(3, 2), "prototype")
    assert [label for label, _ in answers(m, 3)] == [0, 0, 1, 1, 2, 2]


def test_a_classifier_without_names_counts_its_classes(tmp_path):
    m = model(tmp_path, labels=None)
    assert m.labels == list(range(6))
    assert m.predict(bytes(64))[0] in m.labels
    m.adapt(((x, k + 4) for x, k in pictures(3, 2)), "prototype")  # 4 and 5 are new here: nameless ones do not stay
    assert m.labels == [4, 5, 6]


def test_a_softmax_is_the_confidence(tmp_path):
    m = model(tmp_path, softmax=True)
    x = bytes(64)
    q = np.frombuffer(bytes(m.run(x)), np.int8).astype(int) + 128
    assert m.predict(x) == (small_model.LABELS[q.argmax()], q.max() / 256)


def test_logits_are_brought_to_the_same_confidence(tmp_path):
    m = model(tmp_path)
    for x, _ in pictures(4, 1):
        q = np.frombuffer(bytes(m.run(x)), np.int8).astype(float)
        scale = np.frombuffer(bytes(m.y_scale), np.float32)[0]
        p = np.exp((q - q.max()) * scale)
        label, confidence = m.predict(x)
        assert label == small_model.LABELS[q.argmax()]
        assert confidence == pytest.approx(p.max() / p.sum(), abs=1e-4)


def test_a_model_off_its_place_is_copied_once(small, capsys):
    whole = bytearray(2) + small.read_bytes()
    m = tinylearn.Model(memoryview(whole)[2:])
    assert "copied" in capsys.readouterr().out
    assert bytes(m.run(bytes(64))) == bytes(tinylearn.load(str(small)).run(bytes(64)))


def test_numpy_samples_and_labels(small):
    m, plain = tinylearn.load(str(small)), tinylearn.load(str(small))
    x = np.array([np.frombuffer(picture, np.uint8) for picture, _ in pictures(3, 2)]).reshape(-1, 8, 8, 1)
    m.adapt(zip(x, np.repeat(np.arange(3), 2), strict=True), "prototype")
    plain.adapt(pictures(3, 2), "prototype")
    assert m.labels == [0, 1, 2]
    assert all(type(label) is int for label in m.labels)
    assert bytes(m.head.w) == bytes(plain.head.w)
    assert m.predict((x[0].astype(np.int16) - 128).astype(np.int8)) == plain.predict(x[0])
    with pytest.raises(TypeError, match="not ndarray of 'd'"):
        m.predict(x[0].astype(np.float64))
    with pytest.raises(TypeError, match="label is an int or a str, not "):
        m.adapt([(x[0], np.float32(1))])


def test_the_module_teaches_the_flashed_model(tmp_path, monkeypatch):
    model(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tinylearn, "_model", None)
    assert tinylearn.adapt(pictures(2, 2), method="last_layer", steps=2).labels == [0, 1]
    assert tinylearn.predict(next(pictures(1, 1))[0])[0] == 0
    assert tinylearn.adapt(((x, "b" * (k + 1)) for x, k in pictures(1, 1))).labels == [0, 1, "b"]


def test_run_writes_raw_output(small):
    m = tinylearn.load(str(small))
    x = np.arange(64, dtype=np.int8)
    out = bytearray(6)
    assert m.run(x, out) is out
    assert bytes(out) == simulator.Simulator(small).run(x.reshape(8, 8, 1)).tobytes()


def test_every_status_has_a_sentence():
    from tinylearn import errors

    header = (simulator.paths.ROOT / "native_modules" / "kernels" / "program.h").read_text()
    names = header[header.index("TL_OK") : header.index("};", header.index("TL_OK"))]
    code, codes = -1, []
    for line in names.split("\n"):
        word = line.strip().split(",")[0].split("//")[0]
        if word.startswith("TL_"):
            code = int(word.split("=")[1]) if "=" in word else code + 1
            codes.append(code)
    assert len(codes) > 25
    for code in codes[1:]:
        assert "does not know" not in errors.explain(code + 256 * 7) or code == 0
        assert errors.explain(code + 256 * 7) != errors.explain(255)


def test_mip_gets_every_file():
    files = json.loads((simulator.paths.ROOT / "firmware" / "package.json").read_text())["urls"]
    assert files == [[f"tinylearn/{path.name}"] * 2 for path in sorted(simulator.paths.FIRMWARE.glob("*.py"))]


def test_out_of_ram_anywhere_is_a_sentence(small, monkeypatch):
    """Where not this package but the interpreter has found that there is none."""
    model = tinylearn.load(str(small), recall=False)

    def collect(*_):
        raise MemoryError("memory allocation failed, allocating 136 bytes")

    monkeypatch.setattr("tinylearn.teaching.collect", collect)
    with pytest.raises(MemoryError, match=r"adapt needs more RAM than is free \(.*\): del what is not used"):
        model.adapt([(bytes(64), 0), (bytes(64), 1)], method="prototype")
