"""Solvers of ordinary differential equations."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import torch
from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt
from torch import Tensor, nn

from zoo import Component, Contract, PluginError, ZooError, component, install_hint

from .compilation import uncompiled

if TYPE_CHECKING:
    from zoo.testing import Laws

State = tuple[Tensor, ...]
"""What evolves: tensors ``[B, ...]``."""
Dynamics = Callable[[Tensor | float, State], State]
"""``(t, state) -> d state / dt``."""


class OdeSolver(Component, nn.Module, ABC):
    r"""Solver of :math:`\dot y = f(t, y)` from one time to another, forwards or backwards."""

    @abstractmethod
    def forward(self, f: Dynamics, y: State, start: float, end: float, depends: Sequence[Tensor]) -> State:
        """``y`` at ``end``, from ``y`` at ``start``; ``depends`` are the tensors that f has gradients in."""

    def refined(self) -> OdeSolver:
        """A finer solver, which takes in each half of the interval the steps of the whole."""
        return Halves(self)

    @classmethod
    def laws(cls) -> Laws:
        from .laws.ode_solver import LAWS

        return LAWS

    contracts: ClassVar[Mapping[str, Contract]] = {}


class Halves(OdeSolver):
    """Solver of fixed steps, with steps of half the size."""

    def __init__(self, solver: OdeSolver) -> None:
        super().__init__()
        self.solver = solver

    def forward(self, f: Dynamics, y: State, start: float, end: float, depends: Sequence[Tensor]) -> State:
        middle = 0.5 * (start + end)
        there: State = self.solver(f, self.solver(f, y, start, middle, depends), middle, end, depends)
        return there


@component("rk4")
class RungeKutta4(OdeSolver):
    r"""Classical Runge-Kutta method of order 4, in steps of equal size h.

    .. math:: k_1 = f(t, y), \quad k_2 = f(t + \tfrac h2, y + \tfrac h2 k_1), \quad
       k_3 = f(t + \tfrac h2, y + \tfrac h2 k_2), \quad k_4 = f(t + h, y + h k_3)

    .. math:: y(t + h) \approx y + \tfrac h6 (k_1 + 2 k_2 + 2 k_3 + k_4)

    The cost is four evaluations of the function for each step, the graph can be compiled and exported, and gradients
    are those of what was computed; the memory of training grows with the steps. The error, :math:`O(h^4)`, is not
    controlled: a flow that changes fast in time needs more steps, or ``adaptive``.

    Args:
        steps: The number of steps.

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


FINER = 32
"""By what tolerances are divided to measure the error: what half the step does to one of order five."""


@component("adaptive")
class Adaptive(OdeSolver):
    r"""Runge-Kutta methods with adaptive step size, by torchdiffeq.

    The estimated error of a step, a root mean square over the batch, stays below ``atol`` + ``rtol`` :math:`|y|`;
    tolerances below the precision of the dtype are raised to it.

    Its steps depend on values, so the graph can neither be compiled as one nor exported, and a sample's result depends,
    within the tolerance, on its batch. Raises `zoo.PluginError` if torchdiffeq is not installed, and `zoo.ZooError` if
    ``max_steps`` do not reach the end.

    Args:
        method: The Runge-Kutta method, by torchdiffeq's name.
        rtol: The relative tolerance of the error.
        atol: The absolute tolerance of the error.
        gradient: ``adjoint`` solves another equation back in time, in memory that does not grow with the number of
            steps; ``backprop`` differentiates the steps that were computed.
        max_steps: The largest number of steps of one solution.

    References: Chen et al., Neural Ordinary Differential Equations, 2018, arXiv:1806.07366, sec. 2; the methods:
    Hairer, Nørsett and Wanner, Solving Ordinary Differential Equations I, 1993, sec. II.4-5.

    >>> solver = Adaptive(rtol=1e-6, atol=1e-6)
    >>> solver(lambda t, y: (y[0],), (torch.ones(1, 1),), 0.0, 1.0, [])[0]    # e
    tensor([[2.7183]])
    """

    def __init__(
        self,
        *,
        method: Literal["dopri5", "dopri8", "bosh3", "adaptive_heun"] = "dopri5",
        rtol: PositiveFloat = 1e-5,
        atol: NonNegativeFloat = 1e-5,
        gradient: Literal["adjoint", "backprop"] = "adjoint",
        max_steps: PositiveInt = 1000,
    ) -> None:
        super().__init__()
        self.method: Literal["dopri5", "dopri8", "bosh3", "adaptive_heun"] = method
        self.rtol, self.atol = rtol, atol
        self.gradient: Literal["adjoint", "backprop"] = gradient
        self.max_steps = max_steps
        self._outside = uncompiled(Adaptive._path)
        _library()

    def refined(self) -> OdeSolver:
        return Adaptive(
            method=self.method,
            rtol=self.rtol / FINER,
            atol=self.atol / FINER,
            gradient=self.gradient,
            max_steps=FINER * self.max_steps,
        )

    def forward(self, f: Dynamics, y: State, start: float, end: float, depends: Sequence[Tensor]) -> State:
        state: State = self._outside(self, f, y, start, end, depends)
        return state

    def _path(self, f: Dynamics, y: State, start: float, end: float, depends: Sequence[Tensor]) -> State:
        if y[0].is_meta:
            raise NotImplementedError("steps of adaptive size need values, which the meta device does not have")
        least = 8.0 * torch.finfo(y[0].dtype).eps
        time = torch.tensor([start, end], dtype=y[0].dtype, device=y[0].device)
        given = {
            "rtol": max(self.rtol, least),
            "atol": max(self.atol, least),
            "method": self.method,
            # A step to the end itself: what is interpolated within a step is less exact than the step.
            "options": {"max_num_steps": self.max_steps, "step_t": time},
        }
        try:
            path = self._solve(f, y, time, depends, given)
        except AssertionError as error:
            raise ZooError(f"the solver '{self.method}' failed between t = {start:g} and {end:g}: {error}") from None
        return tuple(values[-1] for values in path)

    def _solve(self, f: Dynamics, y: State, time: Tensor, depends: Sequence[Tensor], given: dict[str, Any]) -> State:
        if self.gradient == "backprop":
            path: State = _library().odeint(f, y, time, **given)
        else:
            path = _library().odeint_adjoint(f, y, time, adjoint_params=tuple(depends), **given)
        return path


def _library() -> Any:
    """The module torchdiffeq, imported at each use: a model that held it could not be copied."""
    try:
        return import_module("torchdiffeq")
    except ImportError as error:
        raise PluginError(f"the solver 'adaptive' needs torchdiffeq: {install_hint('ode')} ({error})") from None
