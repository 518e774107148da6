"""One method on episodes of a task: in the board's integers, in float32, or without a network.

A `Runner` gives, for each episode, the class that each query gets. Runners are made in worker processes, so they come
from a `Job`, which is plain data.
"""

from __future__ import annotations

import tempfile
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from importlib import import_module
from io import StringIO
from pathlib import Path

import numpy as np

from tinylearn_host import simulator, tlm
from tinylearn_host.learning import datasets, float_heads
from tinylearn_host.learning.tasks import Episode, Task

WIDTHS = {"int8": 8, "int16": 16}  # of gradients
ARITHMETIC = (*WIDTHS, "float32")
NONE = "none"
WHITENED = "whitened"
WITHOUT_NETWORK = (WHITENED, "lda")
LONG = 1e6  # seconds


@dataclass(frozen=True)
class Job:
    """A row of the benchmark. options: of model.adapt, beside method and seed."""

    method: str
    arithmetic: str
    seed: int
    options: dict = field(default_factory=dict)

    @property
    def name(self) -> str:
        return f"{self.method} {self.arithmetic}"


ORDER = ("prototype", "closed_form", "last_layer", "bias", "scheme", "tinytrain", "auto", "full")


def methods(model: tlm.Model) -> tuple[str, ...]:
    """What the package on the board can do with a model, and no adaptation."""
    head = _firmware("head")
    known = set(head.HEADS) | {head.AUTO} | (set(head.TAILS) if model.backward else set())
    if not model.schemes:
        known.discard("scheme")
    return (NONE, *sorted(known, key=lambda name: (ORDER.index(name) if name in ORDER else len(ORDER), name)))


def trains(method: str) -> bool:
    """Whether weights of the network change, or may."""
    head = _firmware("head")
    return method in head.TAILS or method == head.AUTO


def of_method(method: str, numbers: list[str]) -> list[str]:
    """Those of `numbers` that make a difference for a method: heads have one kind of integers."""
    if method == NONE:
        return ["int8"]
    if method in WITHOUT_NETWORK:
        return ["float64"]
    if method == "auto":  # its decisions are the board's: nothing in float32 makes the same
        numbers = [name for name in numbers if name in WIDTHS]
    integers = [name for name in numbers if name in WIDTHS]
    return [name for name in numbers if trains(method) or name not in WIDTHS or name == integers[0]]


def _firmware(name: str):
    """A module of the package on the board."""
    simulator.on_path()
    return import_module(f"tinylearn.{name}")


def seed_of(seed: int, number: int) -> int:
    """The board's seed for one episode: many bits."""
    return int(np.random.default_rng([seed, number, 1]).integers(1, 1 << 30))


class Runner:
    """A job on a task."""

    def __init__(self, job: Job, task: Task, model: tlm.Model):
        self.job, self.task, self.model = job, task, model

    def accuracies(self, numbers: list[int]) -> list[float]:
        """Percent of the queries of each of these episodes that got their class."""
        truth = [self.task.episode(self.job.seed, number).query_class for number in numbers]
        found = self.answers(numbers)
        return [100 * float((k == wanted).mean()) for k, wanted in zip(found, truth, strict=True)]

    def answers(self, numbers: list[int]) -> list[np.ndarray]:
        """The class of each query of these episodes."""
        raise NotImplementedError

    def samples(self, rows: np.ndarray) -> np.ndarray:
        return self.task.pool.x[rows]


class Integers(Runner):
    """firmware/tinylearn on the simulator: what a board answers, to the bit."""

    def __init__(self, job: Job, task: Task, model: tlm.Model):
        super().__init__(job, task, model)
        self.folder = tempfile.TemporaryDirectory()  # the board's flash: the model, and samples where RAM has no room
        self.path = Path(self.folder.name) / "model.tlm"
        self.path.write_bytes(model.raw)

    def answers(self, numbers: list[int]) -> list[np.ndarray]:
        return [self._answers(self.task.episode(self.job.seed, number), number) for number in numbers]

    def _answers(self, episode: Episode, number: int) -> np.ndarray:
        model = self.adapted(episode, number)
        return np.array([model.predict(x)[0] for x in self.samples(episode.query)])

    def adapted(self, episode: Episode, number: int):
        """A board's model that has learned one episode. What the board would print is not for here."""
        model = _firmware("model").load(str(self.path), recall=False)
        with redirect_stdout(StringIO()):
            model.adapt(pairs(self.samples(episode.support), episode.support_class), **self.options(number))
        return model

    def options(self, number: int) -> dict:
        """Of model.adapt."""
        job = self.job
        options = {"method": job.method, "seed": seed_of(job.seed, number), "keep": False}
        if trains(job.method):
            options["width"] = WIDTHS[job.arithmetic]
            if job.method == "auto":
                options["time_budget"] = LONG  # a limit in seconds would make the answer this machine's
            options.update(job.options)
        elif "head" in job.options and job.options["head"] == "auto":
            options["head"] = "auto"
        return options


def pairs(x: np.ndarray, classes: np.ndarray) -> list[tuple[np.ndarray, int]]:
    return [(sample, int(k)) for sample, k in zip(x, classes, strict=True)]


