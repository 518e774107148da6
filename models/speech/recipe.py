"""Make speech.tlm again: train on spoken digits, export to ONNX, quantise, convert. One command:

    python models/speech/recipe.py --data ../shared/data/spoken_digits.npz

Needs the extra [train]. Minutes on one core; the seed is fixed. Words are classified, backwards ones too; of the
classifier, the file keeps the words. With four speakers that carries further than episodes do (card.md).
"""

from __future__ import annotations

import sys
from pathlib import Path

import click
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[1]), str(HERE.parents[1] / "host")]

from tinylearn_host.pretraining import sounds, views  # noqa: E402
from tinylearn_host.pretraining.export import convert, export  # noqa: E402
from tinylearn_host.pretraining.fewshot import features_of  # noqa: E402
from tinylearn_host.pretraining.losses import minimise  # noqa: E402

from models.speech import evaluate, words  # noqa: E402
from models.speech.network import FEATURES, network  # noqa: E402

BATCH, RATE, SMOOTHING = 64, 0.01, 0.05

# What boards do while they train: a little of what `views.spectrogram` does, in steps of the input.
ADVICE = {
    "augment": {"shift": [3, 1], "border": "edge", "offset": 12, "noise": 3, "mask": [4, 3]},
    "train": {"steps": 10},
}


class Training:
    """Pictures of words forwards and, as words of their own, backwards; and which word each is."""

    def __init__(self, recordings: words.Recordings, heard: np.ndarray, seed: int):
        """heard: a boolean mask of the recordings; all are drawn, so that those left out change nothing of the rest."""
        self.vocabulary = sorted(set(recordings.word[heard].tolist()))
        drawn = [variants[heard] for variants in sounds.variants(recordings.pcm, words.FRONT, seed)]
        index = torch.from_numpy(np.searchsorted(self.vocabulary, recordings.word[heard]))
        self.pictures = torch.from_numpy(np.concatenate(drawn))  # uint8 [2 N, VARIANTS, 32, 32]
        self.word = torch.cat([index, index + len(self.vocabulary)])

    def batch(self, size: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Redrawn pictures [size, 1, 32, 32] and their classes [size]."""
        rows, takes = torch.randint(len(self.word), (size,)), torch.randint(sounds.VARIANTS, (size,))
        return views.spectrogram(self.pictures[rows, takes][:, None] / 255), self.word[rows]


def train(source: Training, steps: int) -> nn.Sequential:
    """The network with a classifier of the words behind it, in evaluation mode."""
    net, known = network(), len(source.vocabulary)
    classifier = nn.Linear(FEATURES, 2 * known)

    def loss() -> torch.Tensor:
        pictures, word = source.batch(BATCH)
        return F.cross_entropy(classifier(net(pictures)), word, label_smoothing=SMOOTHING)

    minimise(loss, [net, classifier], steps, rate=RATE)
    forwards = nn.Linear(FEATURES, known)
    forwards.load_state_dict({name: rows[:known] for name, rows in classifier.state_dict().items()})
    net.append(forwards)
    return net.eval()


def calibration(source: Training, batches: int = 8) -> np.ndarray:
    """Pictures wider than those of the training, float32 [N, 32, 32, 1]: silence and noise, too."""
    seen = torch.cat([source.batch(BATCH)[0] for _ in range(batches)])
    pages = torch.stack([torch.zeros(1, words.SIDE, words.SIDE), torch.ones(1, words.SIDE, words.SIDE)])
    return torch.cat([seen, torch.rand_like(seen[:16]), pages]).permute(0, 2, 3, 1).numpy()


def make(source: Training, steps: int, seed: int, path: Path) -> None:
    """Train and write path (.tlm), and beside it the float .onnx. 0 steps: only convert the .onnx that is there."""
    torch.manual_seed(seed)
    onnx = path.with_suffix(".onnx")
    if steps:
        export(train(source, steps), (1, words.SIDE, words.SIDE), onnx)
    labels = [words.NAMES[word] for word in source.vocabulary]
    torch.manual_seed(seed)
    domain, section = "spectrogram", words.FRONT.pack()
    convert(onnx, calibration(source), path, domain=domain, labels=labels, section=section, advice=ADVICE)


@click.command()
@click.option("--data", required=True, type=click.Path(exists=True), help="spoken_digits.npz, or the folder of WAVs.")
@click.option("--hold-out-speaker", "speakers", multiple=True, help="Train without a speaker, by name; repeatable.")
@click.option(
    "--hold-out-word", "unheard", multiple=True, type=click.Choice(words.NAMES), help="Train without; repeatable."
)
@click.option("--steps", default=1500, show_default=True, help="Batches to train for; 0: only convert the float .onnx.")
@click.option("--seed", default=1, show_default=True)
@click.option("--threads", default=1, show_default=True, help="Processor cores to use.")
@click.option(
    "--output", default=HERE / "speech.tlm", type=click.Path(dir_okay=False, path_type=Path), show_default="speech.tlm"
)
def main(data, speakers, unheard, steps: int, seed: int, threads: int, output: Path) -> None:
    """Train, quantise, convert: OUTPUT and the float .onnx beside it. Prints the int8 accuracy, ten words five times
    each, on the speakers held out; or, where none is, on those it was trained with."""
    torch.set_num_threads(threads)
    recordings = words.load(data)
    strangers = [name for name in speakers if name not in recordings.speaker]
    if strangers:
        raise click.BadParameter(f"there is no speaker {strangers[0]}; there are {np.unique(recordings.speaker)}")
    known = ~np.isin(recordings.speaker, speakers)
    heard = known & ~np.isin(recordings.word, [words.NAMES.index(word) for word in unheard])
    output.parent.mkdir(parents=True, exist_ok=True)
    make(Training(recordings, heard, seed), steps, seed, output)
    figures = []
    for speaker in speakers or np.unique(recordings.speaker):
        theirs = recordings.only(recordings.speaker == speaker)
        features = features_of(output)(words.pictures(theirs))
        new = [words.NAMES.index(word) for word in unheard]
        for task, results in evaluate.table(features, theirs.word, new):
            click.echo(f"{speaker:10} {task:32} {results.mean():5.1f} +- {evaluate.interval(results):.1f}", err=True)
            figures += [results.mean()] * (task == "10 words, 5 of each")
    click.echo(f"{np.mean(figures):.1f}")


if __name__ == "__main__":
    main()
