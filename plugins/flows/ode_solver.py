"""The kind of solvers of ordinary differential equations."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

from torch import Tensor, nn

from zoo import Component, Contract

State = tuple[Tensor, ...]
"""What evolves: tensors ``[B, ...]``."""
Dynamics = Callable[[Tensor | float, State], State]
"""``(t, state) -> d state / dt``."""


class OdeSolver(Component, nn.Module, ABC):
    r"""A way to follow :math:`\dot y = f(t, y)` from one time to another, forwards or backwards."""

    @abstractmethod
    def forward(self, f: Dynamics, y: State, start: float, end: float, depends: Sequence[Tensor]) -> State:
        """``y`` at ``end``, from ``y`` at ``start``; ``depends`` are the tensors that f has gradients in."""

    def refined(self) -> OdeSolver:
        """The same, more finely: in each half of the interval the steps that it would take in the whole."""
        return Halves(self)

    contracts: ClassVar[Mapping[str, Contract]] = {}


class Halves(OdeSolver):
    """A solver of fixed steps with steps of half the size."""

    def __init__(self, solver: OdeSolver) -> None:
        super().__init__()
        self.solver = solver

    def forward(self, f: Dynamics, y: State, start: float, end: float, depends: Sequence[Tensor]) -> State:
        middle = 0.5 * (start + end)
        there: State = self.solver(f, self.solver(f, y, start, middle, depends), middle, end, depends)
        return there
