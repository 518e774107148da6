"""Few-shot tasks: where samples come from, and how one episode after the other is drawn from them.

An episode is a support set, from which a board learns, and a query set, about which it is asked. Episode i of a task
depends on the seed and i alone, so any of them can be drawn again.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from tinylearn_host import tlm
from tinylearn_host.errors import BAD_DATA, USAGE, TinylearnError
from tinylearn_host.learning import datasets, frontends
from tinylearn_host.learning.datasets import Pool


@dataclass(frozen=True)
class Episode:
    """Rows of a pool, and classes 0 .. way-1. unit: whose it is; intervals are over units where one has many."""

    support: np.ndarray
    support_class: np.ndarray
    query: np.ndarray
    query_class: np.ndarray
    unit: str


@dataclass(frozen=True)
class Spec:
    """A task by name. source: of datasets.LAYOUTS, or "digits", which needs no file; draw: how episodes are drawn."""

    name: str
    title: str
    source: str
    backbone: str
    way: int
    shot: int
    draw: str = "classes"
    queries: int = 10


SPECS = {
    spec.name: spec
    for spec in (
        Spec("glyphs", "characters of unseen alphabets", "glyphs", "glyph", 20, 1, queries=5),
        Spec("digits", "written digits, an unseen domain", "digits", "glyph", 10, 5),
        Spec("negatives", "written digits, dark on bright: a far domain", "digits", "glyph", 10, 5),
        Spec("spectrograms", "spoken digits as pictures, a far domain", "speech", "glyph", 10, 5, "persons"),
        Spec("words", "spoken digits of a new speaker", "speech", "speech", 10, 5, "persons"),
        Spec("new-words", "7 known and 3 new words of a new speaker", "speech", "speech-words", 10, 5, "persons"),
        Spec("keywords", "digits taught to MLPerf Tiny's keyword model", "speech", "kws", 10, 5, "persons"),
        Spec("wearer", "gestures of a new wearer", "armband", "emg", 8, 5, "block"),
        Spec("session", "gestures, the armband put on again", "armband", "emg", 8, 5, "session"),
        Spec("samples", "few-shot tasks of a file's classes", "samples", "glyph", 5, 5),
    )
}


# Bytes of RAM that a Pico has for training beside each backbone, and beside models of others.
BUDGETS = {"glyph": 60 << 10, "speech": 54 << 10, "emg": 84 << 10}
BUDGET = 60 << 10


def budget(spec: Spec) -> int:
    return BUDGETS.get(spec.backbone.split("-")[0], BUDGET)


@dataclass(frozen=True, eq=False)
class Task:
    """A spec with its samples. way, shot, queries: classes, examples of each, questions about each at most."""

    spec: Spec
    pool: Pool
    way: int
    shot: int
    queries: int

    def episode(self, seed: int, number: int) -> Episode:
        random = np.random.default_rng([seed, number])
        return getattr(self, f"_{self.spec.draw}")(random, number)

    def _classes(self, random: np.random.Generator, number: int) -> Episode:
        return self._of(random, np.arange(len(self.pool.label)), str(number))

    def _persons(self, random: np.random.Generator, number: int) -> Episode:
        """In turn the people who have given enough of enough classes."""
        people = self._people()
        person = people[number % len(people)]
        return self._of(random, np.flatnonzero(self.pool.group == person), f"{person} {number}")

    @cache  # noqa: B019 (a task lives as long as its process)
    def _people(self) -> list:
        people = np.unique(self.pool.group)
        able = [p for p in people if len(self._labels(np.flatnonzero(self.pool.group == p))) >= self.way]
        return able or list(people[:1])  # of whom it is said what is missing

    def _labels(self, rows: np.ndarray) -> np.ndarray:
        """Classes with a sample to ask about beside those to show."""
        labels, counts = np.unique(self.pool.label[rows], return_counts=True)
        return labels[counts > self.shot]

    def _of(self, random: np.random.Generator, rows: np.ndarray, unit: str) -> Episode:
        labels = self._labels(rows)
        if self.way > len(labels):
            raise TinylearnError(
                f"{self.way} classes with more than {self.shot} samples are wanted and there are {len(labels)}: "
                "take a smaller --way or --shot",
                USAGE,
            )
        support, query = [], []
        for label in random.permutation(labels)[: self.way]:
            members = random.permutation(rows[self.pool.label[rows] == label])
            support.append(members[: self.shot])
            query.append(members[self.shot : self.shot + self.queries])
        return _episode(support, query, unit)

    def _block(self, random: np.random.Generator, number: int) -> Episode:
        """Support from one block of the first session of each wearer in turn; asked about the others."""
        return self._armband(random, number, later=False)

    def _session(self, random: np.random.Generator, number: int) -> Episode:
        """Support from one block of the first session; asked about the next."""
        return self._armband(random, number, later=True)

    def _armband(self, random: np.random.Generator, number: int, later: bool) -> Episode:
        pool, gestures = self.pool, self.gestures()
        if self.way > len(gestures):
            raise TinylearnError(f"{self.way} classes are wanted and there are {len(gestures)} gestures", USAGE)
        if self.way < len(gestures):
            gestures = random.permutation(gestures)[: self.way]
        sessions = {w: self._sessions(w) for w in np.unique(pool.group)}
        wearers = [w for w in sessions if len(sessions[w]) > later]
        if not wearers:
            sessions = "two sessions" if later else "one session"
            raise TinylearnError(
                f"nobody shows all {len(self.gestures())} gestures in {sessions} from number 1 on", BAD_DATA
            )
        wearer = wearers[number % len(wearers)]
        rows = np.flatnonzero(pool.group == wearer)
        session, label = pool.part[rows] // 100, pool.label[rows]
        first, again = sessions[wearer][0], sessions[wearer][int(later)]
        blocks = min(len(np.unique(pool.part[rows[(session == first) & (label == g)]])) for g in gestures)
        chosen = number // len(wearers) % blocks
        support, query = [], []
        for gesture in gestures:
            of = rows[(session == first) & (label == gesture)]
            taught = np.unique(pool.part[of])[chosen]
            support.append(random.permutation(of[pool.part[of] == taught])[: self.shot])
            asked = rows[(session == again) & (label == gesture)] if later else of[pool.part[of] != taught]
            query.append(random.permutation(asked)[: self.queries])
        if min(map(len, support)) < self.shot or not all(map(len, query)):
            raise TinylearnError(
                f"a block of {wearer} has {min(map(len, support))} windows, too few for {self.shot} shots, or is the "
                "only one of its gesture",
                USAGE,
            )
        return _episode(support, query, str(wearer))

    @cache  # noqa: B019
    def gestures(self) -> np.ndarray:
        return np.unique(self.pool.label)

    @cache  # noqa: B019
    def _sessions(self, wearer: str) -> list[int]:
        """Those, in order, in which all gestures are shown; number 0 was a trial."""
        rows = self.pool.group == wearer
        return [
            int(s)
            for s in np.unique(self.pool.part[rows] // 100)
            if s >= 1 and len(np.unique(self.pool.label[rows & (self.pool.part // 100 == s)])) == len(self.gestures())
        ]


def _episode(support: list[np.ndarray], query: list[np.ndarray], unit: str) -> Episode:
    """Rows by class to an episode; the support set in turns, as a person would show things."""
    turns = [(k, rows[i]) for i in range(max(map(len, support))) for k, rows in enumerate(support) if i < len(rows)]
    classes, rows = (np.array(a) for a in zip(*turns, strict=True))
    asked = np.repeat(np.arange(len(query)), [len(rows) for rows in query])
    return Episode(rows, classes, np.concatenate(query), asked, unit)


# ---- Opening ---------------------------------------------------------------------------------------------------------


def open_task(
    spec: Spec,
    model: tlm.Model,
    file: Path | None,
    way: int | None = None,
    shot: int | None = None,
    groups: list[str] | None = None,
) -> Task:
    """The task as `model` takes its samples. groups: the alphabets, speakers or wearers to draw from; None: all."""
    pool = _pool(spec, model, file, groups)
    if groups:
        strangers = sorted(set(groups) - set(map(str, np.unique(pool.group))))
        if strangers:
            there = ", ".join(map(str, np.unique(pool.group)))
            raise TinylearnError(f"{file} has nothing of {', '.join(strangers)}; there are {there}", BAD_DATA)
        pool = pool.only(groups)
    wanted = int(np.prod(model.input_shape()))
    if pool.x.shape[1] != wanted:
        shape = " x ".join(map(str, model.input_shape()))
        raise TinylearnError(
            f"a sample of {file or spec.name} has {pool.x.shape[1]} values and the model takes {wanted}, {shape}: "
            "make them that size, or name another --model",
            BAD_DATA,
        )
    return Task(spec, pool, way or spec.way, shot or spec.shot, spec.queries)


def _pool(spec: Spec, model: tlm.Model, file: Path | None, groups: list[str] | None) -> Pool:
    if spec.source == "digits":
        return datasets.written_digits(invert=spec.name == "negatives")
    if file is None:
        raise TinylearnError(f"{spec.name} needs a file, such as {datasets.FILES.get(spec.source, 'FILE.npz')}", USAGE)
    found = datasets.layout(file)
    if found != spec.source:
        raise TinylearnError(f"{file} holds {found}, and {spec.name} is a task of {spec.source}", BAD_DATA)
    if spec.source == "glyphs":
        return datasets.glyphs(file)
    if spec.source == "samples":
        return datasets.user(file)
    if spec.name == "spectrograms":
        front = frontends.log_mel()
        return datasets.spectrograms(datasets.speech(file, front), front.section.frames, front.section.bins)
    front = frontends.of(model)
    if spec.source == "speech":
        return datasets.speech(file, front)
    return datasets.armband(file, front, groups)


def of_file(file: Path) -> Spec:
    """The first task of a file's layout."""
    found = datasets.layout(file)
    return next(spec for spec in SPECS.values() if spec.source == found and spec.name != "spectrograms")
