"""Contexts of conditional models: labels as learned or unit vectors, feature vectors."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import torch
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from zoo import Batch, Component, Condition, Contract, Event, Model, Part, Shape, TakesContext, component, misshapen

from .events import classes_of

if TYPE_CHECKING:
    from zoo.testing import Laws


class Context(Component, nn.Module, ABC):
    """Conditioning vector made from entries of the batch, for every part that declares a ``context`` of its size.

    Shapes: entries of a batch ``{name: [B, ...]}`` to ``[B, size]``.
    """

    sources: tuple[str, ...]
    """The entries of a batch that it is made from."""

    def __init__(self, event: Event, size: int) -> None:
        super().__init__()
        self.event = event
        self.size = size

    @abstractmethod
    def forward(self, given: Condition) -> Tensor:
        """The vectors, from the entries of a batch."""

    @classmethod
    def laws(cls) -> Laws:
        from .laws.context import LAWS

        return LAWS

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


def conditions_of_first(model: Model, n: int, data: Batch | None) -> Condition | None:
    """The conditions of the first ``n`` examples, over again where there are fewer; None for an unconditional model.

    ValueError for a conditional model without data.
    """
    if not model.conditions:
        return None
    if data is None:
        raise ValueError(f"needs data: the model is conditioned on its {' and '.join(model.conditions)}")
    rows = torch.arange(n) % len(next(iter(data.values())))
    return model.given({name: tensor[:n][rows.to(tensor.device)] for name, tensor in data.items()})


def vectors_of(context: Context | None, given: Condition | None) -> Tensor | None:
    """The context vector for the parts of a model, ``[B, N]``; ValueError if a context is missing or not taken."""
    if context is None:
        if given is not None:
            raise ValueError("this model is unconditional: it has no context")
        return None
    if given is None:
        raise ValueError(f"this model is conditioned on its {' and '.join(context.sources)}: pass it as context")
    c: Tensor = context(given)
    return c


@component("embedding")
class Embedding(Context):
    r"""Learned vector for each label, :math:`c = E_y`, initialised with standard normal noise.

    ValueError for data without labels.

    Args:
        size: The size of a vector, which conditioners declare as their ``context``.

    Shapes: ``label`` ``[B]`` to ``[B, size]``.

    >>> import torch, zoo
    >>> embedding = Embedding(zoo.Event("point", zoo.Shape(2), classes=3), size=4)
    >>> embedding({"label": torch.tensor([2, 0])}).shape
    torch.Size([2, 4])
    """

    sources = ("label",)

    def __init__(self, event: Event, *, size: PositiveInt = 16) -> None:
        super().__init__(event, size)
        self.vectors = nn.Embedding(classes_of(event), size)

    def forward(self, given: Condition) -> Tensor:
        c: Tensor = self.vectors(given["label"].long())
        return c


@component("one_hot")
class OneHot(Context):
    r"""Label as a unit vector, :math:`c = e_y`, with one number for each class.

    A linear function of it has separate parameters for each class. ValueError for data without labels.

    Shapes: ``label`` ``[B]`` to ``[B, classes]``.

    >>> import torch, zoo
    >>> one_hot = OneHot(zoo.Event("point", zoo.Shape(2), classes=3))
    >>> one_hot({"label": torch.tensor([2, 0])}).tolist()
    [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]
    """

    sources = ("label",)
    vectors: Tensor

    def __init__(self, event: Event) -> None:
        super().__init__(event, classes_of(event))
        self.register_buffer("vectors", torch.eye(self.size), persistent=False)

    def forward(self, given: Condition) -> Tensor:
        return self.vectors.index_select(0, given["label"].long())


@component("feature_vector")
class FeatureVector(Context):
    r"""Features of each example, unchanged, :math:`c = f`.

    ValueError for data without ``features``.

    Shapes: ``features`` ``[B, N]``, unchanged.

    >>> import torch, zoo
    >>> features = FeatureVector(zoo.Event("row", zoo.Shape(2), features=3))
    >>> features({"features": torch.ones(1, 3)}).tolist()
    [[1.0, 1.0, 1.0]]
    """

    sources = ("features",)
    like: Tensor

    def __init__(self, event: Event) -> None:
        if event.features is None:
            raise ValueError(f"'{event.name}' has no features")
        super().__init__(event, event.features)
        # The vectors have the dtype of this number; its value is of no account.
        self.register_buffer("like", torch.zeros(()), persistent=False)

    def forward(self, given: Condition) -> Tensor:
        return given["features"].to(self.like.dtype)


@component("concat", example={"of": ["one_hot", "embedding"]})
class Concatenated(Context):
    r"""Concatenation of several contexts, :math:`c = (c_1, \dots, c_n)`: labels and features at once.

    Args:
        of: The contexts, in the order of their vectors.

    Shapes: the entries of all, to ``[B, size]``, the sum of their sizes.

    >>> import torch, zoo
    >>> both = zoo.declare(Context, {"type": "concat", "of": ["one_hot", "feature_vector"]})
    >>> context = both(zoo.Event("row", zoo.Shape(2), classes=2, features=1))
    >>> context({"label": torch.tensor([1]), "features": torch.tensor([[0.5]])}).tolist()
    [[0.0, 1.0, 0.5]]
    """

    def __init__(self, event: Event, *, of: Annotated[list[Part[Context]], Field(min_length=1)]) -> None:
        parts = [part(event) for part in of]
        super().__init__(event, sum(part.size for part in parts))
        self.of = nn.ModuleList(parts)
        self.sources = tuple(dict.fromkeys(source for part in parts for source in part.sources))

    def forward(self, given: Condition) -> Tensor:
        return torch.cat([part(given) for part in self.of], dim=1)
