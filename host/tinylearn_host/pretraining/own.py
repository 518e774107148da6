"""A backbone of a user's own examples: trained, exported, quantised, and measured on what it has not seen.

With many classes it is trained on episodes and measured on classes held out; with few it is trained to tell them apart,
keeps that as its own classifier, and is measured on files held out. The zoo's recipes are the same (models/).
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tinylearn_host import front, quantizing, simulator, tlm
from tinylearn_host.pretraining import fewshot, network, sounds
from tinylearn_host.pretraining.examples import FEWEST, Examples
from tinylearn_host.pretraining.export import export
from tinylearn_host.pretraining.losses import Watch, episode_loss, minimise
from tinylearn_host.pretraining.views import VIEWS

MANY = 20  # classes from which on episodes are drawn
EVERY, QUARTER = 5, 4  # of many classes, of a class's files: one in so many is held out
WAY, EACH = 32, 4  # an episode
BATCH = 64
RATE = 0.01
BLOCKS = ((48, 1), (64, 2), (96, 1), (128, 2), (128, 1))  # of pictures: channels, stride
SERIES = ((64, 1), (96, (1, 2)), (128, 1), (128, 1))  # of signals
SHOTS = 5


@dataclass
class Split:
    """Which examples the network learns from, and which it is measured on. episodes: by classes held out."""

    learned: np.ndarray
    held_out: np.ndarray
    episodes: bool


@dataclass
class Result:
    """way, shot, accuracy: few-shot accuracy of the int8 model in percent, on `held_out` examples that it has not seen,
    nearest prototype by the cosine. classifier: of its own classifier on them; None where it has none."""

    model: tlm.Model
    way: int
    shot: int
    accuracy: float
    held_out: int
    classifier: float | None
    notes: list[str] = field(default_factory=list)


def split(examples: Examples) -> Split:
    """Whole classes where there are many; else whole files of each class; of a class that is one recording, its end.

    Windows that overlap such an end belong to neither.
    """
    y, known = examples.y, len(examples.classes)
    if known >= MANY:
        held_out = y % EVERY == EVERY - 1
        return Split(~held_out, held_out, True)
    held_out, between = np.zeros(len(y), bool), np.zeros(len(y), bool)
    for label in range(known):
        mine = np.flatnonzero(y == label)
        sources = np.unique(examples.source[mine])
        if len(sources) > 1:
            count = max(len(sources) // QUARTER, 2 if len(sources) >= FEWEST else 1)
            chosen = np.linspace(0, len(sources) - 1, count).astype(int)
            held_out[mine] = np.isin(examples.source[mine], sources[chosen])
        else:
            first = len(mine) - max(2, len(mine) // QUARTER)
            held_out[mine[first:]] = True
            between[mine[max(1, first - examples.overlap) : first]] = True
    return Split(~held_out & ~between, held_out, False)


def make(examples: Examples, path: Path, *, steps: int, seed: int, watch=lambda what, done, total: None) -> Result:
    """Train, quantise, measure; only then path (.tlm) is written. watch(what, done, total) follows it."""
    torch.manual_seed(seed)
    parts = split(examples)
    scale = 255.0 if examples.x.dtype == np.uint8 else float(np.abs(examples.x[parts.learned]).max())
    pictures, classes = _drawn(examples, parts, seed, lambda done, total: watch("listening", done, total))
    net = _network(examples)
    _train(net, pictures / np.float32(scale), classes, examples, parts, steps, lambda d, t: watch("training", d, t))
    with tempfile.TemporaryDirectory() as folder:
        onnx = Path(folder) / f"{path.stem}.onnx"
        _in_own_units(net, scale if examples.domain == "signal" else 1.0)
        export(net, (examples.x.shape[3], *examples.x.shape[1:3]), onnx)
        labels = None if parts.episodes else examples.classes
        samples = _calibration(examples, pictures)
        quantised = quantizing.quantize(onnx, samples, labels=labels, method="min-max", quick=True, watch=watch)
    quantised.graph.meta["domain"] = examples.domain
    model = quantised.model()
    if examples.front:
        model = tlm.read(tlm.rewrite(model, {front.TAG: (examples.front.pack(), 0)}))
    result = _measured(model, examples, parts, [*examples.notes, *quantised.notes])
    tlm.save(model, path)
    return result


def _network(examples: Examples) -> nn.Sequential:
    _, height, width, channels = examples.x.shape
    if examples.domain == "signal":
        return network.separable(channels, (48, (1, 2 if width >= 32 else 1)), SERIES, kernel=(1, 5))
    first = (BLOCKS[0][0], 2 if min(height, width) > 48 else 1)
    return network.separable(channels, (24, 2), (first, *BLOCKS[1:]))


def _drawn(examples: Examples, parts: Split, seed: int, watch: Watch) -> tuple[np.ndarray, np.ndarray]:
    """What is learned from: pictures or signals [N, h, w, channels] and their classes. Words come in variants, and
    backwards ones are classes of their own."""
    y = examples.y[parts.learned]
    if not examples.pcm:
        return examples.x[parts.learned], y
    pcm = [sound for sound, learned in zip(examples.pcm, parts.learned, strict=True) if learned]
    drawn = sounds.variants(pcm, examples.front, seed, watch)
    pictures = np.concatenate([variants.reshape(-1, *variants.shape[2:]) for variants in drawn])[..., None]
    classes = np.repeat(np.concatenate([y, y + len(examples.classes)]), sounds.VARIANTS)
    return pictures, classes


def _train(net, pictures: np.ndarray, classes: np.ndarray, examples: Examples, parts: Split, steps: int, watch) -> None:
    """Ends with the classifier in the network where the classes are few."""
    x, y, view = torch.from_numpy(pictures).permute(0, 3, 1, 2), torch.from_numpy(classes), VIEWS[examples.domain]
    if parts.episodes:
        members = [torch.from_numpy(np.flatnonzero(classes == label)) for label in np.unique(classes)]
        minimise(lambda: _episode(net, x, members, view), [net], steps, rate=RATE, watch=watch)
        return
    known = len(examples.classes)
    classifier = nn.Linear(network.features(net), int(y.max()) + 1)

    def loss() -> Tensor:
        rows = torch.randint(len(y), (BATCH,))
        return F.cross_entropy(classifier(net(view(x[rows]))), y[rows], label_smoothing=0.05)

    minimise(loss, [net, classifier], steps, rate=RATE, watch=watch)
    kept = nn.Linear(network.features(net), known)
    kept.load_state_dict({name: rows[:known] for name, rows in classifier.state_dict().items()})
    net.append(kept)


def _episode(net: nn.Module, x: Tensor, members: list[Tensor], view) -> Tensor:
    """The loss of one: some classes, a few examples of each, of which one or two are the support."""
    chosen = torch.randperm(len(members))[:WAY].tolist()
    rows = torch.cat([members[k][torch.randint(len(members[k]), (EACH,))] for k in chosen])
    return episode_loss(net(view(x[rows])), len(chosen), 1 + int(torch.randint(2, ())))


def _in_own_units(net: nn.Sequential, scale: float) -> None:
    """The network for inputs `scale` times as large: boards are given signals as they are."""
    with torch.no_grad():
        next(net.parameters()).div_(scale)


def _calibration(examples: Examples, pictures: np.ndarray, most: int = 192) -> np.ndarray:
    """Some of what was learned from, and wider: blank and full pictures, or signals half as large again."""
    some = pictures[np.random.default_rng(0).permutation(len(pictures))[:most]]
    if examples.domain == "signal":
        return np.concatenate([some, 1.5 * some[:16]])
    return np.concatenate([some, *(np.full_like(some[:1], level) for level in (0, 255)), 255 - some[:8]])


def _measured(model: tlm.Model, examples: Examples, parts: Split, notes: list[str]) -> Result:
    """In the simulator, so these are the board's bits."""
    y, x = examples.y[parts.held_out], examples.x[parts.held_out]
    run = simulator.Simulator(model.raw)
    inputs = model.tensors[model.input]
    if x.dtype == np.uint8:
        x = (x.astype(np.int16) - 128).astype(np.int8)
    else:
        x = np.clip(np.rint(x / inputs.scale) + inputs.zero_point, -128, 127).astype(np.int8)
    features = np.stack([run.features(sample) for sample in x]).astype(np.float32)
    features -= model.tensors[model.features].zero_point
    classes, counts = np.unique(y, return_counts=True)
    way, shot = min(len(classes), 10), int(min(SHOTS, counts.min() - 1)) or 1
    options = {"way": way, "shot": shot, "queries": 15, "episodes": 200}
    accuracy = fewshot.accuracies(features, y, **options).mean() if counts.min() > 1 else float("nan")
    classifier = None
    if not parts.episodes:
        classifier = float(
            100 * np.mean([run.run(sample).argmax() == label for sample, label in zip(x, y, strict=True)])
        )
    return Result(model, way, shot, float(accuracy), len(y), classifier, notes)
