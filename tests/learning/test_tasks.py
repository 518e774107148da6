"""Tasks: what is drawn, and that nothing of what is asked about was shown, nor anybody split."""

import numpy as np
import pytest
from tinylearn_host import tlm
from tinylearn_host.errors import BAD_DATA, USAGE, TinylearnError
from tinylearn_host.learning import datasets, tasks
from tinylearn_host.paths import MODELS

GLYPH = tlm.read(MODELS / "glyph" / "glyph.tlm")


@pytest.fixture
def characters(tmp_path):
    """Three alphabets of four characters, six drawings of each; a drawing's pixels say which it is."""
    images = np.arange(12 * 6, dtype=np.uint8).reshape(12, 6, 1, 1) * np.ones((28, 28), np.uint8)
    path = tmp_path / "glyphs.npz"
    np.savez(path, images=images, alphabet=np.repeat(["A", "B", "C"], 4))
    return path


@pytest.fixture
def bands(tmp_path):
    """Two wearers, two sessions of three blocks of each gesture; a sample says whose, which session, which gesture."""
    emg, label, ends, about = [], [], [], []
    for wearer in range(2):
        for session in (1, 2):
            for gesture in range(8):
                shown = np.tile(np.repeat([0, gesture], 1000), 3) if gesture else np.zeros(6000, int)
                emg.append(np.full((6000, 8), 40 * wearer + 20 * session + gesture))
                label.append(shown)
                ends.append(6000)
                about.append((f"w{wearer}", session, gesture))
    who, session, gesture = (np.array(a) for a in zip(*about, strict=True))
    path = tmp_path / "emg.npz"
    arrays = {"emg": np.concatenate(emg).astype(np.int8), "label": np.concatenate(label), "end": np.cumsum(ends)}
    np.savez(path, **arrays, participant=who, session=session, gesture=gesture)
    return path


def test_an_episode_asks_about_nothing_that_it_showed(characters):
    task = tasks.open_task(tasks.SPECS["glyphs"], GLYPH, characters, way=5, shot=2)
    for number in range(20):
        episode = task.episode(1, number)
        assert not set(episode.support) & set(episode.query)
        assert np.bincount(episode.support_class).tolist() == [2] * 5
        for rows, classes in ((episode.support, episode.support_class), (episode.query, episode.query_class)):
            labels = {(task.pool.label[row], k) for row, k in zip(rows, classes, strict=True)}
            assert len(labels) == 5  # one class for one label


def test_episodes_depend_on_seed_and_number_alone(characters):
    task = tasks.open_task(tasks.SPECS["glyphs"], GLYPH, characters, way=5, shot=2)
    again = tasks.open_task(tasks.SPECS["glyphs"], GLYPH, characters, way=5, shot=2)
    task.episode(1, 3)
    assert (task.episode(1, 4).query == again.episode(1, 4).query).all()
    assert not np.array_equal(task.episode(1, 4).query, task.episode(2, 4).query)
    assert not np.array_equal(task.episode(1, 4).query, task.episode(1, 5).query)


def test_only_the_alphabets_asked_for(characters):
    task = tasks.open_task(tasks.SPECS["glyphs"], GLYPH, characters, way=4, shot=1, groups=["B"])
    assert set(task.pool.group) == {"B"} and set(task.pool.label) == {4, 5, 6, 7}
    with pytest.raises(TinylearnError, match="nothing of D; there are A, B, C") as error:
        tasks.open_task(tasks.SPECS["glyphs"], GLYPH, characters, groups=["D"])
    assert error.value.exit_code == BAD_DATA


def test_pixels_are_what_a_board_makes_of_them(characters):
    task = tasks.open_task(tasks.SPECS["glyphs"], GLYPH, characters, way=5, shot=2)
    assert (task.pool.x[:, 0] == np.arange(72) - 128).all()


@pytest.mark.parametrize("name, sessions", [("wearer", (1, 1)), ("session", (1, 2))])
def test_the_armband_shows_one_block_and_asks_about_others(bands, name, sessions):
    pool = datasets.armband(bands, lambda window: window[:12].astype(np.int8))
    task = tasks.Task(tasks.SPECS[name], pool, 8, 5, 20)
    units = set()
    for number in range(12):
        episode = task.episode(1, number)
        units.add(episode.unit)
        for rows in (episode.support, episode.query):
            assert set(pool.group[rows]) == {episode.unit}
        assert set(pool.part[episode.support] // 100) == {sessions[0]}
        assert set(pool.part[episode.query] // 100) == {sessions[1]}
        assert not set(pool.part[episode.support]) & set(pool.part[episode.query])
        for rows, classes in ((episode.support, episode.support_class), (episode.query, episode.query_class)):
            assert (pool.label[rows] == classes).all()
            value = 40 * int(episode.unit[1]) + 20 * (pool.part[rows] // 100) + classes
            assert (pool.raw[rows][:, 0, 0] == value).all()
    assert units == {"w0", "w1"}


def test_words_stay_with_their_speaker(tmp_path):
    pcm = [np.full(100 + i, i, np.int16) for i in range(40)]
    path = tmp_path / "words.npz"
    arrays = {"pcm": np.concatenate(pcm), "end": np.cumsum([len(p) for p in pcm])}
    np.savez(path, **arrays, speaker=np.repeat(["ann", "bob"], 20), digit=np.tile(np.arange(5), 8))
    pool = datasets.speech(path, lambda x: np.array([x.max(), np.argmax(x != 0)], np.int16).astype(np.int8), 101)
    assert pool.x[:, 0].tolist() == list(range(40))  # each recording whole, or its middle
    task = tasks.Task(tasks.SPECS["words"], pool, 5, 2, 20)
    for number in range(6):
        episode = task.episode(1, number)
        assert len(set(pool.group[np.concatenate([episode.support, episode.query])])) == 1
    assert {task.episode(1, n).unit.split()[0] for n in range(2)} == {"ann", "bob"}


def test_recordings_are_centred():
    assert datasets.centred(np.arange(1, 4, dtype=np.int16), 6).tolist() == [0, 1, 2, 3, 0, 0]
    assert datasets.centred(np.arange(10, dtype=np.int16), 4).tolist() == [3, 4, 5, 6]


def test_a_file_is_known_by_its_arrays(characters, bands, tmp_path):
    assert datasets.layout(characters) == "glyphs" and datasets.layout(bands) == "armband"
    np.savez(tmp_path / "other.npz", a=1)
    with pytest.raises(TinylearnError, match=r"has the arrays a; expected are those of glyphs: images, alphabet"):
        datasets.layout(tmp_path / "other.npz")
    (tmp_path / "text.npz").write_text("text")
    with pytest.raises(TinylearnError, match=r"not an \.npz"):
        datasets.layout(tmp_path / "text.npz")


def test_what_cannot_be_drawn_is_said(characters):
    with pytest.raises(TinylearnError, match="20 classes are wanted and there are 12") as error:
        tasks.open_task(tasks.SPECS["glyphs"], GLYPH, characters).episode(1, 0)
    assert error.value.exit_code == USAGE
    with pytest.raises(TinylearnError, match="too few for 6 shots"):
        tasks.open_task(tasks.SPECS["glyphs"], GLYPH, characters, way=5, shot=6).episode(1, 0)
    with pytest.raises(TinylearnError, match="words is a task of speech"):
        tasks.open_task(tasks.SPECS["words"], GLYPH, characters)
