"""Kind of paths from data to noise."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple

import torch
from torch import Tensor

from zoo import Component

from .constants import constant

if TYPE_CHECKING:
    from zoo.testing import Laws

Norm = Literal["variance", "sum", "signal"]


class Level(NamedTuple):
    r"""Coefficients of a path at a time, and their derivatives in time: :math:`\alpha, \sigma, \dot\alpha, \dot\sigma`.

    Numbers for a solver, which has one time for all examples; tensors ``[B, 1, ...]`` for training.
    """

    alpha: Tensor | float
    sigma: Tensor | float
    d_alpha: Tensor | float
    d_sigma: Tensor | float


class Path(Component, ABC):
    r"""Path from data to noise, as two functions of time.

    .. math:: x_t = \alpha(t)\, x_0 + \sigma(t)\, \epsilon, \qquad \epsilon \sim \mathcal{N}(0, I), \qquad
       \lambda(t) = \log \frac{\alpha(t)^2}{\sigma(t)^2}

    The log-SNR :math:`\lambda` falls strictly from ``start`` to ``end``. A path is fixed when it is built, without
    learned parameters: solvers compute its numbers at a time once.

    Shapes: times and coefficients are tensors of one shape.
    """

    start: float
    """The time at which sampling ends and likelihoods begin: data with next to no noise."""
    end: float
    """The time of the noise that sampling begins with."""
    residue: float = 0.0
    """:math:`\\sigma` at time 0."""
    norm: ClassVar[Norm] = "variance"
    """What is constant: :math:`\\alpha^2 + \\sigma^2`, :math:`\\alpha + \\sigma` or :math:`\\alpha`."""

    def __str__(self) -> str:
        return type(self).__name__.lower()

    @abstractmethod
    def coefficients(self, t: Tensor) -> tuple[Tensor, Tensor]:
        r""":math:`\alpha(t)` and :math:`\sigma(t)`."""

    @abstractmethod
    def derivatives(self, t: Tensor) -> tuple[Tensor, Tensor]:
        r""":math:`\dot\alpha(t)` and :math:`\dot\sigma(t)`."""

    @abstractmethod
    def time_of(self, log_snr: Tensor) -> Tensor:
        r"""The time at which :math:`\lambda` has this value: the inverse of `log_snr`."""

    def log_snr(self, t: Tensor) -> Tensor:
        r""":math:`\lambda(t)`."""
        alpha, sigma = self.coefficients(t)
        return 2.0 * (alpha.log() - sigma.log())

    def slope(self, t: Tensor) -> Tensor:
        r""":math:`-\dot\lambda(t)`, above zero."""
        alpha, sigma = self.coefficients(t)
        d_alpha, d_sigma = self.derivatives(t)
        return 2.0 * (d_sigma / sigma - d_alpha / alpha)

    def nearest(self, t: Tensor) -> Tensor:
        """The times among these that training uses: all of them, unless the path has steps."""
        return t

    def number(self, t: Tensor) -> Tensor:
        """The number by which a network knows the time, from 0 to about 1000."""
        return 1000.0 * t / self.end

    def levels(self, t: Tensor, axes: int) -> Level:
        """The coefficients at times ``[B]``, as tensors of that many axes, ``[B, 1, ...]``."""
        values = (*self.coefficients(t), *self.derivatives(t))
        return Level(*(value.reshape(-1, *[1] * (axes - 1)) for value in values))

    @constant
    def level(self, t: float) -> Level:
        """The coefficients at one time, as numbers computed in float64."""
        at = torch.tensor(t, dtype=torch.float64, device="cpu")
        return Level(*(float(value) for value in (*self.coefficients(at), *self.derivatives(at))))

    @constant
    def time_at(self, log_snr: float) -> float:
        r"""The time at which :math:`\lambda` has this value, computed in float64."""
        return float(self.time_of(torch.tensor(log_snr, dtype=torch.float64, device="cpu")))

    @constant
    def number_at(self, t: float) -> float:
        """The number by which a network knows one time."""
        return float(self.number(torch.tensor(t, dtype=torch.float64, device="cpu")))

    @constant
    def log_snr_at(self, t: float) -> float:
        r""":math:`\lambda(t)` of one time, computed in float64."""
        return float(self.log_snr(torch.tensor(t, dtype=torch.float64, device="cpu")))

    @classmethod
    def laws(cls) -> Laws:
        from ..laws.path import LAWS

        return LAWS


def noise_ratio(level: Level) -> float:
    r""":math:`\sigma / \alpha` of a level of numbers; infinite without any signal."""
    return float(level.sigma / level.alpha) if level.alpha > 0 else float("inf")
