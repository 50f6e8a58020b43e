"""Composition of elementwise transformers."""

from __future__ import annotations

from typing import Annotated, cast

import torch
from pydantic import Field
from torch import Tensor, nn

from zoo import Part, component

from .base import Transformer


@component("composed", example={"of": ["affine", "rational_quadratic_spline"]})
class Composed(Transformer):
    r"""Composition of increasing maps, with parameters from the same network.

    .. math:: y = (\tau_n \circ \dots \circ \tau_1)(x; h_1, \dots, h_n), \qquad
       \log \frac{dy}{dx} = \sum_i \log \tau_i'

    ``[affine, rational_quadratic_spline]`` first moves and scales a number into the interval of the spline, which is
    the identity beyond its bound.

    Args:
        of: The maps :math:`\tau_1, \dots, \tau_n`, the first of which takes the data.

    References: Papamakarios et al., Normalizing flows for probabilistic modeling and inference, 2021,
    arXiv:1912.02762, sec. 3.1.

    >>> import torch, zoo
    >>> from zoo.plugins.flows.elementwise.base import Transformer
    >>> both = zoo.declare(Transformer, {"type": "composed", "of": ["affine", "additive"]})()
    >>> y, log_slope = both(torch.ones(1, 1), torch.tensor([[[0.0], [2.0], [0.5]]]))    # no scale, two shifts
    >>> both.count, y.item(), log_slope.item()
    (3, 3.5, 0.0)
    """

    def __init__(self, *, of: Annotated[list[Part[Transformer]], Field(min_length=1)]) -> None:
        super().__init__()
        self.of = nn.ModuleList([part() for part in of])
        self._counts = [cast(Transformer, transformer).count for transformer in self.of]
        self.count = sum(self._counts)

    def forward(self, x: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        slopes = []
        for transformer, own in zip(self.of, torch.split(h, self._counts, 1), strict=True):
            x, log_slope = transformer(x, own)
            slopes.append(log_slope)
        return x, torch.stack(slopes).sum(0)

    def inverse(self, y: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        slopes = []
        for transformer, own in zip(reversed(self.of), reversed(torch.split(h, self._counts, 1)), strict=True):
            y, log_slope = cast(Transformer, transformer).inverse(y, own)
            slopes.append(log_slope)
        return y, torch.stack(slopes).sum(0)

    def decode(self, y: Tensor, h: Tensor) -> Tensor:
        for transformer, own in zip(reversed(self.of), reversed(torch.split(h, self._counts, 1)), strict=True):
            y = cast(Transformer, transformer).decode(y, own)
        return y
