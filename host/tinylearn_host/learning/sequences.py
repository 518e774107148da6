"""Sequences of tasks, which come one after the other: new classes each time, or the same ones in another place.

Class-incremental: some new classes in each task, and in the end all of them are asked about. Domain-incremental: the
same classes from another person, or with the armband put on again. Nothing of an earlier task comes back.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tinylearn_host import tlm
from tinylearn_host.errors import BAD_DATA, TinylearnError
from tinylearn_host.learning import tasks
from tinylearn_host.learning.tasks import Episode


@dataclass(frozen=True)
class Spec:
    """spec: of tasks.SPECS. kind: "classes", "groups" (people), "sessions". way: classes of a task. tasks: how many."""

    name: str
    title: str
    spec: str
    kind: str
    way: int
    shot: int
    tasks: int
    queries: int = 10


SEQUENCES = {
    spec.name: spec
    for spec in (
        Spec("characters", "characters of unseen alphabets, 2 at a time", "glyphs", "classes", 2, 5, 5),
        Spec("digits", "written digits, 2 at a time", "digits", "classes", 2, 5, 5),
        Spec("negatives", "written digits, dark on bright, 2 at a time", "negatives", "classes", 2, 5, 5),
        Spec("spectrograms", "spoken digits as pictures, 2 at a time", "spectrograms", "classes", 2, 5, 5),
        Spec("words", "spoken digits of a new speaker, 2 at a time", "words", "classes", 2, 5, 5),
        Spec("speakers", "spoken digits as pictures, speaker after speaker", "spectrograms", "groups", 10, 5, 4),
        Spec("wearers", "gestures, wearer after wearer", "wearer", "groups", 8, 5, 5),
        Spec("sessions", "gestures, the armband put on again", "session", "sessions", 8, 5, 2),
    )
}


@dataclass(frozen=True, eq=False)
class Sequences:
    """A spec with its samples; sequence i depends on the seed and i alone."""

    spec: Spec
    task: tasks.Task

    def draw(self, seed: int, number: int) -> list[Episode]:
        """One episode for each task; classes are numbered through the whole sequence."""
        return getattr(self, f"_{self.spec.kind}")(np.random.default_rng([seed, number]), seed, number)

    def _classes(self, random, seed: int, number: int) -> list[Episode]:
        """An episode of all classes, of which each task has some."""
        whole, way = self.task.episode(seed, number), self.spec.way
        return [_part(whole, range(way * t, way * t + way)) for t in range(self.spec.tasks)]

    def _groups(self, random, seed: int, number: int) -> list[Episode]:
        """People in a random order."""
        people = random.permutation(np.unique(self.task.pool.group))[: self.spec.tasks]
        if len(people) < self.spec.tasks:
            raise TinylearnError(f"{self.spec.name} needs {self.spec.tasks} people, here are {len(people)}", BAD_DATA)
        if self.task.spec.source == "armband":
            return [self._wearing(random, str(who), 0) for who in people]
        return [self._person(random, who) for who in people]

    def _person(self, random, who) -> Episode:
        pool, spec = self.task.pool, self.spec
        support, query = [], []
        for label in np.unique(pool.label):
            rows = random.permutation(np.flatnonzero((pool.group == who) & (pool.label == label)))
            support.append(rows[: spec.shot])
            query.append(rows[spec.shot : spec.shot + spec.queries])
        return tasks._episode(support, query, str(who))

    def _sessions(self, random, seed: int, number: int) -> list[Episode]:
        """Sessions of one wearer, as they came; wearers in turn."""
        wearers = [w for w in np.unique(self.task.pool.group) if len(self.task._sessions(w)) >= self.spec.tasks]
        if not wearers:
            raise TinylearnError(f"nobody shows all gestures in {self.spec.tasks} sessions", BAD_DATA)
        who = str(wearers[number % len(wearers)])
        return [self._wearing(random, who, t) for t in range(self.spec.tasks)]

    def _wearing(self, random, who: str, session: int) -> Episode:
        """Support from one block of 5 s of each gesture, asked about the others of that session."""
        pool, spec = self.task.pool, self.spec
        sessions = self.task._sessions(who)
        part = sessions[min(session, len(sessions) - 1)]
        support, query = [], []
        for gesture in self.task.gestures():
            rows = np.flatnonzero((pool.group == who) & (pool.part // 100 == part) & (pool.label == gesture))
            taught = random.choice(np.unique(pool.part[rows]))
            support.append(random.permutation(rows[pool.part[rows] == taught])[: spec.shot])
            query.append(random.permutation(rows[pool.part[rows] != taught])[: spec.queries])
        return tasks._episode(support, query, who)


def _part(whole: Episode, classes: range) -> Episode:
    taught, asked = np.isin(whole.support_class, classes), np.isin(whole.query_class, classes)
    return Episode(
        whole.support[taught], whole.support_class[taught], whole.query[asked], whole.query_class[asked], whole.unit
    )


def open_sequences(name: str, model: tlm.Model, file: Path | None, shot: int | None, groups: list[str]) -> Sequences:
    spec = SEQUENCES[name]
    way = spec.way * spec.tasks if spec.kind == "classes" else spec.way
    if shot:
        spec = Spec(**{**spec.__dict__, "shot": shot})
    task = tasks.open_task(tasks.SPECS[spec.spec], model, file, way, spec.shot, groups or None)
    if spec.kind == "groups" and task.spec.source == "armband":
        shown = [who for who in np.unique(task.pool.group) if task._sessions(who)]
        task = tasks.Task(task.spec, task.pool.only(shown), task.way, task.shot, task.queries)
    return Sequences(spec, task)
