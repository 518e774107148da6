"""The recipe, on words of its own and for a few steps. Needs the extra [train]: `make test-train`."""

import sys
import wave
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tinylearn_host import tlm
from tinylearn_host.simulator import Simulator

from models.speech import recipe, words


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """Three speakers say ten words, twenty-two times each: a glide from one pitch to another, by word and speaker."""
    random, pcm, facts = np.random.default_rng(0), [], []
    for voice, speaker in enumerate(("ann", "bob", "cem")):
        for word in range(10):
            for take in range(22):
                t = np.arange(random.integers(2500, 4500)) / 8000
                pitch = (300 + 90 * word + 40 * voice) * (1 + (word % 3 - 1) * t) * random.uniform(0.95, 1.05)
                sound = 7000 * np.sin(2 * np.pi * np.cumsum(pitch) / 8000) * np.hanning(len(t))
                pcm.append(np.rint(sound + random.normal(0, 40, len(t))).astype(np.int16))
                facts.append((speaker, word, take))
    speaker, digit, _ = zip(*facts, strict=True)
    path = tmp_path_factory.mktemp("data") / "words.npz"
    ends = np.cumsum([len(sound) for sound in pcm])
    np.savez(path, pcm=np.concatenate(pcm), end=ends, speaker=np.array(speaker), digit=np.array(digit, np.uint8))
    return path


def run(data: Path, output: Path, *arguments: str):
    command = ["--data", str(data), "--steps", "4", "--output", str(output), *arguments]
    return CliRunner().invoke(recipe.main, command)


def test_the_recipe_makes_a_model_without_what_is_held_out(data, tmp_path):
    path = tmp_path / "speech.tlm"
    result = run(data, path, "--hold-out-speaker", "cem", "--hold-out-word", "two", "--hold-out-word", "nine")
    assert result.exit_code == 0, result.output
    assert 10 <= float(result.stdout.strip()) <= 100
    assert "cem" in result.stderr and "ann" not in result.stderr and "the 2 new words alone" in result.stderr
    model = tlm.read(path)
    assert model.labels == [name for name in words.NAMES if name not in ("two", "nine")]
    assert model.front.rate == 8000 and model.meta["domain"] == "spectrogram"
    picture = words.pictures(words.load(data).only(np.arange(660) == 3))[0]
    assert Simulator(path).features((picture.astype(np.int16) - 128).astype(np.int8)).size == 128


def test_a_speaker_that_is_not_there(data, tmp_path):
    result = run(data, tmp_path / "speech.tlm", "--hold-out-speaker", "dan")
    assert result.exit_code == 2 and "there is no speaker dan" in result.output
    assert not list(tmp_path.iterdir())


def test_the_folder_of_wavs_is_read_as_the_npz(data, tmp_path):
    known = words.load(data)
    for index in (0, 250, 600):
        with wave.open(str(tmp_path / f"{known.word[index]}_{known.speaker[index]}_{index}.wav"), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(8000)
            file.writeframes(known.pcm[index].tobytes())
    found = words.load(tmp_path)
    assert sorted(zip(found.speaker, found.word, strict=True)) == sorted(
        (known.speaker[index], known.word[index]) for index in (0, 250, 600)
    )
    lengths = {len(known.pcm[index]) for index in (0, 250, 600)}
    assert {len(sound) for sound in found.pcm} == lengths
