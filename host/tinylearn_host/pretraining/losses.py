"""What a backbone is trained for, by the cosine at temperature 10, as heads on the board compare.

Episodes (prototypical networks, Snell et al. 2017, arXiv 1703.05175) where there are many classes or people; plain
classification (Chen et al. 2019, arXiv 1904.04232: a cosine classifier) where there are few.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import torch
import torch.nn.functional as F
from rich.progress import track
from torch import Tensor, nn

Watch = Callable[[int, int], None]
TAU = 10.0  # Hu et al. 2022, arXiv 2204.07305


def episode_loss(features: Tensor, way: int, shot: int) -> Tensor:
    """Cross-entropy of the queries against prototypes. features [way * each, n], class after class, support first."""
    by_class = features.view(way, -1, features.shape[1])
    prototypes = F.normalize(by_class[:, :shot].mean(1), dim=1)
    queries = F.normalize(by_class[:, shot:].flatten(0, 1), dim=1)
    truth = torch.arange(way).repeat_interleave(by_class.shape[1] - shot)
    return F.cross_entropy(TAU * queries @ prototypes.T, truth)


class CosineClassifier(nn.Module):
    """Logits of features [N, n]: the cosine to one learned direction per class."""

    def __init__(self, features: int, classes: int):
        super().__init__()
        self.rows = nn.Parameter(torch.randn(classes, features))

    def forward(self, x: Tensor) -> Tensor:
        return TAU * F.normalize(x, dim=1) @ F.normalize(self.rows, dim=1).T


def minimise(
    loss: Callable[[], Tensor],
    modules: list[nn.Module],
    steps: int,
    *,
    rate: float,
    decay: float = 0.02,
    watch: Watch | None = None,
) -> None:
    """AdamW on a loss that draws its own batch, one cycle of the rate; the modules end in evaluation mode.

    watch: called with (steps done, steps); None: a bar on a terminal
    """
    for module in modules:
        module.train().to(memory_format=torch.channels_last)
    parameters = [parameter for module in modules for parameter in module.parameters()]
    optimiser = torch.optim.AdamW(parameters, weight_decay=decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=steps, pct_start=0.1)
    bar = track(range(steps), "training", disable=watch is not None or not sys.stdout.isatty())
    for step in bar:
        value = loss()
        optimiser.zero_grad()
        value.backward()
        optimiser.step()
        schedule.step()
        if watch:
            watch(step + 1, steps)
    for module in modules:
        module.eval()
