"""Points drawn from the density of an energy."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from pydantic import NonNegativeInt, PositiveInt
from torch import Tensor

from zoo import DataError, Dataset, Energy, Event, Examples, InMemory, Part, Shape, component

CELLS = 512
"""Cells along each axis of the grid on which the lowest energy is searched."""
MARGIN = 0.01
"""The margin of the lowest energy below the lowest one on the grid, in nats."""
RAREST = 1e-4
"""The least share of accepted proposals."""
PROPOSALS = 1 << 18
"""Proposals at a time."""


@component("energy", example={"of": "u1", "size": 64, "test_size": 32})
class EnergySamples(Dataset):
    r"""Points in the plane, drawn from the density of an energy.

    .. math:: x \sim \frac{\exp(-U(x))}{Z}

    by rejection, so exactly: a uniform proposal on the square of the energy's ``extent`` is accepted with probability
    :math:`\exp(\min U - U(x))`, the minimum being that on a fine grid less a margin of 0.01. A batch has ``point``,
    float32 ``[B, 2]``. Both splits are drawn independently: a pure function of the parameters.

    A flow that learns the energy itself, by ``reverse_kl``, does not train on the points: they serve for scores and
    pictures.

    Raises ValueError for an energy whose extent is not known, and `zoo.DataError` if almost all proposals would be
    rejected.

    Args:
        of: The energy :math:`U`.
        size: The number of training examples.
        test_size: The number of test examples.
        seed: The seed of the random numbers.

    >>> import zoo
    >>> ring = zoo.declare(zoo.Dataset, {"type": "energy", "of": "u1", "size": 1000})().split("train")
    >>> radius = ring.read(torch.arange(1000))["point"].norm(dim=1)
    >>> round(radius.mean().item(), 1)
    2.1
    """

    places = ()

    def __init__(
        self,
        *,
        of: Part[Energy],
        size: PositiveInt = 20_000,
        test_size: PositiveInt = 10_000,
        seed: NonNegativeInt = 0,
    ) -> None:
        self.energy = of(self.event.shape).double()
        if self.energy.extent is None:
            raise ValueError(f"energy '{of.name}' has no 'extent', the square that contains its mass")
        self.extent = self.energy.extent
        self.sizes = {"train": size, "test": test_size}
        self.seed = seed

    @property
    def event(self) -> Event:
        return Event("point", Shape(2))

    def split(self, name: Literal["train", "test"]) -> Examples:
        rng = np.random.default_rng([self.seed, ("train", "test").index(name)])
        with torch.no_grad():
            points = self._draw(self.sizes[name], rng)
        return InMemory({"point": points.float()})

    def _draw(self, n: int, rng: np.random.Generator) -> Tensor:
        lowest = self._lowest()
        kept: list[Tensor] = []
        while sum(map(len, kept)) < n:
            x = torch.from_numpy(rng.uniform(-self.extent, self.extent, (PROPOSALS, 2)))
            stays = torch.from_numpy(rng.random(PROPOSALS)).log() < lowest - self.energy(x)
            kept.append(x[stays])
        return torch.cat(kept)[:n]

    def _lowest(self) -> Tensor:
        """A lower bound of the energy."""
        axis = torch.linspace(-self.extent, self.extent, CELLS + 1, dtype=torch.float64)
        values = self.energy(torch.cartesian_prod(axis, axis))
        lowest: Tensor = values.min() - MARGIN
        share = (lowest - values).exp().mean().item()
        if share < RAREST:
            raise DataError(f"only {share:.1e} of the proposals on the energy's square would be accepted: cannot draw")
        return lowest
