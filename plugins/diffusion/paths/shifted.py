"""Path with more noise, for larger images."""

from __future__ import annotations

import math

import torch
from pydantic import PositiveFloat
from torch import Tensor

from zoo import Part, component

from .base import Path


@component("shifted", example={"of": "rectified", "by": 3.0})
class Shifted(Path):
    r"""Path with its noise multiplied: the log-SNR is shifted at each time.

    .. math:: \lambda(t) = \lambda_{\mathrm{of}}(t) - 2 \log s

    In an image of more pixels, noise of one size hides less. The coefficients keep the norm of the path, such as
    :math:`\alpha^2 + \sigma^2 = 1`; of ``rectified`` it is the time change :math:`t \to s t / (1 + (s - 1) t)`.

    Args:
        of: The path.
        by: The factor :math:`s`; the published choice is the ratio of the sides of two images.

    References: Hoogeboom et al., Simple Diffusion, 2023, arXiv:2301.11093, eq. 3; Esser et al., Scaling Rectified Flow
    Transformers, 2024, arXiv:2403.03206, eq. 23.

    >>> import torch, zoo
    >>> path = zoo.declare(Path, {"type": "shifted", "of": "rectified", "by": 3.0})()
    >>> path.coefficients(torch.tensor(0.5))
    (tensor(0.2500), tensor(0.7500))
    """

    def __init__(self, *, of: Part[Path], by: PositiveFloat) -> None:
        self.of, self.by = of(), by
        self.start, self.end = self.of.start, self.of.end
        self.norm = self.of.norm  # type: ignore[misc]
        self.residue = by * self.of.residue if self.norm == "signal" else self.of.residue

    def coefficients(self, t: Tensor) -> tuple[Tensor, Tensor]:
        alpha, sigma = self.of.coefficients(t)
        scale = self._norm(alpha, self.by * sigma)
        return alpha / scale, self.by * sigma / scale

    def derivatives(self, t: Tensor) -> tuple[Tensor, Tensor]:
        alpha, sigma = self.of.coefficients(t)
        d_alpha, d_sigma = self.of.derivatives(t)
        sigma, d_sigma = self.by * sigma, self.by * d_sigma
        scale = self._norm(alpha, sigma)
        if self.norm == "variance":
            rate = (alpha * d_alpha + sigma * d_sigma) / scale
        else:
            rate = d_alpha + d_sigma if self.norm == "sum" else d_alpha
        return (d_alpha - alpha * rate / scale) / scale, (d_sigma - sigma * rate / scale) / scale

    def time_of(self, log_snr: Tensor) -> Tensor:
        return self.of.time_of(log_snr + 2.0 * math.log(self.by))

    def nearest(self, t: Tensor) -> Tensor:
        return self.of.nearest(t)

    def number(self, t: Tensor) -> Tensor:
        return self.of.number(t)

    def _norm(self, alpha: Tensor, sigma: Tensor) -> Tensor:
        if self.norm == "variance":
            return torch.hypot(alpha, sigma)
        return alpha + sigma if self.norm == "sum" else alpha
