"""Laws of objectives: on normal data a quadratic energy is pulled to the precision that the objective declares."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from zoo import Clock, Energy, Event, Shape, Terms
from zoo.testing import Laws, require

from ..objectives.base import EnergyObjective

N = 4000
ROUNDS = 20
"""Independent estimates of a gradient."""
SIGMAS = 5.0


class Precision(Energy):
    r"""Quadratic energy :math:`\tfrac12 x^\top P x` with a free matrix."""

    def __init__(self, shape: Shape, precision: Tensor) -> None:
        super().__init__(shape)
        self.precision = nn.Parameter(precision.clone())

    def forward(self, x: Tensor) -> Tensor:
        x = x.flatten(1)
        return 0.5 * (x @ self.precision * x).sum(1)


def covariance_of(D: int) -> Tensor:
    """A covariance with correlations, ``[D, D]``."""
    A = torch.eye(D, dtype=torch.float64) + 0.4 * torch.diag(torch.ones(D - 1, dtype=torch.float64), 1)
    return A @ torch.linspace(0.5, 1.5, D, dtype=torch.float64).diag() @ A.mT


def data_of(objective: EnergyObjective, n: int, covariance: Tensor) -> Tensor:
    """Normal data of a covariance, ``[n, *shape]``, from the generator in use."""
    D = objective.event.shape.size
    x: Tensor = torch.randn(n, D, dtype=torch.float64) @ torch.linalg.cholesky(covariance).mT
    return x.view(n, *objective.event.shape)


def loss_of(objective: EnergyObjective, energy: Energy, x: Tensor) -> Terms:
    """The objective in training, at the first step."""
    terms: Terms = objective.train()(energy, x, Clock(torch.tensor(0), 10))
    return terms


def fit_constant(objective: EnergyObjective, precision: Tensor, covariance: Tensor) -> None:
    """Set what an objective learns besides the energy, if anything, to its optimum: the logarithm of Z; noise as wide
    as the data.
    """
    log_z = getattr(objective, "log_z", None)
    if isinstance(log_z, nn.Parameter):
        D = len(precision)
        with torch.no_grad():
            log_z.fill_(0.5 * D * math.log(2.0 * math.pi) - 0.5 * float(torch.logdet(precision)))


def gradients(objective: EnergyObjective, precision: Tensor, change: Callable[[Tensor], Tensor]) -> Tensor:
    """Independent estimates of the expected gradient at a changed precision, ``[ROUNDS, D, D]``, symmetric."""
    covariance = covariance_of(objective.event.shape.size)
    fit_constant(objective, precision, covariance)
    energy = Precision(objective.event.shape, change(precision))
    found = []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for _ in range(ROUNDS):
            loss = loss_of(objective, energy, data_of(objective, N // ROUNDS, covariance)).loss
            (slope,) = torch.autograd.grad(loss, energy.precision)
            found.append(0.5 * (slope + slope.mT))
    return torch.stack(found)


def terms_have_form(objective: EnergyObjective) -> None:
    """The loss is a finite scalar in the dtype of the data; each logged term is a scalar or one number an example."""
    for dtype in (torch.float32, torch.float64):
        part = objective.to(dtype)
        energy = Precision(part.event.shape, torch.eye(part.event.shape.size, dtype=dtype))
        terms = loss_of(part, energy, data_of(part, 6, covariance_of(part.event.shape.size)).to(dtype))
        require(terms.loss.dim() == 0 and bool(terms.loss.isfinite()), "the loss must be a finite scalar")
        require(terms.loss.dtype == dtype, f"in {dtype} the loss is {terms.loss.dtype}")
        for name, values in terms.logs.items():
            require(tuple(values.shape) in ((), (6,)), f"the term '{name}' has shape {list(values.shape)}")


def minimiser_is_the_precision(objective: EnergyObjective) -> None:
    """At the declared `optimum` the expected gradient is zero."""
    precision = objective.optimum(covariance_of(objective.event.shape.size))
    if precision is None:
        return
    slopes = gradients(objective, precision, lambda P: P)
    error = slopes.std(0) / math.sqrt(ROUNDS)
    worst = float((slopes.mean(0).abs() / error.clamp_min(1e-12)).max())
    require(worst <= SIGMAS, f"at its optimum the expected gradient is {worst:.1f} standard errors from zero")


def descends_to_its_minimiser(objective: EnergyObjective) -> None:
    """Away from the minimiser the negative gradient points towards it, on both sides."""
    covariance = covariance_of(objective.event.shape.size)
    precision = objective.optimum(covariance)
    if precision is None:
        return
    for factor in (0.5, 2.0):
        slope = gradients(objective, precision, lambda P, factor=factor: factor * P).mean(0)  # type: ignore[misc]
        along = float((slope * (factor - 1.0) * precision).sum())
        require(
            along > 0.0, f"at {factor:g} times the precision the loss falls away from its minimiser: change its sign"
        )


def scoring_keeps_the_energy(objective: EnergyObjective) -> None:
    """The objective leaves the gradients of the energy's parameters to training: it sets none itself."""
    D = objective.event.shape.size
    energy = Precision(objective.event.shape, torch.eye(D, dtype=torch.float64))
    loss_of(objective, energy, data_of(objective, 6, covariance_of(D)))
    require(energy.precision.grad is None, "forward must not call backward on the energy's parameters")


def _in_float64(objective: EnergyObjective, law: Callable[[EnergyObjective], None]) -> None:
    law(objective.double())


LAWS = Laws.of(
    terms_have_form,
    minimiser_is_the_precision,
    descends_to_its_minimiser,
    scoring_keeps_the_energy,
    given=[(Event("point", Shape(2)),), (Event("row", Shape(3)),), (Event("image", Shape(1, 2, 2)),)],
    hold=_in_float64,
)
