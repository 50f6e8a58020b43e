"""Inputs of autoregressive networks: data as real numbers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from pydantic import PositiveInt
from torch import Tensor, nn

from zoo import Component, Contract, Event, component, misshapen

from ..shared.events import levels_of


class Inputs(Component, nn.Module, ABC):
    """Levels as floating point numbers, one or several ``features`` for each.

    Feature f of channel c is channel ``f * C + c``.

    Shapes: levels ``[B, *event.shape]`` to ``[B, features * C, ...]``; levels at one place, ``[n, C]`` to
    ``[n, features * C]``.
    """

    features: int = 1

    def __init__(self, event: Event) -> None:
        super().__init__()
        self.event = event

    @abstractmethod
    def forward(self, x: Tensor, dtype: Any) -> Tensor:
        """The numbers of all levels, differentiable in levels that are floating point numbers if the encoding allows
        it.
        """

    @abstractmethod
    def values(self, x: Tensor, dtype: Any) -> Tensor:
        """The numbers of levels ``[n, C]`` at one place, with any number of channels C."""

    @staticmethod
    def _takes(inputs: Any, args: tuple[Any, ...]) -> str | None:
        return misshapen("the data", args[0], inputs.event.shape)

    @staticmethod
    def _gives(inputs: Any, result: Any) -> str | None:
        return misshapen("its output", result, inputs.event.shape.channels(inputs.features))

    contracts: ClassVar[Mapping[str, Contract]] = {"forward": Contract(_takes, _gives)}


@component("unit")
class Unit(Inputs):
    r"""Levels on the scale of `zoo.Event.unit`: :math:`x / (L - 1)`.

    The padding of a convolution then looks like the first level.

    >>> import torch, zoo
    >>> Unit(zoo.Event("row", zoo.Shape(3), levels=3))(torch.tensor([[0, 1, 2]]), torch.float32)
    tensor([[0.0000, 0.5000, 1.0000]])
    """

    def forward(self, x: Tensor, dtype: Any) -> Tensor:
        return self.event.unit(x, dtype)

    def values(self, x: Tensor, dtype: Any) -> Tensor:
        return self.event.unit(x, dtype)


@component("centred")
class Centred(Inputs):
    r"""Levels between -1 and 1: :math:`2x / (L - 1) - 1`.

    The padding of a convolution, zero, then looks like the middle of the range.

    >>> import torch, zoo
    >>> Centred(zoo.Event("row", zoo.Shape(3), levels=3))(torch.tensor([[0, 1, 2]]), torch.float32)
    tensor([[-1.,  0.,  1.]])
    """

    def forward(self, x: Tensor, dtype: Any) -> Tensor:
        return 2.0 * self.event.unit(x, dtype) - 1.0

    def values(self, x: Tensor, dtype: Any) -> Tensor:
        return 2.0 * self.event.unit(x, dtype) - 1.0


@component("one_hot")
class OneHot(Inputs):
    """Each level as a unit vector, with one feature for each level.

    >>> import torch, zoo
    >>> inputs = OneHot(zoo.Event("code", zoo.Shape(1, 1, 2), levels=3))
    >>> inputs(torch.tensor([[[[2, 0]]]]), torch.float32).flatten(2)
    tensor([[[0., 1.],
             [0., 0.],
             [1., 0.]]])
    """

    levels: Tensor

    def __init__(self, event: Event) -> None:
        super().__init__(event)
        self.features = levels_of(event)
        self.register_buffer("levels", torch.arange(self.features), persistent=False)

    def forward(self, x: Tensor, dtype: Any) -> Tensor:
        return self.values(x, dtype)

    def values(self, x: Tensor, dtype: Any) -> Tensor:
        return (x.unsqueeze(-1) == self.levels).to(dtype).movedim(-1, 1).flatten(1, 2)  # [B, levels * C, ...]


@component("embedding")
class Embedding(Inputs):
    r"""Learned vector for each level, :math:`E_x`: for levels without an order, such as codes.

    Args:
        size: The size of a vector.

    Shapes: ``size`` features for each number.

    >>> import torch, zoo
    >>> inputs = Embedding(zoo.Event("code", zoo.Shape(1, 2, 2), levels=64), size=3)
    >>> inputs(torch.zeros(5, 1, 2, 2, dtype=torch.int64), torch.float32).shape
    torch.Size([5, 3, 2, 2])
    """

    def __init__(self, event: Event, *, size: PositiveInt = 16) -> None:
        super().__init__(event)
        self.features = size
        self.vectors = nn.Embedding(levels_of(event), size)

    def forward(self, x: Tensor, dtype: Any) -> Tensor:
        return self.values(x, dtype)

    def values(self, x: Tensor, dtype: Any) -> Tensor:
        vectors: Tensor = self.vectors(x.long())
        return vectors.to(dtype).movedim(-1, 1).flatten(1, 2)  # [B, size * C, ...]
