"""Kind of distributions over levels that an autoregressive network parametrises."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from torch import Tensor, nn

from zoo import Component, Contract, Event, Known, Shape, misshapen

if TYPE_CHECKING:
    from zoo.testing import Laws


class Head(Component, nn.Module, ABC):
    r"""Distribution of a number, or of the channels of a pixel, given the parameters of the network: :math:`p(x_i \mid
    h_i)`.

    ValueError for data whose levels it cannot model.

    Shapes: levels ``[B, *event.shape]``; parameters ``[B, count, *sites]``, where a site is a number, or a pixel if its
    channels are drawn ``together``; a draw takes them as rows, ``[N, count]``.
    """

    count: int
    """The number of parameters of each site."""

    together: int = 1
    """The number of channels that are drawn at once."""

    uniforms: int = 1
    """The number of uniform numbers of a draw."""

    def __init__(self, event: Event) -> None:
        super().__init__()
        self.event = event

    @property
    def parameters_shape(self) -> Shape:
        """The shape of all parameters of an event: ``[count, *sites]``."""
        shape = self.event.shape
        return Shape(self.count, *shape.with_channels(shape[0] // self.together))

    @abstractmethod
    def log_prob(self, x: Tensor, h: Tensor) -> Tensor:
        r""":math:`\log p(x_i \mid h_i)` of each number, ``[B, *event.shape]``."""

    @abstractmethod
    def log_probs(self, x: Tensor, h: Tensor) -> Tensor:
        """The log-probability of every level of each number, the others as in ``x``: ``[B, *event.shape, levels]``.

        ``x`` may be floating point numbers, so that gradients reach it.
        """

    @abstractmethod
    def draw(self, h: Tensor, u: Tensor, temperature: float = 1.0, known: Known | None = None) -> Tensor:
        """Levels from parameters ``[N, count]`` and uniforms ``[N, uniforms]``: int64 ``[N, together]``.

        Each channel is drawn given those before it: the ``known`` ones ``[N, together]``, or else those drawn.
        """

    @classmethod
    def laws(cls) -> Laws:
        from ..laws.head import LAWS

        return LAWS

    @staticmethod
    def _takes(head: Any, args: tuple[Any, ...]) -> str | None:
        wrong = misshapen("the data", args[0], head.event.shape)
        return wrong or misshapen("the network's output", args[1], head.parameters_shape)

    @staticmethod
    def _gives(head: Any, result: Any) -> str | None:
        return misshapen("its log_prob", result, head.event.shape)

    contracts: ClassVar[Mapping[str, Contract]] = {"log_prob": Contract(_takes, _gives)}
