"""A method on episodes in float32, as the board would go about it: what it trains, in which order, and which head."""

from __future__ import annotations

import numpy as np
import torch

from tinylearn_host import tlm
from tinylearn_host.learning import float_auto, float_heads
from tinylearn_host.learning.arithmetic import AUTO, Job, Runner, as_trained, firmware, fit, in_place, seed_of, trains
from tinylearn_host.learning.float_net import FloatNet, fastest
from tinylearn_host.learning.float_training import FloatTraining, Lesson
from tinylearn_host.learning.tasks import Episode, Task


class Floats(Runner):
    """The same method in float32, many episodes side by side, on a graphics card where there is one."""

    def __init__(self, job: Job, task: Task, model: tlm.Model):
        super().__init__(job, task, model)
        torch.set_num_threads(1)
        self.net = FloatNet(model, fastest())

    def answers(self, numbers: list[int]) -> list[np.ndarray]:
        """Side by side run the episodes whose support sets have the same number of samples and classes."""
        episodes = {number: self.task.episode(self.job.seed, number) for number in numbers}
        alike: dict[tuple, list[int]] = {}
        for number, episode in episodes.items():
            alike.setdefault((len(episode.support), int(episode.support_class.max())), []).append(number)
        found = {}
        for group in alike.values():
            found.update(zip(group, self._side_by_side(group, [episodes[n] for n in group]), strict=True))
        return [found[number] for number in numbers]

    def _side_by_side(self, numbers: list[int], episodes: list[Episode]) -> list[np.ndarray]:
        lessons = [
            Lesson(self.samples(e.support), e.support_class, self.samples(e.query), seed_of(self.job.seed, number))
            for number, e in zip(numbers, episodes, strict=True)
        ]
        if self.job.method == AUTO:
            return self._decided(lessons)
        asked = self.job.options.get("head")
        if not trains(self.job.method):
            frozen, asked = self._frozen(lessons), asked if asked == AUTO else self.job.method
            return frozen.answers(lessons, self._heads(frozen, lessons, asked))
        training, steps = self._training(self.job, lessons)
        training.run(steps, firmware("tuning").PATIENCE)
        return training.answers(lessons, self._heads(training, lessons, asked))

    def _heads(self, training: FloatTraining, lessons: list, asked: str | None) -> list[str]:
        """The head of each lesson: what was asked for, or what the samples say."""
        if asked not in (None, AUTO):
            return [asked] * len(lessons)
        known, of_one = training.known(), firmware("teaching").of_one(in_place(self.model))
        classes = [lesson.classes for lesson in lessons]
        return [float_heads.judged(known[:, e], y, float_heads.CLOSED, of_one)[0] for e, y in enumerate(classes)]

    def _frozen(self, lessons: list) -> FloatTraining:
        return FloatTraining(self.net, {}, lessons, 0, None, 0.0)

    def _decided(self, lessons: list) -> list[np.ndarray]:
        """As method="auto" of the board: heads for the network as it is, and those of a trained one where that pays."""
        frozen = self._frozen(lessons)
        verdicts = self._verdicts(frozen, lessons)
        found = frozen.answers(lessons, [verdict.head for verdict in verdicts])
        for watched in (False, True):
            some = [e for e, verdict in enumerate(verdicts) if verdict.trains and (verdict.right is None) == watched]
            if not some:
                continue
            taught = [lessons[e] for e in some]
            try:
                training, steps = self._training(self.job, taught)
            except MemoryError:  # then the board does not train either
                return found
            gained, heads = self._taught(training, steps, taught, [verdicts[e] for e in some])
            answers = training.answers(taught, heads)
            for e, better, answer in zip(some, gained, answers, strict=True):
                found[e] = answer if better else found[e]
        return found

    def _verdicts(self, frozen: FloatTraining, lessons: list) -> list:
        board = in_place(self.model)
        settings = firmware("tuning").Settings(board, {"method": firmware("auto").METHODS[0], **self.job.options})
        of_one, asked = firmware("teaching").of_one(board), self.job.options.get("head")
        known, verdicts = frozen.known(), []
        for e, lesson in enumerate(lessons):
            views = float_auto.asked_views(lesson.support, settings.augment, lesson.seed)
            seen = None if views is None else frozen.features_of(views)
            verdicts.append(float_auto.judge(known[:, e], lesson.classes, seen, of_one, asked))
        return verdicts

    def _taught(self, training: FloatTraining, steps: int, lessons: list, verdicts: list) -> tuple:
        """Train; then: whether each lesson gains from it, and its head."""
        if verdicts[0].right is None:
            return training.run_watched(steps), [verdict.head for verdict in verdicts]
        training.run(steps, firmware("tuning").PATIENCE)
        asked = self.job.options.get("head")
        names = (asked,) if asked in float_heads.HEADS else float_heads.CLOSED
        known, gained, heads = training.known(), [], []
        for e, (lesson, verdict) in enumerate(zip(lessons, verdicts, strict=True)):
            head, right = float_heads.judged(known[:, e], lesson.classes, names, verdict.head)
            gained.append(right >= verdict.right)
            heads.append(head)
        return gained, heads

    def _training(self, job: Job, lessons: list) -> tuple[FloatTraining, int]:
        """A training of what the board would choose, before its first step, and how many there are at most."""
        job = as_trained(self.model, job, len(lessons[0].classes), int(lessons[0].classes.max()) + 1)
        fits, settings = self._fits(job, lessons)
        choices = [one.tail.choice for one in fits]
        given = (settings.views, settings.augment, settings.rate)
        training = FloatTraining(self.net, choices, lessons, *given, update=job.options.get("update", "sgd"))
        return training, fits[0].steps

    def _fits(self, job: Job, lessons: list) -> tuple[list, object]:
        """What is trained, one for each lesson or one for all, and settings: as the board finds them."""
        count, ways = len(lessons[0].classes), int(lessons[0].classes.max()) + 1
        if job.method != "tinytrain":
            settings, found = fit(self.model, job, count, ways)
            return [found], settings
        looks = self._looks(job, lessons, count, ways)
        found = [
            fit(self.model, job, count, ways, lesson.seed, look) for lesson, look in zip(lessons, looks, strict=True)
        ]
        return [one for _, one in found], found[0][0]

    def _looks(self, job: Job, lessons: list, count: int, ways: int) -> list:
        """Fisher information in real numbers, as selection.Look; None where the criterion needs none."""
        selection = firmware("selection")
        settings, inspected = fit(self.model, job, count, ways, inspect=True)
        if not settings.looks:
            return [None] * len(lessons)
        layers = {op: part.axis for op, part in inspected.tail.choice.items()}
        pass_over = FloatTraining(self.net, {}, lessons, settings.views, settings.augment, 0.0, min(layers))
        found = pass_over.fisher(layers)
        looks = []
        for e in range(len(lessons)):
            one = 2.0**40 / max(values[e].max() for values in found.values())
            whole = {op: [round(v * one) for v in values[e].tolist()] for op, values in found.items()}
            looks.append(
                selection.Look([selection.condense(op, layers[op], settings.ratio, (v, 0)) for op, v in whole.items()])
            )
        return looks
