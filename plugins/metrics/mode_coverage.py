"""Coverage of the modes of points with known centres."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Annotated, Literal

import torch
from pydantic import Field, PositiveFloat
from torch import Tensor

from zoo import Batch, DataError, Measurement, Metric, Model, component

from .samples.draws import samples

Point = Annotated[list[float], Field(min_length=1)]
R = 2 * math.sqrt(2)
EIGHT_GAUSSIANS = [[R * math.cos(i * math.pi / 4), R * math.sin(i * math.pi / 4)] for i in range(8)]
"""The centres of the figure of this name."""
OF_DATA = 0.99
"""The share of held-out data that must lie within modes."""


@component("mode_coverage")
class ModeCoverage(Metric):
    r"""Coverage of known modes by draws: how many are found, how many draws lie in one, and their shares.

    .. math::
        \text{inside} = \tfrac1N \textstyle\sum_i [d_i \le k \sigma], \qquad
        \text{kl} = \sum_{j=1}^K s_j \log(K s_j), \qquad d_i = \min_j \lVert x_i - c_j \rVert

    ``modes`` is the number of centres :math:`c_j` with a draw within :math:`k \sigma`, ``inside`` the share of such
    draws, and ``kl`` the divergence of their shares :math:`s_j` from equal ones, in nats: at
    most :math:`\log K`, which it is without a draw inside. Each held-out example gives
    one draw, of its own label for a model that is conditioned on one. More modes and draws inside and less ``kl`` are
    better. Data itself has an ``inside`` of 0.9997 in the plane with :math:`k = 4`, and a ``kl`` of about
    :math:`(K - 1) / 2N`.

    Args:
        centres: The centres of the modes; the default is those of ``eight_gaussians``.
        sd: The standard deviation of a mode, :math:`\sigma`.
        within: The largest distance from a centre, in standard deviations, :math:`k`.

    Raises ValueError for a model that does not draw points of as many numbers as a centre has, and `zoo.DataError` for
    held-out data that does not lie at these modes.

    References: Srivastava et al., VEEGAN, 2017, arXiv:1705.07761, section 4.1.

    >>> import zoo
    >>> metric = zoo.declare(zoo.Metric, {"type": "mode_coverage", "centres": [[0.0], [1.0]], "sd": 0.1})()
    >>> figures = metric.of(torch.tensor([[0.1], [0.9], [0.0], [1.1], [0.5]]))
    >>> {name: round(figure.value, 3) for name, figure in figures.items()}
    {'modes': 2.0, 'inside': 0.8, 'kl': 0.0}
    """

    def __init__(
        self,
        *,
        centres: Annotated[list[Point], Field(min_length=1)] = EIGHT_GAUSSIANS,
        sd: PositiveFloat = 0.1,
        within: PositiveFloat = 4.0,
    ) -> None:
        if len({len(point) for point in centres}) > 1:
            raise ValueError("the centres must have equally many numbers")
        self.centres = torch.tensor(centres, dtype=torch.float64)  # [K, D]
        self.radius = within * sd

    def check(self, model: Model) -> None:
        samples(model)
        if tuple(model.event.shape) != tuple(self.centres.shape[1:]):
            D, event = self.centres.shape[1], model.event
            raise ValueError(f"the centres have {D} numbers, but '{event.name}' has the shape {event.shape}")

    def check_data(self, batches: Iterable[Batch]) -> None:
        for batch in batches:
            points = next(x for x in batch.values() if x.shape[1:] == self.centres.shape[1:] and x.is_floating_point())
            share = float((self._distances(points).amin(1) <= self.radius).double().mean())
            if share < OF_DATA:
                raise DataError(
                    f"{share:.0%} of the data lies within {self.radius:g} of a centre, expected {OF_DATA:.0%}: set "
                    "'centres' and 'sd' to those of the data"
                )
            return

    def figures(self) -> Mapping[str, Literal["min", "max"] | None]:
        return {"modes": "max", "inside": "max", "kl": "min"}

    def measure(self, model: Model, batches: Iterable[Batch]) -> Mapping[str, Measurement]:
        self.check(model)
        drawing = samples(model)
        draws = [drawing.sample(len(batch[model.event.name]), model.given(batch)).cpu() for batch in batches]
        if not draws:
            raise DataError("no examples to measure on")
        return self.of(torch.cat(draws))

    def of(self, draws: Tensor) -> Mapping[str, Measurement]:
        """The figures of draws ``[N, D]``."""
        distance, nearest = self._distances(draws).min(1)  # [N]
        inside = distance <= self.radius
        counts = nearest[inside].bincount(minlength=len(self.centres)).double()
        shares = counts / counts.sum().clamp(min=1)
        kl = torch.xlogy(shares, len(self.centres) * shares).sum() if counts.any() else math.log(len(self.centres))
        n = len(draws)
        return {
            "modes": Measurement(float((counts > 0).sum()), n, "estimate"),
            "inside": Measurement.mean_of(inside.double(), "estimate"),
            "kl": Measurement(float(kl), n, "estimate"),
        }

    def _distances(self, points: Tensor) -> Tensor:
        """From each point to each centre, ``[N, K]``."""
        return torch.cdist(points.cpu().double(), self.centres)
