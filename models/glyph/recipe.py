"""Make glyph.tlm again: train on Omniglot, export to ONNX, quantise, convert, measure. One command, one figure:

    python models/glyph/recipe.py --data ../shared/data/omniglot_background.npz

Needs the extra [train]. Seven minutes on one core; the seed is fixed. Prototypical networks (Snell et al. 2017,
arXiv 1703.05175) with the cosine at temperature 10 (Hu et al. 2022, arXiv 2204.07305): what the board computes.
"""

from __future__ import annotations

import sys
from pathlib import Path

import click
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1] / "host")]

import drawings  # noqa: E402
import evaluate  # noqa: E402
from network import FEATURES, SIDE, network  # noqa: E402
from tinylearn_host import digits  # noqa: E402
from tinylearn_host.pretraining.export import convert, export  # noqa: E402
from tinylearn_host.pretraining.losses import CosineClassifier, episode_loss, minimise  # noqa: E402

WAY, EACH = 64, 4  # an episode: classes and drawings of each, of which one or two are the support
RATE = 0.02
UNSEEN = ("Korean", "Tifinagh", "Bengali", "Greek", "Latin", "Futurama")  # held out by --hold-out


def train(source: drawings.Drawings, steps: int) -> nn.Module:
    """A network after `steps` episodes, in evaluation mode."""
    net, way = network(), min(WAY, len(source.images))

    def loss() -> Tensor:
        images = drawings.redraw(*source.episode(way, EACH))
        return episode_loss(net(images), way, shot=1 + int(torch.randint(2, ())))

    minimise(loss, [net], steps, rate=RATE)
    return net


def train_on_classes(source: drawings.Drawings, steps: int) -> nn.Module:
    """The same by telling all classes apart, a cosine classifier behind it: what meta-training is compared with."""
    net, classifier = network(), CosineClassifier(FEATURES, len(source.images))
    way = min(WAY, len(source.images))

    def loss() -> Tensor:
        classes = torch.randperm(len(source.images))[:way]
        images = drawings.redraw(*source.of(classes, EACH))
        return cross_entropy(classifier(net(images)), classes.repeat_interleave(EACH))

    minimise(loss, [net, classifier], steps, rate=RATE)
    return net


OBJECTIVES = {"episodes": train, "classes": train_on_classes}


def calibration(source: drawings.Drawings, batches: int = 24, each: int = 16) -> np.ndarray:
    """Images wider than the training set's own, float32 [N, 28, 28, 1]: every style, blank, full, negative."""
    seen = torch.cat([drawings.redraw(*source.episode(each, 1)) for _ in range(batches)])
    pages = torch.stack([torch.zeros(1, SIDE, SIDE), torch.ones(1, SIDE, SIDE), 1 - seen[0], 1 - seen[-1]])
    return torch.cat([seen, pages]).permute(0, 2, 3, 1).numpy()


@click.command()
@click.option("--data", required=True, type=click.Path(exists=True), help="omniglot_background.npz, or Omniglot's zip.")
@click.option("--steps", default=6000, show_default=True, help="Episodes to train for.")
@click.option("--objective", type=click.Choice(list(OBJECTIVES)), default="episodes", show_default=True)
@click.option("--seed", default=1, show_default=True)
@click.option("--threads", default=1, show_default=True, help="Processor cores to use.")
@click.option("--hold-out", is_flag=True, help="Keep six alphabets out of the training, and measure on them.")
@click.option("--output", default=HERE, type=click.Path(file_okay=False, path_type=Path), show_default="here")
def main(data: str, steps: int, objective: str, seed: int, threads: int, hold_out: bool, output: Path) -> None:
    """Train, quantise, convert: glyph.onnx and glyph.tlm. Prints the int8 accuracy on digits, 10-way 5-shot."""
    torch.manual_seed(seed)
    torch.set_num_threads(threads)
    images, alphabets = drawings.load(data)
    unseen = np.isin(alphabets, UNSEEN) & hold_out
    source = drawings.Drawings(images[~unseen])
    net = OBJECTIVES[objective](source, steps)
    output.mkdir(parents=True, exist_ok=True)
    onnx, path = output / "glyph.onnx", output / "glyph.tlm"
    export(net, (1, SIDE, SIDE), onnx)
    torch.manual_seed(seed)
    convert(onnx, calibration(source), path, domain="image")
    for model in (onnx, path):
        for task, results in evaluate.table(evaluate.features_of(model), images[unseen] if hold_out else None):
            click.echo(f"{model.name:12} {task:32} {results.mean():5.1f} +- {evaluate.interval(results):.1f}", err=True)
    pixels, labels = digits.load()
    figure = evaluate.accuracies(evaluate.features_of(path)(pixels), labels, way=10, shot=5, queries=20).mean()
    click.echo(f"{figure:.1f}")


if __name__ == "__main__":
    main()
