"""The kind of whole models, and what training tells and asks them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar, NamedTuple, final

from torch import Tensor, nn

from ..event import Event
from .component import Component, Contract

Batch = Mapping[str, Tensor]
"""Named tensors with one first size, the batch: ``image``, ``label``, ``tokens`` ..."""


@dataclass(frozen=True)
class Player:
    """One of several objectives that are trained in turn, and the parameters that it moves.

    ``match`` is a pattern over parameter names (``generator.*``), and so is ``but``, of those among them that are
    another's; ``updates`` is how many optimizer steps the player takes in one training step.
    """

    name: str
    match: str = "*"
    updates: int = 1
    but: str = ""


@dataclass(frozen=True)
class Clock:
    """Where training stands: ``step`` of ``steps``, and whose turn it is.

    ``step`` is a 0-dimensional integer tensor on the model's device, so that a schedule inside ``forward`` neither
    waits for the device nor makes a compiled graph stale. ``steps`` is the horizon, ``train.steps`` of the spec.
    """

    step: Tensor
    steps: int
    player: str = "model"

    @property
    def progress(self) -> Tensor:
        """Between 0 and 1, a 0-dimensional tensor."""
        return self.step / self.steps


class Terms(NamedTuple):
    """What ``forward`` of a model returns.

    ``loss`` is a scalar to be minimised. ``logs`` are the unweighted terms by name, in nats, summed over the event:
    ``[B]`` or scalars; their means are logged. ``weights`` are the factors that the loss gave the terms, scalars by
    name: logged as ``weight.<name>``, and drawn as curves.
    """

    loss: Tensor
    logs: Mapping[str, Tensor]
    weights: Mapping[str, Tensor] = MappingProxyType({})


class Model(Component, nn.Module, ABC):
    """A whole model of the data that an `Event` describes.

    ``forward`` is the one thing that training calls. What a model can do beyond it (score, sample ...) it declares by
    inheriting a capability: `Scores`, `Samples`.
    """

    def __init__(self, event: Event) -> None:
        super().__init__()
        self.event = event

    @abstractmethod
    def forward(self, batch: Batch, clock: Clock) -> Terms:
        """The training objective on one batch."""

    conditioned_on: str | None = None
    """The entry of a batch that densities and draws are conditioned on (``label``), unless they are of data alone."""

    rounds: bool = False
    """Whether data in float64 is rounded to the model's dtype within: where it is not, that is done before."""

    @final
    def given(self, batch: Batch) -> Tensor | None:
        """What the model is told of a batch beside the data: the ``context`` of `Scores` and `Samples`."""
        return None if self.conditioned_on is None else batch[self.conditioned_on]

    def players(self) -> Sequence[Player]:
        """Who is trained in turn; a hook for models with more than one objective."""
        return (Player("model"),)

    def after_step(self, clock: Clock) -> None:
        """A hook that is called once after each training step: the place of a moving teacher."""

    @staticmethod
    def _takes(model: Any, args: tuple[Any, ...]) -> str | None:
        missing = {model.event.name, model.conditioned_on} - {None, *args[0]}
        return f"the batch has no '{missing.pop()}'" if missing else None

    @staticmethod
    def _gives(model: Any, result: Any) -> str | None:
        if not isinstance(result, Terms):
            return f"its forward returns {type(result).__name__}, not zoo.Terms"
        if result.loss.dim() != 0:
            return f"its loss has shape {list(result.loss.shape)}, not that of a scalar"
        return None

    contracts: ClassVar[Mapping[str, Contract]] = {"forward": Contract(_takes, _gives)}
