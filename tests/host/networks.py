"""Networks that people bring, in PyTorch, with batch statistics as after training: each gives (module, one sample).

MobileNetV2 (Sandler et al. 2018, arXiv 1801.04381), ResNet-8 and DS-CNN (MLPerf Tiny's, arXiv 2106.07597), inverted
residuals of several kernels as in MCUNet (Lin et al. 2020, arXiv 2007.10319), and a 1-D CNN over sensor windows.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


def layer(inputs: int, outputs: int, kernel=3, stride=1, groups=1, act=nn.ReLU, conv=nn.Conv2d) -> nn.Sequential:
    """Convolution, batch normalisation, activation."""
    pad = tuple(k // 2 for k in kernel) if isinstance(kernel, tuple) else kernel // 2
    norm = nn.BatchNorm1d if conv is nn.Conv1d else nn.BatchNorm2d
    parts = [conv(inputs, outputs, kernel, stride, pad, groups=groups, bias=False), norm(outputs)]
    return nn.Sequential(*parts, *([act()] if act else []))


class InvertedResidual(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int, expand: int, kernel: int = 3):
        super().__init__()
        inner = inputs * expand
        widen = [layer(inputs, inner, 1, act=nn.ReLU6)] if expand > 1 else []
        depth = layer(inner, inner, kernel, stride, groups=inner, act=nn.ReLU6)
        self.body = nn.Sequential(*widen, depth, layer(inner, outputs, 1, act=None))
        self.skip = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x) if self.skip else self.body(x)


class Residual(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int):
        super().__init__()
        self.body = nn.Sequential(layer(inputs, outputs, 3, stride), layer(outputs, outputs, act=None))
        plain = stride == 1 and inputs == outputs
        self.short = nn.Identity() if plain else nn.Conv2d(inputs, outputs, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.body(x) + self.short(x))


def mobilenet_v2(classes: int = 10, width: float = 0.35, side: int = 96, last: int = 1280) -> tuple[nn.Module, Tensor]:
    def wide(channels: int) -> int:
        rounded = max(8, int(channels * width + 4) // 8 * 8)
        return rounded + 8 if rounded < 0.9 * channels * width else rounded

    at = wide(32)
    parts = [layer(3, at, 3, 2, act=nn.ReLU6)]
    rows = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
    for expand, channels, count, stride in rows:
        for index in range(count):
            parts.append(InvertedResidual(at, wide(channels), 1 if index else stride, expand))
            at = wide(channels)
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.2), nn.Linear(last, classes)]
    return nn.Sequential(*parts, layer(at, last, 1, act=nn.ReLU6), *head), torch.zeros(1, 3, side, side)


def resnet8(classes: int = 10, side: int = 32, inputs: int = 3) -> tuple[nn.Module, Tensor]:
    parts = [layer(inputs, 16), Residual(16, 16, 1), Residual(16, 32, 2), Residual(32, 64, 2)]
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, classes)]
    return nn.Sequential(*parts, *head), torch.zeros(1, inputs, side, side)


def ds_cnn(classes: int = 12, shape=(49, 10), width: int = 64) -> tuple[nn.Module, Tensor]:
    parts = [layer(1, width, (10, 4), 2), nn.Dropout(0.2)]
    for _ in range(4):
        parts += [layer(width, width, 3, groups=width), layer(width, width, 1)]
    with torch.no_grad():
        pixels = nn.Sequential(*parts).eval()(torch.zeros(1, 1, *shape)).shape[2:]
    head = [nn.Dropout(0.4), nn.AvgPool2d(tuple(pixels)), nn.Flatten(), nn.Linear(width, classes)]
    return nn.Sequential(*parts, *head), torch.zeros(1, 1, *shape)


def mcunet(classes: int = 10, side: int = 48, inputs: int = 3) -> tuple[nn.Module, Tensor]:
    parts = [layer(inputs, 16, 3, 2, act=nn.ReLU6), InvertedResidual(16, 8, 1, 1)]
    at = 8
    for outputs, stride, expand, kernel in ((16, 2, 3, 7), (16, 1, 5, 3), (24, 2, 4, 5), (24, 1, 6, 7), (40, 2, 6, 3)):
        parts.append(InvertedResidual(at, outputs, stride, expand, kernel))
        at = outputs
    return nn.Sequential(*parts, _Mean(), nn.Linear(at, classes)), torch.zeros(1, inputs, side, side)


class _Mean(nn.Module):
    """As people write it: a mean over two axes, and a view by the batch's own size."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean((2, 3), keepdim=True).view(x.size(0), -1)


def cnn_1d(classes: int = 6, channels: int = 8, length: int = 64) -> tuple[nn.Module, Tensor]:
    parts = [
        layer(channels, 16, 5, conv=nn.Conv1d),
        nn.MaxPool1d(2),
        layer(16, 32, 3, conv=nn.Conv1d),
        nn.AvgPool1d(2),
        layer(32, 32, 3, groups=32, conv=nn.Conv1d),
        nn.Flatten(),
        nn.Linear(32 * (length // 4), 24),
        nn.ReLU(),
    ]
    return nn.Sequential(*parts, nn.Linear(24, classes)), torch.zeros(1, channels, length)


NETWORKS = {"mobilenet_v2": mobilenet_v2, "resnet8": resnet8, "ds_cnn": ds_cnn, "mcunet": mcunet, "cnn_1d": cnn_1d}


def settled(net: nn.Module, samples: Tensor, seed: int = 0) -> nn.Module:
    """`net` in evaluation mode, its batch normalisation fed with the samples and random factors, all from the seed."""
    torch.manual_seed(seed)
    for part in net.modules():
        if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d):
            nn.init.uniform_(part.weight, 0.5, 1.5)
            nn.init.normal_(part.bias, 0, 0.3)
            part.momentum = None
    net.train()
    with torch.no_grad():
        net(samples)
    return net.eval()
