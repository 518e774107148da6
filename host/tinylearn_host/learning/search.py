"""Searches sparse update schemes for a model by real fine-tunes in the board's integers (MCUNetV3, arXiv 2206.15472,
section 3.2): what each layer's training is worth, then the schemes that promise most for each number of bytes.

Contribution analysis: accuracy gained by training the last k biases over a head alone, and by weights of layer i on a
share of their channels beside the biases from there on. Contributions are taken to add up; NSGA-II (optuna) finds the
schemes of which none is both worth more and smaller. As sums are only an estimate, the schemes chosen for the budgets
are tried on episodes that the analysis has not seen, beside the rule of thumb of partition.py; the better one stays.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cache

import numpy as np

from tinylearn_host import autodiff, ir, partition, tlm
from tinylearn_host.errors import USAGE, TinylearnError
from tinylearn_host.learning import arithmetic, bench
from tinylearn_host.learning.arithmetic import Job
from tinylearn_host.training_sections import BIAS, WEIGHTS, Entry, Scheme

Entries = tuple[Entry, ...]
POPULATION = 60
PATIENCE = "20s"  # for a scheduler to answer


@dataclass(frozen=True)
class Plan:
    """options: of model.adapt in every fine-tune. ratios: shares of channels to try. layers: at most so many last ones.

    episodes: of the analysis; as many more are for the comparison at the end. trials: of the search.
    """

    setting: bench.Setting
    budgets: tuple[int, ...]
    seed: int
    episodes: int
    options: tuple[tuple[str, object], ...]
    ratios: tuple[int, ...] = (1, 4)
    layers: int | None = None
    trials: int = 3000


# ---- What can be tried -----------------------------------------------------------------------------------------------


def layers(model: tlm.Model, most: int | None) -> list[int]:
    """The operators that have something to train, last first."""
    return [record.op for record in model.backward if record.flags & (WEIGHTS | BIAS)][:most]


def biases(model: tlm.Model, ops: Iterable[int]) -> Entries:
    flags = {record.op: record.flags for record in model.backward}
    return tuple(Entry(op, BIAS) for op in sorted(ops) if flags[op] & BIAS)


def with_weights(model: tlm.Model, entries: Entries, op: int, share: int) -> Entries:
    """The entries with weights of an operator on one part in `share` of its channels."""
    flags = next(record.flags for record in model.backward if record.op == op) & (WEIGHTS | BIAS)
    _, inputs, outputs = autodiff.weight_shape(model, model.ops[op])
    channels = outputs if model.ops[op].name == ir.DEPTHWISE_CONV2D else inputs
    entry = Entry(op, flags, count=0 if share == 1 else max(1, channels // share))
    return partition.ordered({**{e.op: e for e in entries}, op: entry})


def scheme_of(model: tlm.Model, ops: list[int], k: int, shares: dict[int, int]) -> Entries:
    """Biases of the last k layers, and weights of those of them that have a share."""
    entries = biases(model, ops[:k])
    for op in ops[:k]:
        if shares.get(op):
            entries = with_weights(model, entries, op, shares[op])
    return entries


# ---- Fine-tunes ------------------------------------------------------------------------------------------------------


@cache
def _opened(setting: bench.Setting):
    """In each worker, once."""
    return setting.open()


def fine_tune(setting: bench.Setting, job: Job, entries: Entries, number: int) -> float:
    """Percent of the queries of one episode that a board answers right once it has trained this."""
    task, model = _opened(setting)
    if entries:
        model = partition.with_schemes(model, [Scheme("trial", 0, partition.WIDTH, entries)])
    return arithmetic.Integers(job, task, model).accuracies([number])[0]


class Trials:
    """Fine-tunes of schemes over episodes, on an executor; what an earlier run has found is not done again."""

    def __init__(self, plan: Plan, model: tlm.Model, executor: Executor, show: bench.Show):
        self.plan, self.executor, self.show = plan, executor, show
        self.model = partition.with_schemes(model, [])
        self.found: dict[Entries, dict[int, float]] = {}

    def job(self, entries: Entries) -> Job:
        options = dict(self.plan.options)
        if not entries:
            head = options.get("head")
            return Job("prototype" if head in (None, "auto") else head, "int8", self.plan.seed, {})
        return Job("scheme", "int8", self.plan.seed, options)

    def run(self, what: str, wanted: Iterable[Entries], numbers: range) -> None:
        """Fine-tune every scheme on every episode that is not known yet."""
        schemes = list(dict.fromkeys(wanted))
        journals = {entries: self._journal(entries) for entries in schemes}
        missing = [(e, n) for e in schemes for n in numbers if n not in journals[e].known]
        total = len(schemes) * len(numbers)
        self.show(what, total - len(missing), total)
        waiting = {
            self.executor.submit(fine_tune, self.plan.setting, self.job(e), e, number): (e, number)
            for e, number in missing
        }
        for done, future in enumerate(as_completed(waiting), total - len(missing) + 1):
            entries, number = waiting[future]
            journals[entries].add([number], [future.result()])
            self.show(what, done, total)
        for entries, journal in journals.items():
            self.found.setdefault(entries, {}).update({n: journal.known[n] for n in numbers})

    def _journal(self, entries: Entries) -> bench.Journal:
        job = self.job(entries)
        named = Job(job.method, job.arithmetic, job.seed, {**job.options, "entries": [asdict(e) for e in entries]})
        return bench.Journal(self.plan.setting, self.model, named)

    def mean(self, entries: Entries, numbers: range) -> float:
        return float(np.mean([self.found[entries][n] for n in numbers]))


@contextmanager
def executor(jobs: int, dask: str | None) -> Iterator[Executor]:
    """So many processes here, or the workers of a Dask scheduler at an address, which see the same files."""
    if dask is None:
        with ProcessPoolExecutor(jobs) as pool:
            yield pool
        return
    try:
        from distributed import Client
    except ImportError:
        raise TinylearnError("--dask needs Dask: pip install 'tinylearn[cluster]'", USAGE) from None
    try:
        client = Client(dask, timeout=PATIENCE)
    except (OSError, ValueError) as error:
        raise TinylearnError(f"no Dask scheduler answers at {dask}: {error}", USAGE) from None
    with client, client.get_executor() as workers:
        yield workers


# ---- Contributions ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Contributions:
    """Points of accuracy. ops: last first. bias[k]: of the last k biases over a head alone, bias[0] = 0.

    weight[op, share]: of that part of its weights over the biases from there on
    """

    base: float
    ops: tuple[int, ...]
    bias: tuple[float, ...]
    weight: dict[tuple[int, int], float]

    def promise(self, k: int, shares: dict[int, int]) -> float:
        """Points that a scheme should gain."""
        return self.bias[k] + sum(self.weight[op, share] for op, share in shares.items() if share)


def analyse(trials: Trials) -> Contributions:
    plan, model = trials.plan, trials.model
    ops, numbers = layers(model, plan.layers), range(plan.episodes)
    rows = {k: biases(model, ops[:k]) for k in range(len(ops) + 1)}
    weights = {
        (op, share): with_weights(model, rows[k + 1], op, share)
        for k, op in enumerate(ops)
        for share in plan.ratios
        if _divides(model, op, share)
    }
    trials.run("contributions", [*rows.values(), *weights.values()], numbers)
    base = trials.mean((), numbers)
    gains = [trials.mean(rows[k], numbers) - base for k in rows]
    over = {
        (op, share): trials.mean(entries, numbers) - trials.mean(rows[ops.index(op) + 1], numbers)
        for (op, share), entries in weights.items()
    }
    return Contributions(base, tuple(ops), tuple(gains), over)


def _divides(model: tlm.Model, op: int, share: int) -> bool:
    _, inputs, outputs = autodiff.weight_shape(model, model.ops[op])
    return (outputs if model.ops[op].name == ir.DEPTHWISE_CONV2D else inputs) >= share


# ---- The search ------------------------------------------------------------------------------------------------------


def least_bytes(board, entries: Entries, samples: int, ways: int) -> int:
    """The least RAM in which the board's own planner trains all of this without plain kernels: in little scratch, the
    samples on the flash, no copy of the best weights. board: arithmetic.in_place(model)"""
    tail, tuning, support = (arithmetic.firmware(name) for name in ("tail", "tuning", "support"))
    choice = {e.op: tail.Trained(e.flags, e.axis, e.first, e.count, None) for e in entries}
    planned = tail.Tail(board, choice, partition.WIDTH)
    planned.lay(tail.NARROW)
    settings = tuning.Settings(board, {"method": "scheme"})
    return tuning.Fit(board, planned, samples, ways, support.FLASH, settings, keep_best=False).bytes


@dataclass(frozen=True)
class Candidate:
    entries: Entries
    bytes: int
    promise: float


def front(plan: Plan, model: tlm.Model, known: Contributions, show: bench.Show) -> list[Candidate]:
    """Schemes of which no other found one is worth more and takes fewer bytes, the smallest first."""
    try:
        import optuna
    except ImportError:
        raise TinylearnError("the search needs optuna: pip install 'tinylearn[search]'", USAGE) from None
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    setting, ops, board = plan.setting, list(known.ops), arithmetic.in_place(model)
    choices = {op: [0, *(share for share in plan.ratios if (op, share) in known.weight)] for op in ops}
    seen: dict[Entries, Candidate] = {}

    def objective(trial) -> tuple[float, float]:
        k = trial.suggest_int("biases", 1, len(ops))
        shares = {op: trial.suggest_categorical(f"share of {op}", choices[op]) for op in ops}
        shares = {op: share for op, share in shares.items() if op in ops[:k]}
        entries = scheme_of(model, ops, k, shares)
        if entries not in seen:
            size = least_bytes(board, entries, setting.way * setting.shot, setting.way)
            seen[entries] = Candidate(entries, size, known.promise(k, shares))
        return seen[entries].promise, seen[entries].bytes

    sampler = optuna.samplers.NSGAIISampler(population_size=POPULATION, seed=plan.seed)
    study = optuna.create_study(directions=["maximize", "minimize"], sampler=sampler)
    for share in (0, *plan.ratios):  # a start: biases alone, and everything at one share
        for k in range(1, len(ops) + 1):
            shares = {f"share of {op}": share if share in choices[op] else 0 for op in ops}
            study.enqueue_trial({"biases": k, **shares})
    study.optimize(
        objective, plan.trials, callbacks=[lambda _, trial: show("searching", trial.number + 1, plan.trials)]
    )
    return _front(seen.values())


def _front(candidates: Iterable[Candidate]) -> list[Candidate]:
    found: list[Candidate] = []
    for candidate in sorted(candidates, key=lambda c: (c.bytes, -c.promise, repr(c.entries))):
        if not found or candidate.promise > found[-1].promise:
            found.append(candidate)
    return found


@dataclass(frozen=True)
class Row:
    """A budget's schemes on episodes that the analysis has not seen: percent. kept: what the model gets, or None."""

    name: str
    budget: int
    base: float
    found: Candidate | None
    accuracy: float | None
    usual: Entries
    usual_accuracy: float | None
    kept: Scheme | None

    def as_json(self) -> dict:
        return {
            "budget": self.budget,
            "head_alone": self.base,
            "bytes": self.found.bytes if self.found else None,
            "promise": self.found and round(self.found.promise, 3),
            "found": self.accuracy,
            "rule_of_thumb": self.usual_accuracy,
            "kept": self.kept and {"name": self.kept.name, "entries": [asdict(entry) for entry in self.kept.entries]},
        }


