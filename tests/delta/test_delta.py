"""Saves as a user meets them: what comes back, what is refused and in which words."""

from __future__ import annotations

import numpy as np
import pytest
import tinylearn
from firmware.checks import answers, pictures
from tinylearn import delta
from tinylearn_host import tld, tlm

PATH = "model.tlm"


@pytest.fixture(autouse=True)
def flashed(flash, models):
    flash.files[PATH] = bytearray(models[0])


def taught(classes: int = 3, method: str = "prototype", **options):
    model = tinylearn.load(PATH)
    return model.adapt(((x, f"class {k}") for x, k in pictures(classes, 2, seed=classes)), method, **options)


def labels():
    return tinylearn.load(PATH).labels


def test_what_was_learned_is_there_again(flash):
    model = taught(save=True)
    again = tinylearn.load(PATH)
    assert again.labels == model.labels
    assert answers(again, 3) == answers(model, 3)
    for m in (model, again):  # and teaching goes on from there in the same way
        m.adapt(((x, "late") for x, _ in pictures(1, 3, seed=5)), method="last_layer", steps=3)
    assert bytes(again.head.w) == bytes(model.head.w)
    assert list(again.head.counts) == list(model.head.counts)


def test_nothing_is_saved_unless_somebody_says_so(flash):
    taught()
    assert list(flash.files) == [PATH]
    tinylearn.load(PATH).reset()
    assert list(flash.files) == [PATH]


def test_the_module_saves(flash, monkeypatch):
    monkeypatch.setattr(tinylearn, "_model", None)
    own = tinylearn.load(PATH).labels
    tinylearn.adapt(pictures(2, 2))
    monkeypatch.setattr(tinylearn, "_model", None)
    assert tinylearn.predict(next(pictures(1, 1))[0])[0] == 0
    tinylearn.adapt(pictures(3, 2), save=False)
    assert tinylearn._model.labels == [0, 1, 2]
    assert labels() == [0, 1]
    tinylearn.rollback()
    assert tinylearn._model.labels == labels() == own
    tinylearn.adapt(pictures(2, 1))
    tinylearn.reset()
    assert tinylearn._model.labels == labels() == own
    tinylearn.rollback()
    assert labels() == [0, 1]


def test_recall_false_leaves_the_flash_alone(flash):
    taught(save=True)
    before = flash.copy()
    model = tinylearn.load(PATH, recall=False)
    assert model.head is None
    model.reset()
    assert flash.copy() == before


def test_rollback_goes_as_far_as_the_flash_keeps(flash):
    own = labels()
    with pytest.raises(ValueError, match="nothing was saved"):
        tinylearn.load(PATH).rollback()
    model = tinylearn.load(PATH)
    for k in (2, 3, 4):
        model.head = None
        model.adapt(pictures(k, 1), "prototype", save=True)
    model.rollback()
    assert model.labels == labels() == [0, 1, 2]
    with pytest.raises(ValueError, match="not kept any more; reset"):
        model.rollback()
    assert model.labels == labels() == [0, 1, 2]
    model.reset()
    model.rollback()
    assert labels() == [0, 1, 2]
    model.reset()
    assert labels() == own
    assert sorted(flash.files) == ["model.tld.0", "model.tld.1", PATH]


def test_another_model_s_delta_is_not_loaded_and_said_so(flash, models, capsys):
    own = labels()
    taught(save=True)
    flash.files[PATH] = bytearray(models[1])
    assert labels() == own
    said = (
        "tinylearn: model.tld.0 is not loaded: another model has learned this; what this one learns will take its place"
    )
    assert capsys.readouterr().out == said + "\n"
    taught(2, save=True)  # in the free slot
    flash.files[PATH] = bytearray(models[0])
    assert labels() == ["class 0", "class 1", "class 2"]


