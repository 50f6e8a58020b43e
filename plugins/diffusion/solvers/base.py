"""Kind of solvers of the probability-flow equation."""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, ClassVar

import torch
from pydantic import PositiveInt
from torch import Tensor

from zoo import Component, Part, advanced, named

from ..paths.base import Path
from ..targets import Prediction
from .grid import Grid

if TYPE_CHECKING:
    from zoo.testing import Laws

Predict = Callable[[Tensor, float], Prediction]
"""``(x, t) -> data and noise``: the network at one time."""


class DiffusionSolver(Component, ABC):
    r"""Solver of the probability-flow equation from one time to another, forwards or backwards.

    .. math:: \dot x = \dot\alpha\, \hat x_0(x, t) + \dot\sigma\, \hat\epsilon(x, t)

    It is deterministic: a draw is a function of the noise that it began with. ValueError for fewer steps than it needs.

    Args:
        steps: The number of times at which the network is evaluated first; the last step returns its denoised data.
        grid: The times.
    """

    order: ClassVar[int | None]
    """The order of convergence; None where a tolerance bounds the error, whatever the steps."""
    evaluations: ClassVar[int] = 1
    """The evaluations of a network in a step."""
    extra: ClassVar[int] = 0
    """The evaluations in the first step besides those of any."""
    remembers: ClassVar[bool] = False
    """Whether a step depends on those before it."""
    fewest: ClassVar[int] = 1
    """The fewest ``steps``: with fewer, it would be another solver, of a lower order."""

    def __init__(self, *, steps: PositiveInt = 16, grid: Part[Grid] = named("uniform")) -> None:
        if steps < self.fewest:
            raise ValueError(f"needs at least {self.fewest} steps, got {steps}: set more, or use 'ddim'")
        self.steps, self.grid = steps, grid()

    def solve(self, predict: Predict, path: Path, x: Tensor, times: Sequence[float]) -> Tensor:
        """``x`` at the last of the times, from ``x`` at the first."""
        self.begin()
        for i, (t, after) in enumerate(itertools.pairwise(times)):
            x = self.step(predict, path, x, t, after)
            if not torch.compiler.is_compiling():
                advanced(i + 1, len(times))
        return x

    def states(self, predict: Predict, path: Path, x: Tensor, times: Sequence[float]) -> Iterator[Tensor]:
        """``x`` at each of the times, as `solve` takes them."""
        self.begin()
        yield x
        for t, after in itertools.pairwise(times):
            x = self.step(predict, path, x, t, after)
            yield x

    def begin(self) -> None:
        """A hook before the first step, for solvers that remember earlier ones."""

    @abstractmethod
    def step(self, predict: Predict, path: Path, x: Tensor, t: float, after: float) -> Tensor:
        """``x`` at the time ``after``, from ``x`` at ``t``."""

    @classmethod
    def laws(cls) -> Laws:
        from ..laws.solver import LAWS

        return LAWS


def ddim_step(found: Prediction, path: Path, after: float) -> Tensor:
    r""":math:`\alpha' \hat x_0 + \sigma' \hat\epsilon`: exact where data and noise stay as predicted."""
    level = path.level(after)
    return level.alpha * found.data + level.sigma * found.noise