def choose(trials: Trials, candidates: list[Candidate]) -> list[Row]:
    """The best for each budget: found, or by the rule of thumb."""
    plan, model = trials.plan, trials.model
    way, samples = plan.setting.way, plan.setting.way * plan.setting.shot
    best = {
        b: max((c for c in candidates if c.bytes <= b), key=lambda c: c.promise, default=None) for b in plan.budgets
    }
    board = arithmetic.in_place(model)

    def taken(entries: Entries) -> int:
        return least_bytes(board, entries, samples, way)

    usual = {b: partition.choose(model, b, taken) for b in plan.budgets}
    numbers = range(plan.episodes, 2 * plan.episodes)
    trials.run("comparing", [(), *(c.entries for c in best.values() if c), *(u for u in usual.values() if u)], numbers)
    return [_row(trials, budget, best[budget], usual[budget], numbers) for budget in plan.budgets]


def _row(trials: Trials, budget: int, best: Candidate | None, usual: Entries, numbers: range) -> Row:
    accuracy = trials.mean(best.entries, numbers) if best else None
    usually = trials.mean(usual, numbers) if usual else None
    name, entries = f"{budget / 1024:.0f}K", best.entries if best else usual
    if usually is not None and (accuracy is None or usually > accuracy):
        entries = usual
    kept = partition.scheme(trials.model, name, entries) if entries else None
    return Row(name, budget, trials.mean((), numbers), best, accuracy, usual, usually, kept)


