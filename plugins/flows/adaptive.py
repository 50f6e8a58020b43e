"""Solvers with steps of adaptive size, by torchdiffeq."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any, Literal

import torch
from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt
from torch import Tensor

from zoo import PluginError, ZooError, component, install_hint

from .ode_solver import Dynamics, OdeSolver, State
from .uncompiled import uncompiled

FINER = 32
"""By what tolerances are divided to measure the error: what half the step does to one of order five."""


@component("adaptive")
class Adaptive(OdeSolver):
    r"""Runge-Kutta methods that choose the size of each step, by torchdiffeq.

    A step of the ``method`` is as large as keeps the estimate of its error, a root mean square over the batch, below
    ``atol`` + ``rtol`` :math:`|y|`; tolerances below what the precision resolves are raised to that. The ``gradient``
    by ``adjoint`` solves another equation back in time, in memory that does not grow with the number of steps; the
    ``gradient`` by ``backprop`` goes back through the steps and gives the gradients of what was computed.

    What it does depends on values, so its graph can neither be compiled as one nor exported, and a sample's steps
    depend on the batch that it is in, within the tolerance. Raises `zoo.PluginError` where torchdiffeq is missing, and
    `zoo.ZooError` where ``max_steps`` do not reach the end.

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
            raise NotImplementedError("steps of adaptive size need values: there are none on the meta device")
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
            raise ZooError(f"the solver '{self.method}' gave up between t = {start:g} and {end:g}: {error}") from None
        return tuple(values[-1] for values in path)

    def _solve(self, f: Dynamics, y: State, time: Tensor, depends: Sequence[Tensor], given: dict[str, Any]) -> State:
        if self.gradient == "backprop":
            path: State = _library().odeint(f, y, time, **given)
        else:
            path = _library().odeint_adjoint(f, y, time, adjoint_params=tuple(depends), **given)
        return path


def _library() -> Any:
    """The module torchdiffeq; a model that held it could not be copied."""
    try:
        return import_module("torchdiffeq")
    except ImportError as error:
        raise PluginError(f"the solver 'adaptive' needs torchdiffeq: {install_hint('ode')} ({error})") from None
