"""Nonlinearities by name."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Literal

from torch import nn

Activation = Literal["relu", "elu", "silu", "gelu", "tanh", "leaky_relu"]

_LAYERS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "elu": nn.ELU,
    "silu": nn.SiLU,
    "gelu": nn.GELU,
    "tanh": nn.Tanh,
    "leaky_relu": partial(nn.LeakyReLU, 0.2),
}


def overwriting(name: Activation) -> nn.Module:
    """The nonlinearity of this name after a layer whose output nothing else needs: ReLU then writes over its input.

    >>> overwriting("relu"), overwriting("silu")
    (ReLU(inplace=True), SiLU())
    """
    return nn.ReLU(inplace=True) if name == "relu" else activation(name)


def activation(name: Activation) -> nn.Module:
    """A new layer that applies the nonlinearity of this name.

    >>> activation("silu")
    SiLU()
    """
    return _LAYERS[name]()
