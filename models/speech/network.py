"""The network: that of glyph with an input of 32 x 32, time downwards, pitch to the right."""

from tinylearn_host.pretraining.network import separable
from torch import nn

STEM = (24, 2)
BLOCKS = ((48, 1), (64, 2), (96, 1), (128, 2), (128, 1))  # channels, stride: 16 x 16, then 8 x 8, then 4 x 4 pixels
FEATURES = BLOCKS[-1][0]


def network() -> nn.Sequential:
    """[N, 1, 32, 32] brightness 0 .. 1 -> [N, FEATURES]."""
    return separable(1, STEM, BLOCKS)