@dataclass(frozen=True)
class Result:
    contributions: Contributions
    candidates: list[Candidate]
    rows: list[Row]

    def schemes(self) -> list[Scheme]:
        """What the model gets, the largest first."""
        kept = {row.name: row.kept for row in self.rows if row.kept}
        return sorted(kept.values(), key=lambda scheme: -scheme.ram_bytes)

    def as_json(self) -> dict:
        known = self.contributions
        return {
            "base": known.base,
            "operators": list(known.ops),
            "bias": [round(gain, 3) for gain in known.bias],
            "weights": [
                {"operator": op, "share": f"1/{share}", "gain": round(gain, 3)}
                for (op, share), gain in known.weight.items()
            ],
            "front": [{"bytes": c.bytes, "promise": round(c.promise, 3)} for c in self.candidates],
            "budgets": [row.as_json() for row in self.rows],
        }


def search(plan: Plan, model: tlm.Model, workers: Executor, show: bench.Show) -> Result:
    """All of it; the same for one worker and for many. Raises exit code 2 where an option makes no sense."""
    trials = Trials(plan, model, workers, show)
    arithmetic.check(model, Job("scheme", "int8", plan.seed, dict(plan.options)))
    known = analyse(trials)
    candidates = front(plan, trials.model, known, show)
    return Result(known, candidates, choose(trials, candidates))
