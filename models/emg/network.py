"""The network: the eight electrodes of each frame to 96 numbers, without a ReLU, then corrections by residual blocks
over time, and the mean of the frames. So the features begin as what does well by itself here, a linear map of the mean
envelope, and training only adds to it: card.md has what that is worth on new wearers."""

from collections import OrderedDict

from tinylearn_host.pretraining.network import Mean, layer
from torch import Tensor, nn

FEATURES = 96
BLOCKS = 3


class Residual(nn.Module):
    def __init__(self, channels: int):
        super().__init__()
        self.correction = nn.Sequential(
            layer(channels, channels, kernel=(1, 3), groups=channels),
            layer(channels, channels, kernel=(1, 1), relu=False),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.correction(x)


def network() -> nn.Sequential:
    """[N, 8, 1, 12] brightness 0 .. 1 (electrodes, frames) -> [N, FEATURES]."""
    layers = OrderedDict(stem=layer(8, FEATURES, kernel=(1, 1), relu=False))
    layers.update((f"residual{index}", Residual(FEATURES)) for index in range(1, BLOCKS + 1))
    layers["mean"] = Mean()
    return nn.Sequential(layers)
