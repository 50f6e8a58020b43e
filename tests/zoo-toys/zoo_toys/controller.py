"""Controllers: a kind that this plugin brings."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from torch import Tensor, nn

from zoo import AfterStep, Component, Contract


class Controller(Component, nn.Module, AfterStep, ABC):
    """Controller of a scalar of a model, by its weight in the loss."""

    @abstractmethod
    def forward(self, value: Tensor) -> Tensor:
        """The weight, a scalar; in training the observed scalar is stored until the step is over."""

    @staticmethod
    def _takes(controller: Any, args: tuple[Any, ...]) -> str | None:
        return None if args[0].dim() == 0 else f"the observed value has shape {list(args[0].shape)}: give a scalar"

    @staticmethod
    def _gives(controller: Any, result: Any) -> str | None:
        return None if result.dim() == 0 else f"its weight has shape {list(result.shape)}, expected a scalar"

    contracts: ClassVar[Mapping[str, Contract]] = {"forward": Contract(_takes, _gives)}
