"""Kind of whole models, and their interface with training."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, final

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized

from ..event import Event
from .component import Component, Contract

if TYPE_CHECKING:
    from ..registry.part import Part

Batch = Mapping[str, Tensor]
"""Named tensors with one first size, the batch: ``image``, ``label``, ``tokens`` ..."""

Condition = Mapping[str, Tensor]
"""What densities and draws are conditioned on: entries of a batch by name, each as its event describes it."""


def map_condition(change: Callable[[Tensor], Tensor], condition: Condition | None) -> Condition | None:
    """The condition with each tensor changed; None for an unconditional model.

    >>> map_condition(lambda x: x[:1], {"label": torch.tensor([3, 1])})
    {'label': tensor([3])}
    """
    return None if condition is None else {name: change(x) for name, x in condition.items()}


@dataclass(frozen=True)
class Player:
    """One of several objectives that are trained in turn, and the parameters that it moves.

    ``match`` is a pattern over parameter names (``generator.*``), and so is ``but``, of those among them that are
    another's; ``updates`` is how many optimizer steps the player takes in one training step, and ``every`` in which of
    the training steps: in those that this number divides. A spec may change both under ``train.players``.
    """

    name: str
    match: str = "*"
    updates: int = 1
    but: str = ""
    every: int = 1


@dataclass(frozen=True)
class Clock:
    """Progress of training: ``step`` of ``steps``, and the player whose turn it is.

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
    """Result of a model's ``forward``.

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

    conditioned_on: str | Sequence[str] | None = None
    """The entries of a batch that densities and draws are conditioned on: ``"label"``, ``("image", "text")``."""

    rounds: bool = False
    """Whether data in float64 is rounded to the model's dtype within: where it is not, that is done before."""

    @final
    @property
    def conditions(self) -> tuple[str, ...]:
        """The names of the entries in `conditioned_on`; none of an unconditional model."""
        named = self.conditioned_on or ()
        return (named,) if isinstance(named, str) else tuple(named)

    @final
    def given(self, batch: Batch) -> Condition | None:
        """The condition of a batch, of the entries that the model takes: the ``context`` of `Scores` and `Samples`."""
        return {name: batch[name] for name in self.conditions} or None

    def players(self) -> Sequence[Player]:
        """The players, trained in turn. Override for models with more than one objective."""
        return (Player("model"),)

    def after_step(self, clock: Clock) -> None:
        """A hook that is called once after each training step: the place of a moving teacher."""

    def __reduce_ex__(self, protocol: Any) -> Any:
        """As any module is pickled; with reparametrised weights, which torch refuses, by declaration and tensors."""
        if self.declaration is None or not any(map(is_parametrized, self.modules())):
            return super().__reduce_ex__(protocol)
        return _rebuilt, (self.declaration, self.event, _tensors(self), [part.training for part in self.modules()])

    def __deepcopy__(self, memo: Any) -> Any:
        other = memo[id(self)] = type(self).__new__(type(self))
        other.__setstate__(copy.deepcopy(self.__dict__, memo))  # type: ignore[no-untyped-call]
        return other

    @staticmethod
    def _takes(model: Any, args: tuple[Any, ...]) -> str | None:
        missing = [name for name in (model.event.name, *model.conditions) if name not in args[0]]
        return f"the batch has no '{missing[0]}'" if missing else None

    @staticmethod
    def _gives(model: Any, result: Any) -> str | None:
        if not isinstance(result, Terms):
            return f"its forward returns {type(result).__name__}, expected zoo.Terms"
        if result.loss.dim() != 0:
            return f"its loss has shape {list(result.loss.shape)}, expected a scalar"
        return None

    contracts: ClassVar[Mapping[str, Contract]] = {"forward": Contract(_takes, _gives)}


def _tensors(model: nn.Module) -> dict[str, Tensor]:
    """Every parameter and buffer, also those that are not stored."""
    return dict(model.named_parameters(remove_duplicate=False)) | dict(model.named_buffers(remove_duplicate=False))


def _rebuilt(declaration: Part[Model], event: Event, tensors: Mapping[str, Tensor], training: Sequence[bool]) -> Model:
    """A model from its declaration, with these tensors as its state."""
    with torch.random.fork_rng(devices=[]):
        model = declaration(event)
    for name, tensor in tensors.items():
        path, _, leaf = name.rpartition(".")
        owner = model.get_submodule(path)
        held = owner._parameters if leaf in owner._parameters else owner._buffers
        held[leaf] = tensor  # type: ignore[assignment]
    for part, mode in zip(model.modules(), training, strict=True):
        part.training = mode
    return model
