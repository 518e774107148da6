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
    with pytest.raises(TinylearnError, match=r"20 classes with more than 1 samples.* there are 12") as error:
        tasks.open_task(tasks.SPECS["glyphs"], GLYPH, characters).episode(1, 0)
    assert error.value.exit_code == USAGE
    with pytest.raises(TinylearnError, match="5 classes with more than 6 samples are wanted and there are 0"):
        tasks.open_task(tasks.SPECS["glyphs"], GLYPH, characters, way=5, shot=6).episode(1, 0)
    with pytest.raises(TinylearnError, match="words is a task of speech"):
        tasks.open_task(tasks.SPECS["words"], GLYPH, characters)


# ---- Files of others -------------------------------------------------------------------------------------------------


def test_everybody_wears_the_armband_where_nobody_is_named(bands):
    emg = tlm.read(MODELS / "emg" / "emg.tlm")
    assert set(tasks.open_task(tasks.SPECS["wearer"], emg, bands).pool.group) == {"w0", "w1"}
    with pytest.raises(TinylearnError, match="no gesture of w7; there are w0, w1"):
        tasks.open_task(tasks.SPECS["wearer"], emg, bands, groups=["w7"])


def test_gestures_are_as_many_as_a_file_shows(bands):
    pool = datasets.armband(bands, lambda window: window[:12].astype(np.int8))
    some = tasks.Task(tasks.SPECS["wearer"], pool, 5, 3, 20).episode(1, 0)
    assert np.bincount(some.support_class).tolist() == [3] * 5
    assert len(set(pool.label[some.support])) == 5
    for way, shot, why in ((9, 3, "9 classes are wanted and there are 8 gestures"), (8, 99, "too few for 99 shots")):
        with pytest.raises(TinylearnError, match=why):
            tasks.Task(tasks.SPECS["wearer"], pool, way, shot, 20).episode(1, 0)


def test_groups_are_named_in_any_way(tmp_path):
    images = np.random.default_rng(1).random((6, 4, 28, 28)) < 0.2  # ink or not
    path = tmp_path / "glyphs.npz"
    for names in ([7, 7, 7, 8, 8, 8], [b"a", b"a", b"a", b"b", b"b", b"b"]):
        np.savez(path, images=images, alphabet=names)
        name = names[0].decode() if isinstance(names[0], bytes) else str(names[0])
        task = tasks.open_task(tasks.SPECS["glyphs"], GLYPH, path, way=3, shot=2, groups=[name])
        assert set(task.pool.label) == {0, 1, 2} and set(np.unique(task.pool.x)) == {-128, 127}


def test_words_have_names_or_numbers(tmp_path):
    path = tmp_path / "words.npz"
    common = {"pcm": np.arange(60, dtype=np.int16), "end": np.arange(10, 61, 10), "speaker": [1, 1, 1, 2, 2, 2]}
    for said, names in (([0, 3, 9] * 2, datasets.WORDS), (["yes", "no", "up"] * 2, ("no", "up", "yes"))):
        np.savez(path, **common, digit=said)
        pool = datasets.speech(path, lambda x: x[:4].astype(np.int8), 10)
        assert pool.names == names and set(pool.group) == {"1", "2"}
        assert [pool.names[k] for k in pool.label[:3]] == [names[s] if isinstance(s, int) else s for s in said[:3]]


def test_who_has_too_few_classes_is_passed_over(tmp_path):
    label = np.array([0] * 4 + [1] * 4 + [2] * 4 + [0] * 4 + [1] * 2)
    pool = datasets.Pool(np.zeros((18, 2), np.int8), label, np.repeat(["ann", "bob"], [12, 6]), np.zeros(18, int))
    task = tasks.Task(tasks.SPECS["words"], pool, 3, 3, 20)
    assert {task.episode(1, number).unit.split()[0] for number in range(4)} == {"ann"}
    with pytest.raises(TinylearnError, match="4 classes with more than 3 samples are wanted and there are 3") as error:
        tasks.Task(tasks.SPECS["words"], pool, 4, 3, 20).episode(1, 0)
    assert error.value.exit_code == USAGE


SPEECH = {"pcm": np.arange(60, dtype=np.int16), "end": np.arange(10, 61, 10), "speaker": ["a"] * 6, "digit": [0] * 6}


@pytest.mark.parametrize(
    "layout, wrong, why",
    [
        ("glyphs", {"images": np.zeros((0, 4, 28, 28), np.uint8), "alphabet": []}, r"images is empty \(shape \(0, 4"),
        ("glyphs", {"images": np.zeros((2, 4, 28, 28)), "alphabet": ["a", "b"]}, "images is float64; expected uint8"),
        ("glyphs", {"images": np.zeros((2, 4, 28, 28), object), "alphabet": ["a", "b"]}, "cannot be read: Object arr"),
        ("recordings", {**SPEECH, "end": [10, 20, 15, 30, 40, 50]}, "rising whole numbers up to 60"),
        ("recordings", {**SPEECH, "end": np.arange(20, 71, 10)}, "rising whole numbers up to 60"),
        ("recordings", {**SPEECH, "speaker": ["a"]}, r"speaker has shape \(1,\); expected one for each of 6"),
        ("recordings", {**SPEECH, "pcm": np.zeros(60)}, "pcm is float64"),
        ("recordings", {**SPEECH, "rate": 16000}, "rate is 16000; expected 8000 samples a second"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(tmp_path, layout, wrong, why):
    path = tmp_path / "wrong.npz"
    np.savez(path, **wrong)
    with pytest.raises(TinylearnError, match=why) as error:
        getattr(datasets, layout)(path)
    assert error.value.exit_code == BAD_DATA
