"""Kind of distributions of data given the output of a decoder."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, final

from torch import Tensor, nn

from ..event import Event
from ..shape import Shape
from .component import Component, Contract
from .contracts import misshapen, not_per_sample


class Likelihood(Component, nn.Module, ABC):
    r"""A distribution of data given a decoder's answer: :math:`p(x \mid h)`.

    ValueError for data whose values are outside of its support.

    Shapes: data as the event describes it ``[B, *event.shape]``; the answer, its context, ``[B, *decoded]``; a
    log-probability ``[B]``, in nats, summed over the event.
    """

    decoded: Shape
    """What it asks of a decoder."""

    density: bool
    """Whether `log_prob` is of a density on the scale of `Event.unit`, rather than of the probability of levels."""

    bounded: bool
    """Whether `log_prob` is never above zero: it is not for probabilities, and for densities never above one."""

    noise_size: int
    """How many numbers of noise a draw is made of."""

    def __init__(self, event: Event) -> None:
        super().__init__()
        self.event = event

    @abstractmethod
    def log_prob(self, x: Tensor, context: Tensor) -> Tensor:
        r""":math:`\log p(x \mid h)`, ``[B, *event.shape] -> [B]``."""

    @abstractmethod
    def mean(self, context: Tensor) -> Tensor:
        r""":math:`\mathrm E[x \mid h]` on the scale of `Event.unit`, ``[B, *event.shape]``."""

    @abstractmethod
    def noise(self, n: int, temperature: float = 1.0) -> Tensor:
        """The noise of ``n`` draws, ``[n, noise_size]``, scaled by the temperature."""

    @abstractmethod
    def draw(self, context: Tensor, noise: Tensor) -> Tensor:
        """Data from contexts and noise, ``[n, *event.shape]``: a function of both, row by row."""

    @final
    def sample(self, n: int, context: Tensor, temperature: float = 1.0) -> Tensor:
        """``n`` draws, one for each context, ``[n, *event.shape]``."""
        return self.draw(context, self.noise(n, temperature))

    @staticmethod
    def _takes(likelihood: Any, args: tuple[Any, ...]) -> str | None:
        wrong = misshapen("the data", args[0], likelihood.event.shape)
        return wrong or misshapen("the decoder's output", args[1], likelihood.decoded)

    @staticmethod
    def _gives(likelihood: Any, result: Any) -> str | None:
        return not_per_sample("its log_prob", result)

    @staticmethod
    def _takes_answer(likelihood: Any, args: tuple[Any, ...]) -> str | None:
        return misshapen("the decoder's output", args[0], likelihood.decoded)

    @staticmethod
    def _gives_data(likelihood: Any, result: Any) -> str | None:
        return misshapen("its data", result, likelihood.event.shape)

    contracts: ClassVar[Mapping[str, Contract]] = {
        "log_prob": Contract(_takes, _gives),
        "mean": Contract(_takes_answer, _gives_data),
        "draw": Contract(_takes_answer, _gives_data),
    }
