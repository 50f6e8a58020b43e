"""Laws of solvers: their order on irregular steps, on Gaussian data, whose equation is solved in closed form."""

from __future__ import annotations

import math
from functools import partial

import torch
from torch import Tensor

from zoo.testing import Laws, require

from ..paths.base import Path
from ..paths.closed import Rectified, VariancePreserving
from ..solvers.base import DiffusionSolver
from ..targets import Prediction
from .gaussian import carried, denoised, irregular, paths, start

COARSE = 128
SLACK = 100.0
"""By how much the error of a whole solution may exceed the tolerance of its steps."""


def _predict(path: Path, x: Tensor, t: float) -> Prediction:
    return denoised(x, path.level(t))


def _error(solver: DiffusionSolver, path: Path, steps: int) -> float:
    times = irregular(path, steps)
    x = start(path, times[0])
    found = solver.solve(partial(_predict, path), path, x, times)
    wanted = carried(x, path.level(times[0]), path.level(times[-1]))
    return float((found - wanted).square().mean().sqrt())


def order_is_kept_on_irregular_steps(solver: DiffusionSolver) -> None:
    """With half the steps the error falls by two to the order, on every path, where steps are long and short in
    turn; a solver to a tolerance has an error of its size.
    """
    for path in paths():
        if solver.order is None:
            error, most = _error(solver, path, 1), SLACK * getattr(solver, "tolerance", 0.0)
            require(error <= most, f"its error is {error:.2g} on the path {type(path).__name__}, expected {most:.2g}")
            continue
        coarse, fine = _error(solver, path, COARSE), _error(solver, path, 2 * COARSE)
        order = math.log2(coarse / max(fine, 1e-300))
        name = type(path).__name__
        require(order >= solver.order - 0.1, f"its order is {order:.2f} on the path {name}, declared {solver.order}")


def few_steps_are_finite(solver: DiffusionSolver) -> None:
    """One, two and three steps from noise without signal give finite data."""
    for path in paths():
        for count in (2, 3, 4):
            times = solver.grid.times(path, count)
            x = start(path, times[0])
            found = solver.solve(partial(_predict, path), path, x, times)
            require(found.isfinite().all(), f"{count - 1} steps on the path {type(path).__name__} are not finite")


def evaluations_are_those_declared(solver: DiffusionSolver) -> None:
    """A step takes the declared number of evaluations, the first one its extra ones too, none of them at time zero."""
    path, seen = VariancePreserving(), []

    def predict(x: Tensor, t: float) -> Prediction:
        seen.append(t)
        return _predict(path, x, t)

    times = irregular(path, 7)
    solver.solve(predict, path, start(path, times[0]), times)
    wanted = 7 * solver.evaluations + solver.extra
    require(solver.order is None or len(seen) == wanted, f"7 steps take {len(seen)} evaluations, expected {wanted}")
    require(min(seen) > 0.0, "the network is evaluated at time 0, which has no noise")


def backwards_undoes_forwards(solver: DiffusionSolver) -> None:
    """From noise to data and back again is where it began, but for the error of the steps."""
    for path in (VariancePreserving(), Rectified()):
        times = irregular(path, 512 if solver.order else 1)
        x = start(path, times[0])
        predict = partial(_predict, path)
        back = solver.solve(predict, path, solver.solve(predict, path, x, times), times[::-1])
        off = float((back - x).abs().max())
        require(off <= 0.2, f"from noise to data and back it is off by {off:.2g}")


def rows_are_alone(solver: DiffusionSolver) -> None:
    """A draw is a function of its noise: alone it is as in a batch, whatever was drawn before."""
    path = VariancePreserving()
    times, predict = irregular(path, 6), partial(_predict, path)
    x = start(path, times[0])
    whole = solver.solve(predict, path, x, times)
    alone = torch.cat([solver.solve(predict, path, x[i : i + 1], times) for i in range(len(x))])
    require(torch.allclose(whole, alone, rtol=1e-12, atol=1e-12), "a row depends on others, or on an earlier solution")


LAWS = Laws.of(
    order_is_kept_on_irregular_steps,
    few_steps_are_finite,
    evaluations_are_those_declared,
    backwards_undoes_forwards,
    rows_are_alone,
    given=[()],
)
