"""Nonlinearities by name."""

from __future__ import annotations

from typing import Literal

from torch import nn

Activation = Literal["relu", "elu", "silu", "gelu", "tanh"]

_LAYERS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "elu": nn.ELU,
    "silu": nn.SiLU,
    "gelu": nn.GELU,
    "tanh": nn.Tanh,
}


def activation(name: Activation) -> nn.Module:
    """A new layer that applies the nonlinearity of this name.

    >>> activation("silu")
    SiLU()
    """
    return _LAYERS[name]()
