"""Log-determinants of residual blocks: exact or estimated without bias."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import torch
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from zoo import Component, component, sum_event

from ..shared.compilation import uncompiled
from ..shared.derivatives import Function, Noise, against, basis, draw, pullback

if TYPE_CHECKING:
    from zoo.testing import Laws


class LogDet(Component, nn.Module, ABC):
    r"""Computation of :math:`\log|\det(I + J_g(x))|` of a contraction g.

    Shapes: ``x`` and ``g(x)`` are ``[B, *shape]``, the log-determinant is ``[B]``, in nats.
    """

    exact: ClassVar[bool]
    """Whether it is the log-determinant; otherwise it is random, with the log-determinant as its mean."""

    @abstractmethod
    def forward(self, g: Function, x: Tensor) -> tuple[Tensor, Tensor]:
        """``g(x)`` and the log-determinant, with gradients in x and in all that g depends on."""

    @classmethod
    def laws(cls) -> Laws:
        from .laws.log_det import LAWS

        return LAWS

    contracts: ClassVar[Any] = {}


@component("full_jacobian")
class FullJacobian(LogDet):
    r"""Log-determinant of the full Jacobian, exact.

    .. math:: \log|\det(I + J)|, \qquad J_{ij} = \partial g_i / \partial x_j

    by D derivatives of g, which run as one batch, and a factorisation of :math:`O(D^3)` for each sample: for events of
    up to some hundred numbers. Use ``roulette`` for larger ones.

    >>> import torch
    >>> FullJacobian()(lambda x: 0.5 * x, torch.zeros(1, 2))[1].exp()
    tensor([2.2500])
    """

    exact = True

    def forward(self, g: Function, x: Tensor) -> tuple[Tensor, Tensor]:
        y, rows = against(g, x, basis(x))
        J = rows.flatten(2).transpose(0, 1)  # [B, D, D]
        identity = torch.eye(J.shape[1], dtype=J.dtype, device=J.device)
        return y, torch.linalg.slogdet(identity + J).logabsdet


@component("roulette")
class Roulette(LogDet):
    r"""Unbiased estimate of the log-determinant: its power series, truncated at random, along a random direction.

    .. math:: \log\det(I + J) = \mathbb{E}_{n, v}\Bigl[
       \sum_{k=1}^{n} \frac{(-1)^{k+1}}{k} \frac{v^\top J^k v}{\Pr(N \ge k)} \Bigr]

    The number of terms is drawn once for a batch, the direction :math:`v` for each sample. The gradient is a separate
    estimate, of the Neumann series, and needs the graph of one derivative, however long the series is:

    .. math:: \nabla \log\det(I + J) = \mathbb{E}_{n, v}\Bigl[
       \sum_{k=0}^{n} (-1)^k \frac{v^\top J^k}{\Pr(N \ge k)}\, (\nabla J)\, v \Bigr]

    Since the number of terms is random, the graph cannot be compiled as one, and a program that scores cannot be
    exported.

    Args:
        terms: The number of terms that are always computed in training.
        terms_in_evaluation: The number of terms that are always computed outside of training.
        stop: The probability with which the series ends after each further term.
        noise: The distribution of the direction: ``rademacher`` for random signs, or ``normal``.

    References: Chen et al., Residual Flows for Invertible Generative Modeling, 2019, arXiv:1906.02735, eq. 6 and 8;
    without the roulette: Behrmann et al., Invertible Residual Networks, 2019, arXiv:1811.00995, eq. 4.

    >>> import torch
    >>> estimate = Roulette(terms_in_evaluation=40).eval()    # of a multiple of the identity there is no noise
    >>> estimate(lambda x: 0.5 * x, torch.zeros(1, 2))[1].exp()
    tensor([2.2500])
    """

    exact = False

    def __init__(
        self,
        *,
        terms: PositiveInt = 2,
        terms_in_evaluation: PositiveInt = 20,
        stop: Annotated[float, Field(gt=0, lt=1)] = 0.5,
        noise: Noise = "rademacher",
    ) -> None:
        super().__init__()
        self.terms, self.terms_in_evaluation = terms, terms_in_evaluation
        self.stop = stop
        self.noise: Noise = noise
        self._outside = uncompiled(Roulette._estimate)

    def forward(self, g: Function, x: Tensor) -> tuple[Tensor, Tensor]:
        y, log_det = self._outside(self, g, x)
        return y, log_det

    def _estimate(self, g: Function, x: Tensor) -> tuple[Tensor, Tensor]:
        v = draw(self.noise, x)
        value, w = self._series(g, x.detach(), v)
        y, pull = pullback(g, x)
        slope = sum_event(pull(w) * v)
        return y, value + (slope - slope.detach())

    @torch.no_grad()
    def _series(self, g: Function, x: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """The estimate, and the vector that multiplies the derivative of J v in its gradient."""
        _, pull = pullback(g, x)
        value, w, power = x.new_zeros(x.shape[0]), v, v
        for k, weight in enumerate(self._weights(), 1):
            power = -pull(power)
            value = value - weight / k * sum_event(power * v)
            w = w + weight * power
        return value, w

    def _weights(self) -> Iterator[float]:
        """One over the probability that a term is taken, for those that are."""
        sure = self.terms if self.training else self.terms_in_evaluation
        # On the CPU whatever the model is on: only the number of terms depends on it.
        more = int(torch.empty((), dtype=torch.float64, device="cpu").geometric_(self.stop))
        for k in range(sure + more):
            yield (1.0 - self.stop) ** -max(k - sure, 0)