def test_a_damaged_save_is_not_loaded_and_said_so(flash, capsys):
    taught(2, save=True)
    taught(3, save=True)
    flash.files["model.tld.1"][200] ^= 4
    assert labels() == ["class 0", "class 1"]
    assert "model.tld.1 is not loaded: it is damaged, or the power went" in capsys.readouterr().out


def test_a_full_flash(flash):
    model = taught(3, save=True)
    flash.room = len(flash.files[PATH]) + 900
    with pytest.raises(OSError, match=r"could not be saved in model.tld.1: it takes \d+ bytes; is the file .* full"):
        model.adapt(pictures(5, 1), "prototype", save=True)
    assert len(model.labels) == 8
    assert labels() == ["class 0", "class 1", "class 2"]
    assert "model.tld.1" not in flash.files


def test_a_file_system_that_is_read_only(flash, nvm):
    flash.readonly = True
    with pytest.raises(OSError, match=r"read-only, so nothing can be saved: let code write .* storage.remount"):
        taught(save=True)
    memory = nvm(1024)
    with pytest.raises(OSError, match=r"does not fit half of microcontroller.nvm, 512 bytes: teach fewer"):
        taught(4, save=True)
    assert bytes(memory.content) == b"\xff" * 1024
    memory = nvm(4096, fill=0)
    memory[0:5] = b"mine!"
    with pytest.raises(OSError, match="holds something else"):
        taught(2, save=True)
    assert bytes(memory[0:5]) == b"mine!"
    memory[0:5] = bytes(5)
    model = taught(2, save=True)
    assert labels() == model.labels == ["class 0", "class 1"]
    model.reset()
    assert "class 0" not in labels()


def test_a_model_without_a_file_has_no_place(models):
    with pytest.raises(ValueError, match="not loaded from a file"):
        tinylearn.Model(models[0]).save()


@pytest.mark.parametrize("names", [["", "Ünïcode 🦉"], [-5, 2**70], ["a" * 255, 0], ["1\n2", "\0"]])
def test_labels_of_all_kinds(names):
    tinylearn.load(PATH).adapt(((x, names[k]) for x, k in pictures(2, 1)), "prototype", save=True)
    assert labels() == names


def test_a_label_that_is_too_long(flash):
    with pytest.raises(ValueError, match="more than 255 bytes"):
        tinylearn.load(PATH).adapt(((x, "ä" * 128 + str(k)) for x, k in pictures(2, 1)), "prototype", save=True)
    assert list(flash.files) == [PATH]


# ---- Changed weights and biases --------------------------------------------------------------------------------------


def weighted(model):
    """(tensor of the weights, tensor of the biases) of the operators before the head."""
    pairs = [model.operator(i, "<HH", 18) for i in range(model.first_of_head)]
    return [pair for pair in pairs if 65535 not in pair]


def changed(model, step: int = 3):
    """Train, as far as this test is concerned: other weights and biases in two layers."""
    (w, b), (_, b2) = weighted(model)[:2]
    model.change([w, b, b2])
    model.tensor(w)[0][: 9 * step] = bytes(range(9 * step))
    for index in (b, b2):
        values = np.frombuffer(model.tensor(index)[0], np.int32)
        values += 100 * step
    return model


def test_changed_weights_and_biases_come_back(flash):
    x = next(pictures(1, 1))[0]
    before = bytes(tinylearn.load(PATH).features(x))
    model = changed(tinylearn.load(PATH))
    features = bytes(model.features(x))
    assert features != before
    model.adapt(pictures(3, 2), "prototype", save=True)
    again = tinylearn.load(PATH)
    assert again.changed == model.changed
    assert bytes(again.features(x)) == features
    assert answers(again, 3) == answers(model, 3)
    parsed = tld.read(bytes(flash.files["model.tld.0"]), tlm.read(bytes(flash.files[PATH])))
    assert sorted(c.tensor for c in parsed.changes) == sorted(model.changed)
    changed(again, 5).save()
    assert bytes(tinylearn.load(PATH).features(x)) not in (before, features)
    again.rollback()
    assert bytes(again.features(x)) == features
    again.reset()
    assert bytes(again.features(x)) == bytes(tinylearn.load(PATH).features(x)) == before
    assert again.changed == ()


