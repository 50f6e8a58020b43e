"""Runge-Kutta steps of fixed size."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import PositiveInt
from torch import Tensor

from zoo import component

from .ode_solver import Dynamics, OdeSolver, State


@component("rk4")
class RungeKutta4(OdeSolver):
    r"""The classical Runge-Kutta method of order 4, in ``steps`` steps of equal size h.

    .. math:: k_1 = f(t, y), \quad k_2 = f(t + \tfrac h2, y + \tfrac h2 k_1), \quad
       k_3 = f(t + \tfrac h2, y + \tfrac h2 k_2), \quad k_4 = f(t + h, y + h k_3)

    .. math:: y(t + h) \approx y + \tfrac h6 (k_1 + 2 k_2 + 2 k_3 + k_4)

    The cost is known, four evaluations a step, the graph can be compiled and exported, and gradients are those of what
    was computed; the memory of training grows with the steps. The error, :math:`O(h^4)`, is not looked at: a flow that
    learns fast changes needs more steps, or ``adaptive``.

    References: Hairer, Nørsett and Wanner, Solving Ordinary Differential Equations I, 1993, sec. II.1, table 1.2.

    >>> import torch
    >>> solver = RungeKutta4(steps=8)
    >>> solver(lambda t, y: (y[0],), (torch.ones(1, 1),), 0.0, 1.0, [])[0]    # e
    tensor([[2.7183]])
    """

    def __init__(self, *, steps: PositiveInt = 16) -> None:
        super().__init__()
        self.steps = steps

    def forward(self, f: Dynamics, y: State, start: float, end: float, depends: Sequence[Tensor]) -> State:
        h = (end - start) / self.steps
        for i in range(self.steps):
            t = start + i * h
            k1 = f(t, y)
            k2 = f(t + 0.5 * h, _moved(y, k1, 0.5 * h))
            k3 = f(t + 0.5 * h, _moved(y, k2, 0.5 * h))
            k4 = f(t + h, _moved(y, k3, h))
            slopes = tuple(a + 2.0 * (b + c) + d for a, b, c, d in zip(k1, k2, k3, k4, strict=True))
            y = _moved(y, slopes, h / 6.0)
        return y


def _moved(y: State, slopes: State, h: float) -> State:
    return tuple(value + h * slope for value, slope in zip(y, slopes, strict=True))
