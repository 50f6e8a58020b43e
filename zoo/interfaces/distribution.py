"""The kind of distributions that can be scored and sampled."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from torch import Tensor, nn

from ..shape import Shape
from .component import Component, Contract
from .contracts import misshapen, not_per_sample, wrong_context


class Distribution(Component, nn.Module, ABC):
    """A distribution over events of one shape.

    Shapes: an event is ``[B, *shape]``; a log-probability is ``[B]``, in nats, summed over the event.
    """

    support: tuple[float, float] | None = None
    """The interval that each number of an event lies in, unless it is the whole line; beyond, the density is zero."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape

    @abstractmethod
    def log_prob(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """:math:`\\log p(x)`, ``[B, *shape] -> [B]``."""

    @abstractmethod
    def sample(self, n: int, context: Tensor | None = None, temperature: float = 1.0) -> Tensor:
        """``n`` draws, ``[n, *shape]``; the temperature scales the spread about the mode."""

    @staticmethod
    def _takes(distribution: Any, args: tuple[Any, ...]) -> str | None:
        return misshapen("the event", args[0], distribution.shape) or wrong_context(distribution, args)

    @staticmethod
    def _gives(distribution: Any, result: Any) -> str | None:
        return not_per_sample("its log_prob", result)

    @staticmethod
    def _takes_number(distribution: Any, args: tuple[Any, ...]) -> str | None:
        return wrong_context(distribution, args)

    @staticmethod
    def _gives_draws(distribution: Any, result: Any) -> str | None:
        return misshapen("its sample", result, distribution.shape)

    contracts: ClassVar[Mapping[str, Contract]] = {
        "log_prob": Contract(_takes, _gives),
        "sample": Contract(_takes_number, _gives_draws),
    }
