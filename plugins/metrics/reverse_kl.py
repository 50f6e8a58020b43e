"""Divergence of a model from an energy."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Literal

import torch
from pydantic import PositiveInt

from zoo import Batch, Energy, Measurement, Metric, Model, Part, Samples, component, counted

from .likelihood import log_likelihoods, scores

POINTS = {1: 4097, 2: 513}
"""Points of the grid along each axis, by the number of axes."""


@component("reverse_kl", example={"energy": "u1"}, added={"batch": 10_000})
class ReverseKL(Metric):
    r"""Kullback-Leibler divergence of a model :math:`q` from the density of an energy, in nats.

    .. math:: \mathrm{KL}(q \,\|\, p) = \mathrm{E}_{x \sim q}[\log q(x) + U(x)] + \log Z, \qquad
       Z = \int \exp(-U(x))\, dx

    The expectation is the mean over samples of the model: no data is used. :math:`Z` is an integral by the trapezoid
    rule over the cube of the energy's ``extent``. Zero for a perfect model; lower is better.

    Raises ValueError for a model that does not sample or has no exact likelihood, and for an energy over more than two
    numbers or of unknown extent.

    Args:
        energy: The energy :math:`U`.
        draws: The number of samples of the model.
        batch: The number of samples that are drawn and scored at a time.

    References: Rezende and Mohamed, Variational inference with normalizing flows, 2015, arXiv:1505.05770, eq. 15.
    """

    def __init__(self, *, energy: Part[Energy], draws: PositiveInt = 20_000, batch: PositiveInt = 10_000) -> None:
        self.energy = energy
        self.draws = draws
        self.batch = batch

    def check(self, model: Model) -> None:
        if not scores(model).exact:
            raise ValueError(f"the likelihood of {type(model).__name__} is not exact")
        _samples(model)
        if model.conditions:
            raise ValueError(
                f"needs an unconditional model; this one is conditioned on its {' and '.join(model.conditions)}"
            )
        if model.event.shape.size not in POINTS:
            raise ValueError(f"log Z is an integral over one or two numbers, got {model.event.shape.size}")
        energy = self.energy(model.event.shape)
        if energy.extent is None:
            raise ValueError(f"the energy {type(energy).__name__} has no 'extent', the square that contains its mass")

    def figures(self) -> Mapping[str, Literal["min", "max"] | None]:
        return {"reverse_kl": "min"}

    def measure(self, model: Model, batches: Iterable[Batch]) -> Mapping[str, Measurement]:
        self.check(model)
        sizes = [min(self.batch, self.draws - start) for start in range(0, self.draws, self.batch)]
        with torch.no_grad():
            x = [_samples(model).sample(n) for n in counted(sizes, len(sizes))]
            energies = torch.cat([self.energy(model.event.shape).to(draws)(draws) for draws in x]).cpu().double()
        found = log_likelihoods(model, ({model.event.name: draws} for draws in counted(x, len(x))), draws=1)
        gaps = found.nats + energies + log_partition(self.energy(model.event.shape))
        return {"reverse_kl": found.mean(gaps), **found.details("reverse_kl")}


@torch.no_grad()
def log_partition(energy: Energy) -> float:
    """:math:`\\log Z` of an energy over one or two numbers, in float64 on the CPU; ValueError without an extent.

    >>> import zoo
    >>> u2 = zoo.declare(zoo.Energy, "u2")(zoo.Shape(2))
    >>> math.isclose(log_partition(u2), math.log(2 * math.pi * 0.4**2 + 8 * math.sqrt(2 * math.pi) * 0.4), rel_tol=1e-6)
    True
    """
    if energy.extent is None:
        raise ValueError(f"the energy {type(energy).__name__} has no 'extent', the square that contains its mass")
    axes = energy.shape.size
    axis = torch.linspace(-energy.extent, energy.extent, POINTS[axes], dtype=torch.float64)
    x = torch.cartesian_prod(*[axis] * axes).reshape(-1, *energy.shape)
    # The trapezoid rule's half weights at the edge are left out: nothing of the mass is there.
    log_sum: float = (-energy.double()(x)).logsumexp(0).item()
    return log_sum + axes * math.log((axis[1] - axis[0]).item())


def _samples(model: Model) -> Samples:
    if not isinstance(model, Samples):
        raise ValueError(f"the model {type(model).__name__} does not sample")
    return model
