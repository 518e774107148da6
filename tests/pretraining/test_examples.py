"""What a user's folder is read as, and every way in which it can be wrong: a sentence with file and line."""

from __future__ import annotations

import contextlib
import wave
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tinylearn_host.errors import BAD_DATA, TinylearnError
from tinylearn_host.front import Front
from tinylearn_host.pretraining import examples, own, sounds


@contextlib.contextmanager
def refused(match: str):
    """A sentence, and the exit code of bad data."""
    with pytest.raises(TinylearnError, match=match) as error:
        yield
    assert error.value.exit_code == BAD_DATA


def image(path: Path, level: int, mode: str = "L", size=(20, 30)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    page = Image.new(mode, size, level if mode == "L" else (level, 0, 0))
    page.putpixel((3, 3), 255 if mode == "L" else (255, 255, 255))
    page.save(path)


def wav(path: Path, rate=8000, samples=4000, width=2, channels=1, level=9000) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    tone = level * np.sin(np.arange(samples * channels) // channels * 0.4)
    raw = {1: tone / 256 + 128, 2: tone, 4: tone * 65536}[width].astype({1: "u1", 2: "<i2", 4: "<i4"}[width])
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(raw.tobytes())


def table(path: Path, rows=40, header="time,x,y", cell=lambda row: f"{row},{row % 7}.5,-1", end="\n") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([header] * bool(header) + [cell(row) for row in range(rows)]) + end)


def folder(tmp_path: Path, write, suffix: str, classes=2, each=4) -> Path:
    for k in range(classes):
        for n in range(each):
            write(tmp_path / "data" / f"class{k}" / f"{n}{suffix}")
    return tmp_path / "data"


# ---- Images


def test_images(tmp_path):
    found = examples.images(folder(tmp_path, lambda path: image(path, 7), ".png"), 16)
    assert found.x.shape == (8, 16, 16, 1) and found.x.dtype == np.uint8
    assert found.classes == ["class0", "class1"] and found.y.tolist() == [0] * 4 + [1] * 4
    image(tmp_path / "data" / "class0" / "red.png", 9, "RGB")
    assert examples.images(tmp_path / "data", 16).x.shape == (9, 16, 16, 3)


def test_an_unreadable_image_is_named(tmp_path):
    data = folder(tmp_path, lambda path: image(path, 7), ".png")
    (data / "class1" / "3.png").write_bytes((data / "class1" / "2.png").read_bytes()[:40])
    with refused("class1/3.png is no image that can be read"):
        examples.images(data, 16)


def test_an_image_of_next_to_no_pixels_is_named(tmp_path):
    data = folder(tmp_path, lambda path: image(path, 7), ".png")
    image(data / "class1" / "2.png", 7, size=(30, 5))
    with refused("class1/2.png has 30 x 5 pixels"):
        examples.images(data, 24)


def test_folders_that_are_none(tmp_path):
    with refused("nowhere is no folder"):
        examples.images(tmp_path / "nowhere", 16)
    (tmp_path / "a").mkdir()
    with refused(r"has no \.png.* in subfolders"):
        examples.images(tmp_path, 16)
    data = folder(tmp_path, lambda path: image(path, 7), ".png")
    (data / "blank").mkdir()
    with refused("blank has no .png"):
        examples.images(data, 16)


def test_one_class_or_too_few_examples(tmp_path):
    with refused("one class only"):
        examples.images(folder(tmp_path / "one", lambda path: image(path, 7), ".png", classes=1), 16)
    with refused("class class0 has 3 files; at least 4"):
        examples.images(folder(tmp_path / "few", lambda path: image(path, 7), ".png", each=3), 16)


# ---- Sounds


def test_wavs(tmp_path):
    found = examples.wavs(folder(tmp_path, wav, ".wav"), None, 1.0)
    assert found.x.shape == (8, 32, 32, 1) and found.front.samples == 8000
    raw = sounds.placed(sounds.read(tmp_path / "data" / "class0" / "0.wav")[0], 8000)
    assert (Front(found.front.pack())(raw).view(np.uint8) ^ 128 == found.x[0]).all()


@pytest.mark.parametrize("width,channels", [(1, 1), (2, 2), (4, 1)])
def test_a_wav_is_the_same_in_other_widths_and_channels(tmp_path, width, channels):
    wav(tmp_path / "a.wav")
    wav(tmp_path / "b.wav", width=width, channels=channels)
    a, b = (sounds.read(tmp_path / name)[0].astype(int) for name in ("a.wav", "b.wav"))
    assert len(a) == len(b) and np.abs(a - b).max() <= (256 if width == 1 else 1)


def test_wavs_at_several_rates(tmp_path):
    data = folder(tmp_path, wav, ".wav")
    wav(data / "class1" / "0.wav", rate=16000, samples=8000)
    with refused(r"class1/0.wav has 16000 samples a second and .*class0/0.wav 8000; --rate 8000"):
        examples.wavs(data, None, 1.0)
    assert len(examples.wavs(data, 8000, 1.0).pcm[4]) == 4000


def test_a_rate_that_no_board_has(tmp_path):
    with refused("44100 samples a second; boards sample with 8000 or 16000"):
        examples.wavs(folder(tmp_path, lambda path: wav(path, rate=44100), ".wav"), None, 1.0)


def test_resampling_keeps_a_tone():
    tone = np.rint(9000 * np.sin(2 * np.pi * 500 * np.arange(44100) / 44100)).astype(np.int16)
    found = sounds.resampled(tone, 44100, 8000)
    expected = 9000 * np.sin(2 * np.pi * 500 * np.arange(8000) / 8000)
    assert len(found) == 8000 and np.abs(found - expected)[200:-200].max() < 100


@pytest.mark.parametrize(
    "damage,match",
    [
        (lambda path: path.write_bytes(b"RIFF"), "is no WAV of PCM"),
        (lambda path: path.write_bytes(path.read_bytes()[:20] + b"\x03" + path.read_bytes()[21:]), "unknown format: 3"),
        (lambda path: wav(path, level=0), "silence"),
        (lambda path: wav(path, samples=60), r"lasts 7.5 ms; a word of up to 1 s was expected"),
    ],
)
def test_a_bad_wav_is_named(tmp_path, damage, match):
    data = folder(tmp_path, wav, ".wav")
    damage(data / "class0" / "2.wav")
    with refused(f"class0/2.wav.*{match}"):
        examples.wavs(data, None, 1.0)


def test_long_wavs_are_cut_and_it_is_said(tmp_path):
    data = folder(tmp_path, wav, ".wav")
    wav(data / "class0" / "2.wav", samples=9001)
    found = examples.wavs(data, None, 1.0)
    assert len(found.notes) == 1 and "class0/2.wav" in found.notes[0]
    with refused("samples; .* to 65535 can be taken"):
        examples.wavs(data, 16000, 8.0)


def test_placed():
    word = np.arange(1, 6)
    assert sounds.placed(word, 9, 0).tolist() == [1, 2, 3, 4, 5, 0, 0, 0, 0]
    assert sounds.placed(word, 9, 1).tolist() == [0, 0, 0, 0, 1, 2, 3, 4, 5]
    assert sounds.placed(word, 3).tolist() == [2, 3, 4]


# ---- Tables


def test_tables(tmp_path):
    found = examples.csv(folder(tmp_path, table, ".csv"), 16, 8)
    assert found.x.shape == (2 * 4 * 4, 1, 16, 2) and found.x.dtype == np.float32
    assert found.x[1, 0, :3, 0].tolist() == [1.5, 2.5, 3.5]  # rows 8, 9, 10; the column of times is none of them
    assert len(set(found.source)) == 8


def test_one_table_with_labels(tmp_path):
    table(tmp_path / "a.csv", 200, "x,label", lambda row: f"{row}.25,{'walk' if row // 50 % 2 else 'stand'}")
    found = examples.csv(tmp_path / "a.csv", 10, 10)
    assert found.classes == ["stand", "walk"] and len(found.x) == 20 and len(set(found.source)) == 4
    assert found.x[5, 0, 0, 0] == 100.25


@pytest.mark.parametrize(
    "options,match",
    [
        ({"cell": lambda row: f"{row},,1" if row == 5 else f"{row},2,1"}, r"line 7: a value is missing \(column x\)"),
        (
            {"cell": lambda row: f"{row},2,nan" if row == 5 else f"{row},2,1"},
            r'line 7: "nan" is no number \(column y\)',
        ),
        ({"cell": lambda row: f"{row},2" if row == 5 else f"{row},2,1"}, "line 7: 2 values; 3 values were expected"),
        ({"cell": lambda row: "" if row == 5 else f"{row},2,1"}, "line 7: an empty row"),
        ({"cell": lambda row: f"{row + 4 * (row > 5)},2,1"}, "line 8: a gap: 5 since the row before, usually 1"),
        ({"cell": lambda row: f"{row - 9 * (row > 5)},2,1"}, "line 8: its time is not after"),
        ({"rows": 0}, "has no rows of values"),
        ({"rows": 0, "header": "", "end": ""}, "is empty"),
        ({"header": "time,x", "cell": lambda row: f"{row},2"}, "has the columns x; .* has x, y"),
    ],
)
def test_a_bad_table_is_named_with_its_line(tmp_path, options, match):
    data = folder(tmp_path, table, ".csv")
    table(data / "class1" / "3.csv", **options)
    with refused(f"class1/3.csv.*{match}"):
        examples.csv(data, 16, 8)


def test_tables_of_one_class_short_ones_and_dead_channels(tmp_path):
    with refused("one class only"):
        examples.csv(folder(tmp_path / "one", table, ".csv", classes=1), 16, 8)
    with refused("class class0 has 0 windows of 64 rows"):
        examples.csv(folder(tmp_path / "short", table, ".csv"), 64, 8)
    with refused("column y is 0 everywhere"):
        examples.csv(folder(tmp_path / "dead", lambda p: table(p, cell=lambda row: f"{row},1,0"), ".csv"), 16, 8)
    with refused(r"all columns \(x, y\) are the same in every row"):
        examples.csv(folder(tmp_path / "still", lambda p: table(p, cell=lambda row: f"{row},1,2"), ".csv"), 16, 8)
    table(tmp_path / "a.csv", 20, "x,label", lambda row: f"{row},same")
    with refused("one class only"):
        examples.csv(tmp_path / "a.csv", 10, 10)


def test_recordings_shorter_than_a_window_are_left_out_and_it_is_said(tmp_path):
    data = folder(tmp_path, table, ".csv")
    table(data / "class1" / "2.csv", rows=9)
    found = examples.csv(data, 16, 8)
    assert len(found.x) == 7 * 4 and "class1/2.csv with 9 rows" in found.notes[0]


def test_channels_of_unlike_size_are_said(tmp_path):
    data = folder(tmp_path, lambda path: table(path, cell=lambda row: f"{row},{row % 5},{400 + row}"), ".csv")
    assert "x is" in examples.csv(data, 16, 8).notes[0]


# ---- What is held out


def test_whole_files_are_held_out(tmp_path):
    found = examples.csv(folder(tmp_path, table, ".csv", each=8), 16, 8)
    parts = own.split(found)
    assert not parts.episodes and not (parts.learned & parts.held_out).any()
    assert not set(found.source[parts.learned]) & set(found.source[parts.held_out])
    assert parts.held_out.mean() == 0.25
    assert set(found.y[parts.held_out]) == {0, 1}


def test_the_end_of_a_single_recording_is_held_out(tmp_path):
    found = examples.csv(folder(tmp_path, lambda path: table(path, 400), ".csv", each=1), 16, 4)
    parts = own.split(found)
    first, last = (np.flatnonzero(mask & (found.y == 0)) for mask in (parts.held_out, parts.learned))
    assert first.min() - last.max() == 4  # the next but three shares no row


def test_of_many_classes_some_are_held_out():
    y = np.repeat(np.arange(25), 4)
    found = examples.Examples(
        np.zeros((100, 8, 8, 1), np.uint8), y, np.arange(100), [str(k) for k in range(25)], "image"
    )
    parts = own.split(found)
    assert parts.episodes and not set(y[parts.learned]) & set(y[parts.held_out])
    assert len(set(y[parts.held_out])) == 5
