"""Grids: the times at which a solver evaluates the network."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import torch
from pydantic import PositiveFloat
from torch import Tensor

from zoo import Component, component

from ..paths.base import Path
from ..paths.constants import constant

if TYPE_CHECKING:
    from zoo.testing import Laws

MOST = 1e3
"""The largest ratio of noise to signal on a grid over the noise, of a path that ends without any signal."""


class Grid(Component, ABC):
    r"""Times of a path from noise to data, as a smooth function of :math:`s \in [0, 1]`.

    .. math:: t(0) = t_1, \qquad t(1) = t_0

    A solver takes its values at equal distances of s; an ODE solver may take s itself as time. Times are never rounded
    to those of training.
    """

    @abstractmethod
    def at(self, path: Path, s: Tensor) -> Tensor:
        """The times of numbers in [0, 1], falling; in float64 on the CPU."""

    @constant
    def times(self, path: Path, count: int) -> tuple[float, ...]:
        """``count`` times from noise to data, at least two."""
        s = torch.linspace(0.0, 1.0, max(count, 2), dtype=torch.float64, device="cpu")
        return (path.end, *self.at(path, s)[1:-1].tolist(), path.start)

    @constant
    def moment(self, path: Path, s: float) -> tuple[float, float]:
        r"""The time :math:`t(s)` and its derivative in s."""
        with torch.enable_grad():
            at = torch.tensor(s, dtype=torch.float64, device="cpu", requires_grad=True)
            t = self.at(path, at)
            (rate,) = torch.autograd.grad(t, at)
        return float(t.detach()), float(rate)

    @classmethod
    def laws(cls) -> Laws:
        from ..laws.grid import LAWS

        return LAWS


@component("uniform")
class UniformGrid(Grid):
    r"""Equal steps of time.

    .. math:: t(s) = t_1 + s (t_0 - t_1)
    """

    def at(self, path: Path, s: Tensor) -> Tensor:
        return path.end + s * (path.start - path.end)


@component("quadratic")
class Quadratic(Grid):
    r"""Steps of time that shrink towards the data.

    .. math:: t(s) = \bigl(\sqrt{t_1} + s (\sqrt{t_0} - \sqrt{t_1})\bigr)^2

    References: Song et al., Denoising Diffusion Implicit Models, 2020, arXiv:2010.02502, app. D.2.
    """

    def at(self, path: Path, s: Tensor) -> Tensor:
        root = path.end**0.5
        t: Tensor = (root + s * (path.start**0.5 - root)).square()
        return t


@component("karras")
class Karras(Grid):
    r"""Steps of a root of the noise.

    .. math:: \frac{\sigma(t)}{\alpha(t)} = \Bigl(\sigma_1^{1/\rho} + s \bigl(\sigma_0^{1/\rho} -
       \sigma_1^{1/\rho}\bigr)\Bigr)^\rho

    Args:
        rho: The root :math:`\rho`: 1 for equal steps of the noise, towards infinity for equal steps of its logarithm.

    References: Karras et al., Elucidating the Design Space of Diffusion-Based Generative Models, 2022,
    arXiv:2206.00364, eq. 5.
    """

    def __init__(self, *, rho: PositiveFloat = 7.0) -> None:
        self.rho = rho

    def at(self, path: Path, s: Tensor) -> Tensor:
        low, high = (ratio ** (1.0 / self.rho) for ratio in _ratios(path))
        return path.time_of(-2.0 * self.rho * torch.log(high + s * (low - high)))


@component("log_snr")
class LogSNR(Grid):
    r"""Equal steps of the log-SNR.

    .. math:: \lambda(t(s)) = \lambda_1 + s (\lambda_0 - \lambda_1)

    References: Lu et al., DPM-Solver, 2022, arXiv:2206.00927, sec. 4.1.
    """

    def at(self, path: Path, s: Tensor) -> Tensor:
        low, high = (-2.0 * torch.tensor(ratio, dtype=torch.float64, device="cpu").log() for ratio in _ratios(path))
        return path.time_of(high + s * (low - high))


def _ratios(path: Path) -> tuple[float, float]:
    """The least and the largest ratio of noise to signal on a grid."""
    first, last = path.level(path.start), path.level(path.end)
    most = float(last.sigma / last.alpha) if last.alpha > 0 else MOST
    return float(first.sigma / first.alpha), min(most, MOST)
