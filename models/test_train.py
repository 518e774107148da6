"""`tinylearn train` on folders of our own, for a few steps. Needs the extra [train]: `make test-train`."""

import json
import wave
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from tinylearn_host import simulator, tlm
from tinylearn_host.cli import main

simulator.on_path()
import tinylearn  # noqa: E402


def train(data: Path, output: Path, kind: str, *arguments: str) -> dict:
    command = ["train", str(data), "--kind", kind, "-o", str(output), "--json", *arguments]
    result = CliRunner().invoke(main, command, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def shapes(folder: Path, classes: int, each: int) -> Path:
    random, (y, x) = np.random.default_rng(0), np.mgrid[:24, :24]
    for k in range(classes):
        (folder / f"shape{k:02}").mkdir(parents=True)
        for take in range(each):
            turn = np.pi * k / classes + random.normal(0, 0.03)
            line = np.abs((x - 12) * np.sin(turn) + (y - 12) * np.cos(turn)) < 2 + k % 3
            Image.fromarray(np.where(line, 220, 20).astype(np.uint8)).save(folder / f"shape{k:02}" / f"{take}.png")
    return folder


def test_few_classes_of_images_become_its_own(tmp_path):
    report = train(shapes(tmp_path / "data", 3, 8), tmp_path / "m.tlm", "images", "--steps", "25", "--board", "pico")
    model = tlm.read(tmp_path / "m.tlm")
    assert model.labels == report["classes"] == ["shape00", "shape01", "shape02"]
    assert model.meta["domain"] == "image" and model.backward
    assert report["held_out"] == 6 and report["accuracy"] > 60 and report["classifier_accuracy"] is not None
    assert report["fit"]["fits"]
    page = np.asarray(Image.open(tmp_path / "data" / "shape00" / "0.png").resize((32, 32), Image.Resampling.BOX))
    assert tinylearn.load(str(tmp_path / "m.tlm")).predict(page.tobytes())[0] in report["classes"]


def test_many_classes_of_images_make_a_backbone(tmp_path):
    data = shapes(tmp_path / "data", 20, 4)
    report = train(data, tmp_path / "m.tlm", "images", "--steps", "5", "--size", "16")
    assert tlm.read(tmp_path / "m.tlm").labels is None
    assert (report["way"], report["shot"], report["held_out"]) == (4, 3, 16)
    again = train(data, tmp_path / "again.tlm", "images", "--steps", "5", "--size", "16")
    assert again["accuracy"] == report["accuracy"]


def test_wavs_bring_their_front_end(tmp_path):
    random = np.random.default_rng(1)
    for k, pitch in enumerate((400, 1500)):
        (tmp_path / "data" / f"tone{k}").mkdir(parents=True)
        for take in range(6):
            tone = 6000 * np.sin(2 * np.pi * pitch * random.uniform(0.95, 1.05) * np.arange(3000) / 16000)
            with wave.open(str(tmp_path / "data" / f"tone{k}" / f"{take}.wav"), "wb") as file:
                file.setnchannels(1)
                file.setsampwidth(2)
                file.setframerate(16000)
                file.writeframes((tone + random.normal(0, 50, 3000)).astype("<i2").tobytes())
    report = train(tmp_path / "data", tmp_path / "m.tlm", "wavs", "--steps", "12", "--seconds", "0.5")
    model = tlm.read(tmp_path / "m.tlm")
    assert (model.front.rate, model.front.samples) == (16000, 8000)
    assert report["accuracy"] > 60
    label, confidence = tinylearn.load(str(tmp_path / "m.tlm")).predict(np.zeros(8000, np.int16))
    assert label in ("tone0", "tone1") and 0 <= confidence <= 1


def test_signals_are_taken_in_their_own_units(tmp_path):
    """Accelerations about 9.81 and a thousand times that: the same answers, for the scale is the network's."""
    random = np.random.default_rng(2)
    for unit in (1, 1000):
        for k, period in enumerate((5, 12)):
            folder = tmp_path / f"data{unit}" / f"move{k}"
            folder.mkdir(parents=True)
            for take in range(4):
                rows = 9.81 + 3 * np.sin(np.arange(160)[:, None] / period + random.uniform(0, 6) + np.arange(3))
                lines = [",".join(f"{unit * value:.4f}" for value in row) for row in rows]
                (folder / f"{take}.csv").write_text("x,y,z\n" + "\n".join(lines) + "\n")
    for unit in (1, 1000):
        report = train(tmp_path / f"data{unit}", tmp_path / f"m{unit}.tlm", "csv", "--steps", "25", "--window", "32")
        assert report["accuracy"] > 60
        model = tlm.read(tmp_path / f"m{unit}.tlm")
        step = model.tensors[model.input]
        assert (127 - step.zero_point) * step.scale > 12 * unit  # 9.81 + 3 and half as much again are within its range


@pytest.mark.parametrize("kind", ["images", "wavs", "csv"])
def test_nothing_is_written_where_the_data_is_bad(tmp_path, kind):
    (tmp_path / "data" / "one").mkdir(parents=True)
    command = ["train", str(tmp_path / "data"), "--kind", kind, "-o", str(tmp_path / "m.tlm")]
    result = CliRunner().invoke(main, command)
    assert result.exit_code == 13 and result.stderr.startswith("tinylearn: error: ")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data"]
