"""Make emg.tlm again: train on armband gestures, export to ONNX, quantise, convert. One command:

    python models/emg/recipe.py --data ../shared/data/emg_gestures.npz

Needs the extra [train]. Minutes on one core; the seed is fixed. Prototypical networks, an episode being the gestures of
one wearer: the support from one block of five seconds, the queries from others of the same session.
"""

from __future__ import annotations

import sys
from pathlib import Path

import click
import numpy as np
import torch
from torch import Tensor, nn

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[1]), str(HERE.parents[1] / "host")]

from tinylearn_host.pretraining.export import convert, export  # noqa: E402
from tinylearn_host.pretraining.fewshot import features_of, interval  # noqa: E402
from tinylearn_host.pretraining.losses import episode_loss, minimise  # noqa: E402

from models.emg import evaluate, gestures  # noqa: E402
from models.emg.gestures import ELECTRODES, FRAMES, Wearers  # noqa: E402
from models.emg.network import network  # noqa: E402

SHOT, QUERIES, EPISODES = 4, 8, 2  # windows of each gesture; episodes a step
RATE = 0.01

# What boards do while they train: what `redraw` does, in steps of the input, and the window a frame earlier or later.
ADVICE = {
    "augment": {"time_shift": 1, "border": "edge", "offset": 10, "channel_offset": 10, "noise": 4},
    "train": {"steps": 15},
}


def redraw(pictures: Tensor) -> Tensor:
    """One episode's pictures 0 .. 1 [N, electrodes, 1, frames] as of somebody else: the armband turned or the other way
    round, stronger or weaker as a whole and at each electrode (gains add, for brightness is a logarithm); and noise."""
    pictures = pictures.roll(int(torch.randint(ELECTRODES, ())), 1)
    pictures = pictures.flip(1) if torch.rand(()) < 0.5 else pictures
    gains = 0.024 * (torch.randn(1, 1, 1, 1) + torch.randn(1, ELECTRODES, 1, 1))
    return (pictures + gains + 0.016 * torch.randn_like(pictures)).clamp(0, 1)


def episode(source: Wearers) -> tuple[Tensor, int]:
    """Redrawn pictures [way * (SHOT + QUERIES), electrodes, 1, frames], gesture after gesture; how many gestures."""
    drawn = source.episode(SHOT, QUERIES)
    pictures = torch.from_numpy(drawn.reshape(-1, 1, FRAMES, ELECTRODES)).permute(0, 3, 1, 2) / 255
    return redraw(pictures), len(drawn)


def train(source: Wearers, steps: int) -> nn.Sequential:
    net = network()

    def loss() -> Tensor:
        batches = [episode(source) for _ in range(EPISODES)]
        parts = net(torch.cat([pictures for pictures, _ in batches])).split([len(p) for p, _ in batches])
        losses = [episode_loss(features, way, SHOT) for features, (_, way) in zip(parts, batches, strict=True)]
        return torch.stack(losses).mean()

    minimise(loss, [net], steps, rate=RATE)
    return net


def calibration(source: Wearers, batches: int = 8) -> np.ndarray:
    """Pictures wider than those of the training, float32 [N, 1, 12, 8]: also none at all and as strong as can be."""
    seen = torch.cat([episode(source)[0] for _ in range(batches)])
    level = torch.linspace(0, 1, 9).view(-1, 1, 1, 1).expand(-1, *seen.shape[1:])
    return torch.cat([seen, level]).permute(0, 2, 3, 1).numpy()


@click.command()
@click.option("--data", required=True, type=click.Path(exists=True), help="emg_gestures.npz")
@click.option("--hold-out-wearer", "strangers", multiple=True, help="Train without a wearer, by name; repeatable.")
@click.option("--hold-out-half", is_flag=True, help="Train without every second wearer, in the order of their names.")
@click.option(
    "--steps", default=800, show_default=True, help="Of training, two episodes each; 0: only convert the float .onnx."
)
@click.option("--seed", default=1, show_default=True)
@click.option("--threads", default=1, show_default=True, help="Processor cores to use.")
@click.option(
    "--output", default=HERE / "emg.tlm", type=click.Path(dir_okay=False, path_type=Path), show_default="emg.tlm"
)
def main(data: str, strangers, hold_out_half: bool, steps: int, seed: int, threads: int, output: Path) -> None:
    """Train, quantise, convert: OUTPUT and the float .onnx beside it. Prints the int8 accuracy on the wearers held out,
    five windows of each gesture, same session; or, where none is, on those it was trained with."""
    torch.manual_seed(seed)
    torch.set_num_threads(threads)
    blocks = gestures.load(data)
    wearers = sorted({block.wearer for block in blocks})
    unknown = [name for name in strangers if name not in wearers]
    if unknown:
        raise click.BadParameter(f"there is no wearer {unknown[0]}; there are {', '.join(wearers)}")
    unseen = set(strangers) | set(wearers[::2] if hold_out_half else ())
    source = Wearers([block for block in blocks if block.wearer not in unseen], seed)
    onnx = output.with_suffix(".onnx")
    if steps:
        output.parent.mkdir(parents=True, exist_ok=True)
        export(train(source, steps), (ELECTRODES, 1, FRAMES), onnx)
    torch.manual_seed(seed)
    source = Wearers([block for block in blocks if block.wearer not in unseen], seed)
    convert(onnx, calibration(source), output, domain="signal", section=gestures.FRONT.pack(), advice=ADVICE)
    asked = [block for block in blocks if block.wearer in (unseen or wearers)]
    for model in (onnx, output):
        rows = evaluate.table(asked, features_of(model))
        for task, results in rows:
            click.echo(f"{model.name:12} {task:40} {results.mean():5.1f} +- {interval(results):.1f}", err=True)
    click.echo(f"{dict(rows)['5 windows of each, the same session'].mean():.1f}")


if __name__ == "__main__":
    main()
