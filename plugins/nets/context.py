"""The kind of what a model is conditioned on."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from torch import Tensor, nn

from zoo import Component, Contract, Event, Shape, TakesContext, misshapen


class Context(Component, nn.Module, ABC):
    """What a batch says beside the data, as a vector for every part that declares a ``context`` of its ``size``.

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
    """ValueError where a context is declared and none of a model's parts takes it, or the other way round."""
    taking = [part for part in parts.modules() if isinstance(part, TakesContext) and part.context]
    if context is None and taking:
        name = type(taking[0]).__name__
        raise ValueError(f"its {name} takes a context of {taking[0].context} numbers: declare the model's 'context'")
    if context is not None and not taking:
        raise ValueError(f"no part takes its context: declare 'context: {context.size}' on the conditioners")


def told(context: Context | None, given: Tensor | None) -> Tensor | None:
    """What parts are told, ``[B, N]``, of what a batch says; ValueError where model and batch do not go together."""
    if context is None:
        if given is not None:
            raise ValueError("this model is of data alone: it takes no context")
        return None
    if given is None:
        raise ValueError(f"this model is of data given its {context.source}: it needs that as context")
    c: Tensor = context(given)
    return c
