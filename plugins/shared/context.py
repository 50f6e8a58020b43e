"""Contexts of conditional models: labels as learned or unit vectors, feature vectors."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from pydantic import PositiveInt
from torch import Tensor, nn

from zoo import Component, Contract, Event, Shape, TakesContext, component, misshapen

from .events import classes_of


class Context(Component, nn.Module, ABC):
    """Conditioning vector made from an entry of the batch, for every part that declares a ``context`` of its size.

    Shapes: the batch's entry ``[B, ...]`` to ``[B, size]``.
    """

    source: ClassVar[str]
    """The entry of a batch that it is made from."""

    def __init__(self, event: Event, size: int) -> None:
        super().__init__()
        self.event = event
        self.size = size

    @abstractmethod
    def forward(self, given: Tensor) -> Tensor:
        """The vectors, from the batch's entry."""

    @staticmethod
    def _takes(context: Any, args: tuple[Any, ...]) -> str | None:
        return None

    @staticmethod
    def _gives(context: Any, result: Any) -> str | None:
        return misshapen("its output", result, Shape(context.size))

    contracts: ClassVar[Mapping[str, Contract]] = {"forward": Contract(_takes, _gives)}


def check_context(context: Context | None, parts: nn.Module) -> None:
    """ValueError if a context is declared and no part of the model takes it, or the other way round."""
    taking = [part for part in parts.modules() if isinstance(part, TakesContext) and part.context]
    if context is None and taking:
        name = type(taking[0]).__name__
        raise ValueError(f"its {name} takes a context of {taking[0].context} numbers: declare the model's 'context'")
    if context is not None and not taking:
        raise ValueError(f"no part takes its context: declare 'context: {context.size}' on the conditioners")


def told(context: Context | None, given: Tensor | None) -> Tensor | None:
    """The context vector for the parts of a model, ``[B, N]``; ValueError if a context is missing or not taken."""
    if context is None:
        if given is not None:
            raise ValueError("this model is unconditional: it takes no context")
        return None
    if given is None:
        raise ValueError(f"this model is conditioned on its {context.source}: it needs that as context")
    c: Tensor = context(given)
    return c


@component("embedding")
class Embedding(Context):
    r"""Learned vector for each label, :math:`c = E_y`, initialised with standard normal noise.

    ValueError for data without labels.

    Args:
        size: The size of a vector, which conditioners declare as their ``context``.

    Shapes: labels ``[B]`` to ``[B, size]``.

    >>> import torch, zoo
    >>> embedding = Embedding(zoo.Event("point", zoo.Shape(2), classes=3), size=4)
    >>> embedding(torch.tensor([2, 0])).shape
    torch.Size([2, 4])
    """

    source = "label"

    def __init__(self, event: Event, *, size: PositiveInt = 16) -> None:
        super().__init__(event, size)
        self.vectors = nn.Embedding(classes_of(event), size)

    def forward(self, given: Tensor) -> Tensor:
        c: Tensor = self.vectors(given.long())
        return c


@component("one_hot")
class OneHot(Context):
    r"""Label as a unit vector, :math:`c = e_y`, with one number for each class.

    A linear function of it has separate parameters for each class. ValueError for data without labels.

    Shapes: labels ``[B]`` to ``[B, classes]``.

    >>> import torch, zoo
    >>> one_hot = OneHot(zoo.Event("point", zoo.Shape(2), classes=3))
    >>> one_hot(torch.tensor([2, 0])).tolist()
    [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]
    """

    source = "label"
    vectors: Tensor

    def __init__(self, event: Event) -> None:
        super().__init__(event, classes_of(event))
        self.register_buffer("vectors", torch.eye(self.size), persistent=False)

    def forward(self, given: Tensor) -> Tensor:
        return self.vectors.index_select(0, given.long())


@component("feature_vector")
class FeatureVector(Context):
    r"""Features of each example, unchanged, :math:`c = f`.

    ValueError for data without ``features``.

    Shapes: ``[B, features]``, unchanged.

    >>> import torch, zoo
    >>> features = FeatureVector(zoo.Event("row", zoo.Shape(2), features=3))
    >>> features(torch.ones(1, 3)).tolist()
    [[1.0, 1.0, 1.0]]
    """

    source = "features"
    like: Tensor

    def __init__(self, event: Event) -> None:
        if event.features is None:
            raise ValueError(f"'{event.name}' comes without features")
        super().__init__(event, event.features)
        # The vectors have the dtype of this number; its value is of no account.
        self.register_buffer("like", torch.zeros(()), persistent=False)

    def forward(self, given: Tensor) -> Tensor:
        return given.to(self.like.dtype)
