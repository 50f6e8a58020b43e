"""Solver of the probability-flow equation with adaptive step size."""

from __future__ import annotations

import torch
from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt
from torch import Tensor

from zoo import advanced, component, declare

from ...shared.ode import Adaptive, State
from ..paths.base import Path
from .base import DiffusionSolver, Predict
from .grid import Grid


@component("adaptive")
class AdaptiveSolver(DiffusionSolver):
    r"""Runge-Kutta method of order 5 (Dormand-Prince) with adaptive step size: the solution to a tolerance.

    The estimated error of a step, a root mean square over the numbers of an example, stays below ``atol`` + ``rtol``
    :math:`|x|`. Each example is solved alone, so that its steps depend on no other: it is for solutions that others are
    compared with, and slow where many are drawn. It can neither be compiled nor exported. Raises `zoo.PluginError` if
    torchdiffeq is not installed, and `zoo.ZooError` if ``max_steps`` do not reach the end.

    Args:
        rtol: The relative tolerance of the error.
        atol: The absolute tolerance of the error.
        max_steps: The largest number of steps of one example.

    References: Song et al., Score-Based Generative Modeling through SDEs, 2020, arXiv:2011.13456, app. D.4; Hairer,
    Nørsett and Wanner, Solving Ordinary Differential Equations I, 1993, sec. II.4-5.
    """

    order = None

    def __init__(
        self, *, rtol: PositiveFloat = 1e-5, atol: NonNegativeFloat = 1e-5, max_steps: PositiveInt = 1000
    ) -> None:
        super().__init__(steps=2, grid=declare(Grid, "uniform"))  # the ends alone: steps are its own
        self.tolerance = rtol + atol
        self._solver = Adaptive(rtol=rtol, atol=atol, gradient="backprop", max_steps=max_steps)

    def step(self, predict: Predict, path: Path, x: Tensor, t: float, after: float) -> Tensor:
        low, high = sorted((t, after))

        def velocity(t: Tensor | float, state: State) -> State:
            t = min(max(float(t), low), high)  # the first guess of a step may lead beyond the end
            return (predict(state[0], t).velocity(path.level(t)),)

        if x.is_meta:  # without values all evaluations are alike
            return velocity(t, (x,))[0]
        rows = []
        for i, row in enumerate(torch.split(x, 1)):
            rows.append(self._solver(velocity, (row,), t, after, [])[0])
            advanced(i + 1, len(x))
        return torch.cat(rows)
