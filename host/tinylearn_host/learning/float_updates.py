"""Ways to step in float32 other than the board's: `tinylearn benchmark --method full:update=sign:rate=0.1:float32`.

sgd       plain SGD in real numbers, which the board's integers follow: each channel's step in integers is divided by
          the square of its scale (QAS of MCUNetV3, arXiv 2206.15472, equation 4)
integers  SGD in integers' own units, without that: steps are as much smaller as squares of scales are, of which the
          weights' mean is 1 here, so that rates can be compared
momentum  SGD with momentum 0.9, at a tenth of the rate: as far in the end
sign      each weight by one and the same part of its scale (rate: 1 is a whole integer), as its gradient's sign says
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from tinylearn_host import tlm
from tinylearn_host.learning.float_net import weight_scales

MOMENTUM = 0.9


class Update:
    """What is taken from trained tensors for their gradients. of: (operator, whether these are its weights) of each."""

    def __init__(self, kind: str, model: tlm.Model, of: list[tuple[int, bool]], device: torch.device):
        self.kind, self.velocity = kind, {}
        scales = [_scales(model, index, weights) for index, weights in of]
        whole = np.concatenate([s for s, (_, weights) in zip(scales, of, strict=True) if weights] or scales)
        power = {"integers": 2, "sign": 1}.get(kind, 0)
        one = (whole**2).mean() if kind == "integers" else 1.0
        self.factors = [torch.tensor(s**power / one, dtype=torch.float32, device=device) for s in scales]

    def __call__(self, i: int, gradient: Tensor) -> Tensor:
        """The step of tensor i, at rate 1. gradient: [E, O, ...]"""
        if self.kind == "sgd":
            return gradient
        if self.kind == "momentum":
            self.velocity[i] = MOMENTUM * self.velocity.get(i, 0) + gradient
            return (1 - MOMENTUM) * self.velocity[i]
        factor = self.factors[i].view(1, -1, *[1] * (gradient.dim() - 2))
        return factor * (gradient.sign() if self.kind == "sign" else gradient)


def _scales(model: tlm.Model, index: int, weights: bool) -> np.ndarray:
    """float64 [output channels], of weights or of biases."""
    scales = weight_scales(model, index)
    return scales if weights else scales * model.tensors[model.ops[index].x].scale
