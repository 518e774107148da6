"""Backbones: a 3 x 3 convolution, then depthwise-separable blocks, and a global mean (MobileNet, arXiv 1704.04861).

No ReLU at the end: features of both signs carry further from what the network learned on (models/glyph/network.py).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from torch import Tensor, nn

Size = int | tuple[int, int]
Block = tuple[int, Size]  # channels, stride


class Mean(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.mean((2, 3))


def separable(channels: int, stem: Block, blocks: Sequence[Block], kernel: tuple[int, int] = (3, 3)) -> nn.Sequential:
    """[N, channels, h, w] -> [N, channels of the last block]."""
    out, stride = stem
    layers = OrderedDict(stem=layer(channels, out, kernel=kernel, stride=stride))
    for index, (wide, stride) in enumerate(blocks, start=1):
        layers[f"depthwise{index}"] = layer(out, out, kernel=kernel, stride=stride, groups=out)
        layers[f"pointwise{index}"] = layer(out, wide, kernel=(1, 1), relu=index < len(blocks))
        out = wide
    layers["mean"] = Mean()
    return nn.Sequential(layers)


def layer(channels: int, out: int, *, kernel: tuple[int, int], stride: Size = 1, groups: int = 1, relu: bool = True):
    padding = (kernel[0] // 2, kernel[1] // 2)
    convolution = nn.Conv2d(channels, out, kernel, stride, padding, groups=groups, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(out), *([nn.ReLU()] if relu else []))


def features(net: nn.Sequential) -> int:
    """How many features a network gives."""
    return [module for module in net.modules() if isinstance(module, nn.Conv2d)][-1].out_channels