class Untaught(Runner):
    """No adaptation: the answers of the model's own classifier where it has classes of the task, else chance."""

    def accuracies(self, numbers: list[int]) -> list[float]:
        names, own = self.task.pool.names, self.model.labels
        if names is None or own is None or not set(names) & set(own):
            return [100 / self.task.way] * len(numbers)
        value = np.array([names.index(name) if name in names else -1 for name in own])
        return [self._accuracy(self.task.episode(self.job.seed, number), value) for number in numbers]

    def _accuracy(self, episode: Episode, value: np.ndarray) -> float:
        network = simulator.Simulator(self.model.raw)
        answers = [value[int(network.run(x).argmax())] for x in self.samples(episode.query)]
        return 100 * float((np.array(answers) == self.task.pool.label[episode.query]).mean())


class Floats(Runner):
    """The same method in float32, many episodes side by side, on a graphics card where there is one."""

    def __init__(self, job: Job, task: Task, model: tlm.Model):
        super().__init__(job, task, model)
        import torch

        from tinylearn_host.learning.float_net import FloatNet, fastest

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
        from tinylearn_host.learning.float_training import FloatTraining, Lesson

        lessons = [
            Lesson(self.samples(e.support), e.support_class, self.samples(e.query), seed_of(self.job.seed, number))
            for number, e in zip(numbers, episodes, strict=True)
        ]
        head = self.job.options.get("head") or ("auto" if trains(self.job.method) else self.job.method)
        if not trains(self.job.method):
            return FloatTraining(self.net, {}, lessons, 0, None, 0.0).answers(lessons, head)
        fits, settings = self._fits(lessons)
        choices = [fit.tail.choice for fit in fits]
        training = FloatTraining(self.net, choices, lessons, settings.views, settings.augment, settings.rate)
        training.run(fits[0].steps, _firmware("tuning").PATIENCE)
        return training.answers(lessons, head)

    def _fits(self, lessons: list) -> tuple[list, object]:
        """What is trained, one for each lesson or one for all, and settings: as the board finds them."""
        count, ways = len(lessons[0].classes), int(lessons[0].classes.max()) + 1
        if self.job.method != "tinytrain":
            settings, found = fit(self.model, self.job, count, ways)
            return [found], settings
        looks = self._looks(lessons, count, ways)
        found = [
            fit(self.model, self.job, count, ways, lesson.seed, look)
            for lesson, look in zip(lessons, looks, strict=True)
        ]
        return [one for _, one in found], found[0][0]

    def _looks(self, lessons: list, count: int, ways: int) -> list:
        """Fisher information in real numbers, as selection.Look; None where the criterion needs none."""
        from tinylearn_host.learning.float_training import FloatTraining

        selection = _firmware("selection")
        settings, inspected = fit(self.model, self.job, count, ways, inspect=True)
        if settings.module != "tl_channels":
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


def fit(
    model: tlm.Model, job: Job, count: int, ways: int, seed: int = 1, look: object = None, inspect: bool = False
) -> tuple:
    """(settings, Fit) of firmware/tinylearn/tuning.py; of "auto" where it trains. inspect: that of TinyTrain's pass
    over the samples."""
    tuning, support, auto = _firmware("tuning"), _firmware("support"), _firmware("auto")
    method, usual = (auto.METHOD, {"steps": auto.STEPS}) if job.method == "auto" else (job.method, {})
    board = _firmware("model").Model(np.frombuffer(model.raw, np.uint8).copy())
    board.in_place = True  # as what load() gives
    asked = {"method": method, "width": WIDTHS.get(job.arithmetic), "seed": seed, **usual, **job.options}
    settings = tuning.Settings(board, asked)
    if look or inspect:  # the samples are there already
        scarce = settings.cache is None and support.scarce(board, count, settings.budget)
        settings.held = support.FLASH if scarce else support.RAM
    if inspect:
        return settings, tuning.find_inspected(board, count, ways, settings)
    return settings, tuning.find(board, method, count, ways, settings, look=look)


class WithoutNetwork(Runner):
    """The armband's logarithms of 8 electrodes' RMS, float64. whitened: the nearest mean by the covariance of the other
    wearers; lda: linear discriminant analysis of the support set, with shrinkage."""

    def answers(self, numbers: list[int]) -> list[np.ndarray]:
        return [self._answers(self.task.episode(self.job.seed, number)) for number in numbers]

    def _answers(self, episode: Episode) -> np.ndarray:
        pool = self.task.pool
        x, asked = (datasets.log_rms(pool.raw[rows]) for rows in (episode.support, episode.query))
        if self.job.method == "lda":
            return float_heads.answers(float_heads.closed_form(x, episode.support_class), asked)
        whiten = self._whitening(episode.unit)
        return float_heads.answers(float_heads.euclidean(x @ whiten, episode.support_class), asked @ whiten)

    def _whitening(self, wearer: str) -> np.ndarray:
        """[8, 8]: the inverse root of the covariance within the gestures of everybody else."""
        pool = self.task.pool
        others = np.flatnonzero(pool.group != wearer)[::7]
        x = datasets.log_rms(pool.raw[others])
        names = np.char.add(pool.group[others].astype(str), pool.label[others].astype(str))
        whose = np.unique(names, return_inverse=True)[1]
        means = np.stack([np.bincount(whose, column) for column in x.T], 1) / np.bincount(whose)[:, None]
        values, vectors = np.linalg.eigh(np.cov((x - means[whose]).T))
        return vectors / np.sqrt(values)


def runner(job: Job, task: Task, model: tlm.Model) -> Runner:
    if job.method == NONE:
        return Untaught(job, task, model)
    if job.method in WITHOUT_NETWORK:
        return WithoutNetwork(job, task, model)
    return (Floats if job.arithmetic == "float32" else Integers)(job, task, model)
