"""A conditional component, given one context."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ..interfaces.bijection import Bijection
from ..interfaces.capabilities import TakesContext
from ..interfaces.distribution import Distribution
from ..interfaces.networks import Conditioner


def given(part: Any, seed: int = 0) -> Any:
    """The component with a fixed context, drawn by ``seed``, for laws without context; unchanged if it takes none."""
    size = size_of_context(part)
    if size == 0:
        return part
    noise = torch.Generator().manual_seed(seed)
    context = torch.randn(1, size, generator=noise, dtype=torch.get_default_dtype())
    match part:
        case Bijection():
            return GivenBijection(part, context)
        case Distribution():
            return GivenDistribution(part, context)
        case Conditioner():
            return GivenConditioner(part, context)
    return part


def size_of_context(part: Any) -> int:
    """The size of the context that the component, or a part of it, takes."""
    modules = part.modules() if isinstance(part, nn.Module) else ()
    return max((module.context for module in modules if isinstance(module, TakesContext)), default=0)


class GivenBijection(Bijection):
    """A bijection under one context."""

    context: Tensor

    def __init__(self, of: Bijection, context: Tensor) -> None:
        super().__init__(of.shape, of.out_shape)
        self.of = of
        self.domain = of.domain
        self.register_buffer("context", context)

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        z, log_det = self.of(x, self.context.expand(x.shape[0], -1))
        return z, log_det

    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return self.of.inverse(z, self.context.expand(z.shape[0], -1))

    def decode(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        return self.of.decode(z, self.context.expand(z.shape[0], -1))


class GivenDistribution(Distribution):
    """A distribution under one context."""

    context: Tensor

    def __init__(self, of: Distribution, context: Tensor) -> None:
        super().__init__(of.shape)
        self.of = of
        self.register_buffer("context", context)

    def log_prob(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        return self.of.log_prob(x, self.context.expand(x.shape[0], -1))

    def sample(self, n: int, context: Tensor | None = None, temperature: float = 1.0) -> Tensor:
        return self.of.sample(n, self.context.expand(n, -1), temperature)


class GivenConditioner(Conditioner):
    """A conditioner under one context."""

    context: Tensor

    def __init__(self, of: Conditioner, context: Tensor) -> None:
        super().__init__(of.in_shape, of.out_shape)
        self.of = of
        self.register_buffer("context", context)

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        y: Tensor = self.of(x, self.context.expand(x.shape[0], -1))
        return y