def test_parts_of_a_tensor(flash):
    """As a training that touches a few channels may write them: records with an offset."""
    x = next(pictures(1, 1))[0]
    model = tinylearn.load(PATH)
    w, b = weighted(model)[0]
    model.change([w, b])
    model.tensor(w)[0][18:27] = bytes(9)
    model.tensor(b)[0][4:8] = bytes(4)
    file = flash.files["model.tld.0"] = bytearray()
    records = [(16, w, 18, bytes(9)), (16, b, 4, bytes(4))]
    file += pack(records, bytes(model.file[16:48]))
    again = tinylearn.load(PATH)
    assert bytes(again.features(x)) == bytes(model.features(x)) != bytes(tinylearn.load(PATH, recall=False).features(x))


def pack(records, identity, sequence: int = 1) -> bytes:
    body = b"".join(tld.RECORD.pack(*r[:3], len(r[3])) + r[3] + bytes(-len(r[3]) % 4) for r in records)
    length = tld.HEADER.size + len(body) + 4
    head = tld.HEADER.pack(tld.MAGIC, 1, 0, length, sequence, identity, len(records), 0)
    return tld.seal(head + body + bytes(4))


def test_changes_that_no_model_can_bear(flash, models, capsys):
    model, parsed = tinylearn.load(PATH), tlm.read(models[0])
    w, b = weighted(model)[0]
    size = model.nbytes(b)
    for what, record in (
        ("behind the end", (16, b, size, bytes(4))),
        ("over the end", (16, b, size - 4, bytes(8))),
        ("far away", (16, w, 2**32 - 4, bytes(8))),
        ("half a bias", (16, b, 2, bytes(4))),
        ("nothing", (16, w, 0, b"")),
        ("an activation", (16, 0, 0, bytes(4))),
        ("no tensor", (16, 65535, 0, bytes(4))),
        ("a large bias", (16, b, 0, np.int32([2**31 - 1]).tobytes())),
        ("a large negative bias", (16, b, 0, np.int32([-(2**31)]).tobytes())),
        ("an unknown kind", (8, 0, 0, bytes(4))),
        ("kind 0", (0, 0, 0, bytes(4))),
    ):
        flash.files["model.tld.0"] = bytearray(pack([record], models[0][16:48]))
        again = tinylearn.load(PATH)
        assert (again.head, again.changed) == (None, ()), what
        assert "is not loaded: " in capsys.readouterr().out
        with pytest.raises(tld.TinylearnError):
            tld.read(bytes(flash.files["model.tld.0"]), parsed)


def test_flash_that_fails_while_it_is_read_leaves_the_model_as_it_came(flash, monkeypatch):
    changed(taught()).save()
    x = next(pictures(1, 1))[0]
    model = tinylearn.load(PATH, recall=False)
    before = bytes(model.features(x))
    head, tensors, _, _ = delta.check(model, flash.open("model.tld.0", "rb"))
    monkeypatch.setattr(delta, "check", lambda m, f: (head, [*tensors, (65535, 0, 4, 0)]))
    with pytest.raises(Exception):  # noqa: B017
        delta.restore(model)
    assert model.head is None
    assert bytes(model.features(x)) == before


def test_two_models_by_turns(flash, models):
    """A save takes the place of the other model's older save, whatever the numbers say; its last one stays."""
    for classes in (2, 3, 4):
        model = taught(classes, save=True)
    flash.files[PATH] = bytearray(models[1])
    other = taught(2, save=True)
    assert labels() == other.labels
    flash.files[PATH] = bytearray(models[0])
    assert labels() == model.labels
    flash.files[PATH] = bytearray(models[1])
    assert labels() == other.labels
    taught(4, save=True)  # over the other model's, never over the save that counts
    tinylearn.load(PATH).rollback()
    assert labels() == other.labels
