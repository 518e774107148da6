"""method="auto": whether the network is trained at all, and which head, found out from the samples alone.

Each sample is held out in turn and heads are asked about it that were made of the others; where there is one sample of
each class they are asked about a view of it. Where prototypes give the right class a high probability the features tell
the classes apart, and a head is all it takes. Else the network is trained, on all samples, and asked the same again:
where fewer are right than before it stays as it was. With one or two samples of a class, which say little of
heads, a view of each is not trained on and watches: training is kept where it gains (training.py), and the head is the
one of before. What is compared are integers, so every board decides the same.
"""

from array import array

import tl_train

from .head import HEADS
from .model import fail, unload
from .support import augmentation, room
from .teaching import Verdict, collect, fit, fit_chosen, head_story, held_out, length, of_one, possible, rows_of

METHODS = "tinytrain", "full"  # of training: the first that there is room for
STEPS, SECONDS = 10, 120  # that training may take where nobody says: most of what 40 steps bring
SURE, SURE_OF_VIEWS = 26870, 29491  # 0.82 and 0.9, mean probabilities from which on nothing is trained
FEWEST = 3  # samples of each class that can say which head is the best for a network that was trained on them


def judge(task, samples):
    """(the head that model.adapt is about to have, or None where the network is to be trained; support.Inputs or None;
    the row of each sample). task: teaching.Task, whose verdict says what was found

    Then this module's code can go: training wants the room.
    """
    model, options = task.model, task.options
    _check(model, options)
    inputs = room(model, length(samples), options) if model.section(b"BWD ")[2] else None
    try:
        features, classes = collect(model, samples, task.labels, inputs)
        rows = rows_of(task, classes)
        kept = bytes(rows)
        task.verdict = _verdict(task, features, rows, inputs)
        if not task.verdict.methods:
            return _frozen(task, features, rows), inputs, rows
        rows[:] = kept  # the samples as they came
    except BaseException:
        if inputs:
            inputs.close()
        raise
    for name, usual in (("steps", STEPS), ("time_budget", SECONDS)):
        if options[name] is None:
            options[name] = usual
    return None, inputs, rows


def once_more(task, inputs, rows):
    """The head for the network as it is, where there was no room or time to train: its features are made again."""
    return _frozen(task, _again(task.model, inputs, len(rows)), rows)


_OF_TRAINING = "steps", "rate", "layers", "views", "width", "augment", "cache", "budget", "time_budget"


def _check(model, options):
    """ValueError where an option of training is wrong, though it may not come to that."""
    if model.section(b"BWD ")[2] and any(options[name] is not None for name in _OF_TRAINING):
        from .tuning import Settings

        Settings(model, dict(options, method=METHODS[0]))
        for name in ("tuning", "tail", "augment"):
            unload(name)


def _frozen(task, features, rows):
    """The head for the network as it is."""
    verdict = task.verdict
    head = fit_chosen(task, verdict.head, features, rows)
    task.model.why = "%s; head: %s" % (verdict.why, verdict.head)
    task.model.story = head_story(task, verdict.head, len(rows))
    return head


def _again(model, inputs, count):
    """Features of all samples, once more."""
    n = len(model.f)
    features = bytearray(count * n)
    for i in range(count):
        inputs.get(i, model.x)
        memoryview(features)[i * n : (i + 1) * n] = model.features()
    return memoryview(features)


# ---- Judging ---------------------------------------------------------------------------------------------------------


def _verdict(task, features, rows, inputs):
    """teaching.Verdict"""
    found, heads = Verdict(), possible(task, len(rows)) + ("prototype",)
    asked, right, sure = held_out(task, features, rows, heads)
    enough, what = SURE, "samples held out in turn"
    views = _views(task.model, task.options) if inputs else None
    if asked:
        best = sure.index(max(sure[:-1]))
        best = best if sure[best] >= 0 else -1  # no room
        found.head = heads[best]
        if views is None or len(rows) >= FEWEST * len(set(rows)):
            found.right = right[best]
    else:
        best, found.head = -1, task.options["head"] if task.options["head"] in HEADS else of_one(task.model)
        if views is None:
            found.why = "one sample of each class, of which no views are known"
            return found
        enough, what = SURE_OF_VIEWS, "views of the samples"
        asked, right, sure = _of_views(task, inputs, features, rows, views)
    found.why = "%d of %d %s are right, and %.2f sure" % (right[best], asked, what, sure[-1] / (32768 * asked))
    if sure[-1] >= enough * asked:
        found.why += ": the features tell the classes apart"
    elif not inputs:
        found.why += "; the model's file does not say how to train it"
    elif len(set(rows)) < len(task.owners) or task.source:
        found.why += "; but classes without samples here rest on the network as it is"
    else:
        found.methods = METHODS
    return found


def _views(model, options):
    """params of tl_train.augment, or None."""
    if options["views"] == 0:
        return None
    return augmentation(model, options["augment"])


def _of_views(task, inputs, features, rows, views):
    """As teaching.held_out, of a view of each sample, whose class knows the sample itself."""
    model, head = task.model, fit(task, "prototype", features, rows)
    sample, state = bytearray(len(model.x)), array("i", (task.options["seed"] * 40503 & 0x3FFFFFFF | 1,))
    right = sure = 0
    for i in range(len(rows)):
        inputs.get(i, sample)
        status = tl_train.augment(views, sample, model.x, state)
        if status:
            fail(status, "augmenting")
        best, p = head.belief(model.features(), head.owners[rows[i]])
        right += best
        sure += p
    return len(rows), [right], [sure]
