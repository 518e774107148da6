"""One method on episodes of a task: in the board's integers, in float32, or without a network.

A `Runner` gives, for each episode, the class that each query gets. Runners are made in worker processes, so they come
from a `Job`, which is plain data.
"""

from __future__ import annotations

import tempfile
from contextlib import redirect_stdout
from dataclasses import dataclass, field, replace
from importlib import import_module
from inspect import signature
from io import StringIO
from pathlib import Path

import numpy as np

from tinylearn_host import simulator, sizes, tlm
from tinylearn_host.errors import USAGE, TinylearnError
from tinylearn_host.learning import datasets, float_heads
from tinylearn_host.learning.tasks import Episode, Task

WIDTHS = {"int8": 8, "int16": 16}  # of gradients
ARITHMETIC = (*WIDTHS, "float32")
UPDATES = ("sgd", "integers", "momentum", "sign")  # of float32: float_updates.py
NONE, AUTO = "none", "auto"
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
    head = firmware("head")
    known = set(head.HEADS) | {head.AUTO} | (set(head.TAILS) if model.backward else set())
    if not model.schemes:
        known.discard("scheme")
    return (NONE, *sorted(known, key=lambda name: (ORDER.index(name) if name in ORDER else len(ORDER), name)))


def trains(method: str) -> bool:
    """Whether weights of the network change, or may."""
    head = firmware("head")
    return method in head.TAILS or method == head.AUTO


def options() -> tuple[str, ...]:
    """What a row may be told beside its method: arguments of the board's Model.adapt, and what only float32 knows."""
    own = {"self", "samples", "method", "seed", "keep", "save", "on_step"}
    return tuple(sorted({*signature(firmware("model").Model.adapt).parameters, "update"} - own))


def check(model: tlm.Model, job: Job) -> None:
    """Raises exit code 2 where a row that trains has an option that makes no sense."""
    method = firmware("auto").METHODS[0] if job.method == AUTO else job.method
    try:
        firmware("head").check_method(job.method, job.options.get("head"))
        firmware("tuning").Settings(in_place(model), {"method": method, **job.options})
    except ValueError as error:
        raise TinylearnError(f"{job.method}: {error}", USAGE) from None


def of_method(method: str, numbers: list[str]) -> list[str]:
    """Those of `numbers` that make a difference for a method: heads have one kind of integers."""
    if method == NONE:
        return ["int8"]
    if method in WITHOUT_NETWORK:
        return ["float64"]
    integers = [name for name in numbers if name in WIDTHS]
    return [name for name in numbers if trains(method) or name not in WIDTHS or name == integers[0]]


def firmware(name: str):
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
        model = firmware("model").load(str(self.path), recall=False)
        with redirect_stdout(StringIO()):
            model.adapt(pairs(self.samples(episode.support), episode.support_class), **self.options(number))
        return model

    def options(self, number: int) -> dict:
        """Of model.adapt."""
        job = self.job
        options = {"method": job.method, "seed": seed_of(job.seed, number), "keep": False}
        if trains(job.method):
            options["width"] = WIDTHS[job.arithmetic]
            if job.method == AUTO:
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


def fit(
    model: tlm.Model,
    job: Job,
    count: int,
    ways: int,
    seed: int = 1,
    look: object = None,
    inspect: bool = False,
    pace: sizes.Pace | None = None,
) -> tuple:
    """(settings, Fit) of firmware/tinylearn/tuning.py; of "auto" where it trains. inspect: that of TinyTrain's pass
    over the samples. pace: of the board whose seconds are wanted."""
    tuning, support = firmware("tuning"), firmware("support")
    job = as_trained(model, job, count, ways)
    board = in_place(model)
    asked = {"method": job.method, "width": WIDTHS.get(job.arithmetic), "seed": seed, **job.options}
    settings = tuning.Settings(board, asked)
    if look or inspect:  # the samples are there already
        scarce = settings.cache is None and support.scarce(board, count, settings.budget)
        settings.held = support.FLASH if scarce else support.RAM
    if inspect:
        return settings, tuning.find_inspected(board, count, ways, settings)
    return settings, tuning.find(board, job.method, count, ways, settings, pace=pace, look=look)


def as_trained(model: tlm.Model, job: Job, count: int, ways: int) -> Job:
    """The job that "auto" makes where it trains: by the first of its methods that there is room for. MemoryError where
    there is none."""
    if job.method != AUTO:
        return job
    auto = firmware("auto")
    for method in auto.METHODS:
        trained = replace(job, method=method, options={"steps": auto.STEPS, **job.options})
        try:
            fit(model, trained, count, ways)
        except MemoryError:
            if method == auto.METHODS[-1]:
                raise
        else:
            return trained


def in_place(model: tlm.Model):
    """A board's model, as what load() gives there."""
    board = firmware("model").Model(np.frombuffer(model.raw, np.uint8).copy())
    board.in_place = True
    return board


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
    if job.arithmetic in WIDTHS:
        return Integers(job, task, model)
    from tinylearn_host.learning.floats import Floats  # PyTorch is an extra

    return Floats(job, task, model)
