"""The kind of noise schedules, with its laws, and a linear one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from torch import Tensor, nn

from zoo import Component, component

if TYPE_CHECKING:
    from zoo.testing import Laws


class Schedule(Component, nn.Module, ABC):
    r"""How much of the data is left at a time: a decreasing :math:`\alpha(t)`, from 1 at 0 to 0 at 1."""

    @abstractmethod
    def forward(self, t: Tensor) -> Tensor:
        """Times ``[...]`` between 0 and 1 to shares ``[...]``."""

    @classmethod
    def laws(cls) -> Laws:
        from .laws import LAWS

        return LAWS


@component("linear")
class Linear(Schedule):
    r"""A share that falls linearly, :math:`\alpha(t) = 1 - t`."""

    def forward(self, t: Tensor) -> Tensor:
        return 1.0 - t
