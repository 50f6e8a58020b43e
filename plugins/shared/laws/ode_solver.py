"""Laws of solvers of ordinary differential equations, by equations with known solutions."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from zoo.testing import Laws, require

from ..ode import OdeSolver, State

TOLERANCE = 1e-3
"""What a solver may be off on the smooth equations here, which change by about one."""


def _matrix() -> Tensor:
    """A rotation that decays, ``[2, 2]``."""
    return torch.tensor([[-0.3, 1.2], [-0.9, 0.1]], dtype=torch.float64)


def _start() -> Tensor:
    return torch.tensor([[1.0, 0.0], [-0.5, 2.0], [0.3, 0.7]], dtype=torch.float64)


def _off(found: Tensor, wanted: Tensor) -> float:
    return float((found - wanted).detach().abs().nan_to_num(nan=math.inf).max())


def solves_a_linear_equation(solver: OdeSolver) -> None:
    r"""The solution of :math:`\dot y = A y` is :math:`e^{A t} y_0`, forwards and backwards in time."""
    A, y = _matrix(), _start()
    for start, end in ((0.0, 1.0), (0.5, -0.5)):
        (found,) = solver(lambda t, state: (state[0] @ A.mT,), (y,), start, end, [])
        off = _off(found, y @ torch.linalg.matrix_exp((end - start) * A).mT)
        require(off < TOLERANCE, f"from {start:g} to {end:g} it is {off:.1e} off the solution of a linear equation")


def follows_the_time(solver: OdeSolver) -> None:
    r"""The dynamics get the time: of :math:`\dot y = \cos t` the solution is :math:`\sin t`."""
    y = torch.zeros(2, 1, dtype=torch.float64)
    (found,) = solver(lambda t, state: (torch.ones_like(y) * math.cos(float(t)),), (y,), 0.4, 1.9, [])
    off = _off(found, torch.full_like(y, math.sin(1.9) - math.sin(0.4)))
    require(
        off < TOLERANCE, f"it is {off:.1e} off where the slope depends on time: give the dynamics the time of each step"
    )


def tensors_evolve_together(solver: OdeSolver) -> None:
    """The tensors of a state are solved together, and each has its shape."""

    def dynamics(t: Tensor | float, state: State) -> State:
        y, _ = state
        return -y, y.sum(1)

    y, area = _start(), torch.zeros(3, dtype=torch.float64)
    found = solver(dynamics, (y, area), 0.0, 1.0, [])
    require(len(found) == 2, f"expected a state of 2 tensors, got {len(found)}")
    off = max(_off(found[0], y * math.exp(-1.0)), _off(found[1], y.sum(1) * (1.0 - math.exp(-1.0))))
    require(
        off < TOLERANCE,
        f"the tensors of a state are up to {off:.1e} off: each must depend on the others at the same time",
    )


def gradients_are_those_of_the_solution(solver: OdeSolver) -> None:
    """Gradients reach the start and the tensors that the dynamics depend on."""
    A, y = _matrix().requires_grad_(), _start().requires_grad_()
    weight = torch.tensor([[1.0, -2.0]], dtype=torch.float64)
    (found,) = solver(lambda t, state: (state[0] @ A.mT,), (y,), 0.0, 1.0, [A])
    ours = torch.autograd.grad((weight * found).sum(), (y, A), materialize_grads=True)
    wanted = torch.autograd.grad((weight * (y @ torch.linalg.matrix_exp(A).mT)).sum(), (y, A))
    for of, gradient, right in zip(("the start", "what the dynamics depend on"), ours, wanted, strict=True):
        off = _off(gradient, right)
        require(off < 10.0 * TOLERANCE, f"the gradient in {of} is {off:.1e} off")


def refined_is_closer(solver: OdeSolver) -> None:
    """`refined` is off by at most half as much."""
    A, y = 3.0 * _matrix(), _start()
    wanted = y @ torch.linalg.matrix_exp(A).mT
    coarse, fine = (
        _off(one(lambda t, state: (state[0] @ A.mT,), (y,), 0.0, 1.0, [])[0], wanted)
        for one in (solver, solver.refined())
    )
    require(fine <= max(0.5 * coarse, 1e-10), f"refined, it is {fine:.1e} off, unrefined {coarse:.1e}")


LAWS = Laws.of(
    solves_a_linear_equation,
    follows_the_time,
    tensors_evolve_together,
    gradients_are_those_of_the_solution,
    refined_is_closer,
    given=[()],
)
