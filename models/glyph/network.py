"""The network: a 3 x 3 convolution of stride 2, then depthwise-separable blocks, and a global mean. No ReLU at the end:
features of both signs carry further from the drawings it learned on. Measured after 1,500 episodes with one seed:
digits +1.4 points, speech spectrograms +4.4, but unseen characters 20-way 1-shot -1.4."""

from collections import OrderedDict

from torch import Tensor, nn

SIDE = 28
STEM = 24
BLOCKS = ((48, 1), (64, 2), (96, 1), (128, 2), (128, 1))  # channels, stride: 14 x 14, then 7 x 7, then 4 x 4 pixels
FEATURES = BLOCKS[-1][0]


class Mean(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.mean((2, 3))


def network() -> nn.Sequential:
    """[N, 1, 28, 28] pixels 0..1, ink = 1 -> [N, FEATURES]."""
    layers = OrderedDict(stem=_layer(1, STEM, kernel=3, stride=2))
    channels = STEM
    for index, (out, stride) in enumerate(BLOCKS, start=1):
        layers[f"depthwise{index}"] = _layer(channels, channels, kernel=3, stride=stride, groups=channels)
        layers[f"pointwise{index}"] = _layer(channels, out, kernel=1, relu=index < len(BLOCKS))
        channels = out
    layers["mean"] = Mean()
    return nn.Sequential(layers)


def _layer(channels: int, out: int, *, kernel: int, stride: int = 1, groups: int = 1, relu: bool = True):
    convolution = nn.Conv2d(channels, out, kernel, stride, kernel // 2, groups=groups, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(out), *([nn.ReLU()] if relu else []))
