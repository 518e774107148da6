"""Prepares a model for training: its backward program, costs and sparse update schemes go into the file."""

from __future__ import annotations

from tinylearn_host import autodiff, tlm
from tinylearn_host.training_sections import Scheme, pack

DOMAINS = ("image", "spectrogram", "signal")  # of samples: what firmware/tinylearn/augment.py knows how to vary


def prepare(model: tlm.Model) -> tlm.Model:
    """The same model, ready to be trained: with backward program and costs. Weights stay as they are.

    A model of which nothing can be trained stays without.
    """
    backward = autodiff.differentiate(model)
    costs = [autodiff.cost(model, record) for record in backward]
    return tlm.read(tlm.rewrite(model, pack(backward, costs, [])))


def with_meta(model: tlm.Model, **known) -> tlm.Model:
    """The same model where META says these, too; what it says already stays."""
    return tlm.read(tlm.rewrite(model, {b"META": (tlm.meta_text({**known, **model.meta}), 0)}))


def with_schemes(model: tlm.Model, schemes: list[Scheme]) -> tlm.Model:
    """The same model with these schemes instead of those that it had."""
    return tlm.read(tlm.rewrite(model, pack(model.backward, model.costs, schemes)))
