"""Few-shot accuracy of a speech backbone on one speaker's words: the nearest prototype by the cosine.

    python models/speech/evaluate.py --data ../shared/data/spoken_digits.npz --model MODEL.tlm --speaker george

The speaker, and the words of --new, should be ones that MODEL was trained without (recipe.py, --hold-out-speaker and
--hold-out-word). --model takes a .tlm (in the simulator, the board's very bits) or the float .onnx.
"""

from __future__ import annotations

import sys
from pathlib import Path

import click
import numpy as np

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[1]), str(HERE.parents[1] / "host")]

from tinylearn_host.pretraining.fewshot import accuracies, features_of, interval  # noqa: E402

from models.speech import words  # noqa: E402

QUERIES = 20


def table(features: np.ndarray, spoken: np.ndarray, new=(), **options) -> list[tuple[str, np.ndarray]]:
    """(task, accuracy of each episode) for one speaker. features [N, n], spoken: the word of each [N]."""
    rows = []
    for shot in (1, 5):
        results = accuracies(features, spoken, way=len(np.unique(spoken)), shot=shot, queries=QUERIES, **options)
        rows.append((f"{len(np.unique(spoken))} words, {shot} of each", results))
    some = np.isin(spoken, new)
    if some.any():
        for shot in (1, 5):
            results = accuracies(features[some], spoken[some], way=len(new), shot=shot, queries=QUERIES, **options)
            rows.append((f"the {len(new)} new words alone, {shot} of each", results))
    return rows


@click.command()
@click.option("--data", required=True, type=click.Path(exists=True), help="spoken_digits.npz, or the folder of WAVs.")
@click.option(
    "--model", "models", multiple=True, required=True, type=click.Path(exists=True), help=".tlm or .onnx; repeatable."
)
@click.option("--speaker", required=True, help="Whose words: one that the model has not heard.")
@click.option("--new", multiple=True, type=click.Choice(words.NAMES), help="A word that the model has not heard.")
@click.option("--episodes", default=300, show_default=True)
@click.option("--seed", default=1, show_default=True)
def main(data: str, models: tuple[str, ...], speaker: str, new: tuple[str, ...], episodes: int, seed: int) -> None:
    """Few-shot accuracy: mean over episodes and its 95 % confidence interval."""
    recordings = words.load(data)
    theirs = recordings.only(recordings.speaker == speaker)
    if not len(theirs.pcm):
        raise click.BadParameter(f"there is no speaker {speaker}; there are {', '.join(np.unique(recordings.speaker))}")
    pictures, new_words = words.pictures(theirs), [words.NAMES.index(name) for name in new]
    for model in models:
        click.echo(Path(model).name)
        for task, results in table(features_of(model)(pictures), theirs.word, new_words, episodes=episodes, seed=seed):
            click.echo(f"  {task:32} {results.mean():5.1f} +- {interval(results):.1f}")


if __name__ == "__main__":
    main()
