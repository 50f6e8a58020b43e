"""Points in the plane, drawn from figures."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from pydantic import NonNegativeFloat, NonNegativeInt, PositiveInt

from zoo import Dataset, Event, Examples, InMemory, Shape, component

from .figures import FIGURES, SOLID

# fmt: off
Figure = Literal[
    "two_moons", "eight_gaussians", "checkerboard", "pinwheel", "rings", "spirals", "banana", "funnel", "student_t"
]
# fmt: on


@component("toy2d", example={"figure": "two_moons", "size": 64, "test_size": 32})
class Toy2D(Dataset):
    r"""Figures in the plane with Gaussian noise: two moons, eight Gaussians, a checkerboard and others.

    .. math:: x = c + \sigma\varepsilon, \qquad c \sim \text{figure}, \quad \varepsilon \sim \mathcal N(0, I)

    A batch has ``point``, float32 ``[B, 2]``. Both splits are drawn independently: a pure function of the parameters.
    The density of two moons is known exactly: see ``two_moons``; so are those of ``banana``, ``funnel`` and
    ``student_t`` without noise, with entropies of 1.6339, 3.2433 and 3.2379 nats: see ``curved``.

    Raises ValueError for a figure of points or curves without noise, which has no density.

    Args:
        figure: The figure from which :math:`c` is drawn.
        noise: The standard deviation of the noise, :math:`\sigma`.
        size: The number of training examples.
        test_size: The number of test examples.
        seed: The seed of the random numbers.

    References: the figures are those of Grathwohl et al., FFJORD, 2018, arXiv:1810.01367, figure 2 and its code.

    >>> moons = Toy2D(figure="two_moons", size=100)
    >>> moons.split("train").read(torch.arange(3))["point"].shape
    torch.Size([3, 2])
    """

    places = ()

    def __init__(
        self,
        *,
        figure: Figure,
        noise: NonNegativeFloat = 0.1,
        size: PositiveInt = 20_000,
        test_size: PositiveInt = 10_000,
        seed: NonNegativeInt = 0,
    ) -> None:
        if noise == 0.0 and figure not in SOLID:
            raise ValueError(f"figure '{figure}' has no density without noise: choose noise above 0")
        self.figure = figure
        self.noise = noise
        self.sizes = {"train": size, "test": test_size}
        self.seed = seed

    @property
    def event(self) -> Event:
        return Event("point", Shape(2))

    def split(self, name: Literal["train", "test"]) -> Examples:
        rng = np.random.default_rng([self.seed, ("train", "test").index(name)])
        n = self.sizes[name]
        points = FIGURES[self.figure](rng, n) + self.noise * rng.standard_normal((n, 2))
        return InMemory({"point": torch.from_numpy(points.astype(np.float32))})
