"""Categorical posteriors: exact, relaxed, straight-through."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import torch
from pydantic import NonNegativeFloat, PositiveFloat
from torch import Tensor, nn
from torch.nn.functional import one_hot

from zoo import AfterStep, Clock, Shape, component

from ...shared.precision import lifted
from ..priors import UniformCategories
from .base import Draws, Posterior
from .one_hot import OneHot, check_variables


class RelaxedCategorical(Posterior, OneHot, AfterStep, ABC):
    r"""Categorical posterior with Gumbel noise, relaxed in training.

    .. math:: k = \operatorname*{argmax}_j (\log \pi_j + g_j), \qquad g_j = -\log(-\log u_j)

    Training replaces the unit vector of :math:`k`, which has no gradient, by the component's `relaxed`. The softmax has
    the temperature :math:`\tau = \max(\tau_{\min}, \tau_0 e^{-r t})` after t steps.

    Args:
        temperature: The first temperature of the softmax, :math:`\tau_0`.
        anneal: The rate :math:`r` at which the temperature falls, for each step; 0 for a constant one.
        least: The lowest temperature, :math:`\tau_{\min}`.
    """

    temperature: Tensor

    def __init__(
        self,
        latent: Shape,
        *,
        temperature: PositiveFloat = 0.67,
        anneal: NonNegativeFloat = 0.0,
        least: PositiveFloat = 0.1,
    ) -> None:
        check_variables(latent)
        if anneal and least > temperature:
            raise ValueError(f"the minimum temperature ({least:g}) must not exceed the initial one ({temperature:g})")
        super().__init__(latent)
        self.encoded = latent
        self.dimensions = latent[0]
        self.first, self.anneal, self.least = temperature, anneal, least
        self.register_buffer("temperature", torch.tensor(temperature))

    @abstractmethod
    def relaxed(self, hard: Tensor, soft: Tensor) -> Tensor:
        """The draws in training, from unit vectors and their relaxation, ``[n, B, N, K]`` each."""

    def draw(self, h: Tensor, n: int) -> Draws:
        log_pi = lifted(h).log_softmax(-1)
        noise = torch.empty(n, *log_pi.shape, dtype=log_pi.dtype, device=log_pi.device).exponential_()
        scores = log_pi - noise.log()
        hard = self._largest(scores)
        log_q = (hard * log_pi).sum((-2, -1))
        z = self.relaxed(hard, (scores / self.temperature).softmax(-1)) if self.training else hard
        return Draws(z, log_q, torch.full_like(log_q, -math.log(n)))

    def after_step(self, clock: Clock) -> None:
        if not self.anneal:
            return
        t = clock.step + 1
        self.temperature.copy_((self.first * torch.exp(-self.anneal * t)).clamp(min=self.least))

    def log_prob(self, z: Tensor, h: Tensor) -> Tensor:
        return (self._largest(z) * lifted(h).log_softmax(-1)).sum((-2, -1))

    def mean(self, h: Tensor) -> Tensor:
        return lifted(h).softmax(-1)

    def divergence(self, h: Tensor, prior: nn.Module) -> Tensor | None:
        if not isinstance(prior, UniformCategories):
            return None
        log_pi = lifted(h).log_softmax(-1)
        return math.log(self.latent[1]) + (log_pi.exp() * log_pi).sum(-1)

    def _largest(self, scores: Tensor) -> Tensor:
        """The unit vector of the largest number, ``[..., N, K]``."""
        return one_hot(scores.argmax(-1), self.latent[1]).to(scores.dtype)


@component("categorical")
class Categorical(RelaxedCategorical):
    r"""Categorical posterior by Gumbel-softmax: variables of K categories, relaxed to a softmax in training.

    .. math:: z = \operatorname{softmax}\Bigl(\frac{\log \pi(x) + g}{\tau}\Bigr), \qquad g_j = -\log(-\log u_j),
       \qquad \mathrm{KL}_i = \log K + \sum_k \pi_{ik} \log \pi_{ik}

    Draws are Gumbel-softmax, or concrete, in training mode, and unit vectors, :math:`\tau \to 0`, in evaluation: bounds
    are then those of the discrete model. The temperature is :math:`\tau = \max(\tau_{\min}, \tau_0 e^{-r t})` after t
    steps. The density of a draw is the probability of its largest category. The divergence is that of the categories
    from `uniform_categories`, one number for each variable.

    The code of ``x`` is the vector of probabilities.

    References: Jang et al., Categorical Reparameterization with Gumbel-Softmax, 2017, arXiv:1611.01144, eq. 2; Maddison
    et al., The Concrete Distribution, 2017, arXiv:1611.00712.

    Shapes: ``h``, logits, is ``[B, N, K]`` for a latent ``[N, K]``. ValueError for a latent whose shape does not have
    two sizes, and for a first temperature below ``least``.

    >>> import torch, zoo
    >>> posterior = Categorical(zoo.Shape(4, 3))
    >>> posterior.draw(torch.zeros(5, 4, 3), 2).z.sum(-1).shape
    torch.Size([2, 5, 4])
    >>> posterior.eval().draw(torch.zeros(5, 4, 3), 1).z.unique()
    tensor([0., 1.])
    """

    def relaxed(self, hard: Tensor, soft: Tensor) -> Tensor:
        return soft


@component("categorical_straight_through")
class CategoricalStraightThrough(RelaxedCategorical):
    r"""Straight-through categorical posterior: draws are unit vectors, with the gradient of Gumbel-softmax.

    .. math:: z = e_k, \quad k = \operatorname*{argmax}_j (\log \pi_j + g_j), \qquad
       \frac{\partial z}{\partial h} := \frac{\partial}{\partial h}
       \operatorname{softmax}\Bigl(\frac{\log \pi(x) + g}{\tau}\Bigr)

    Otherwise it is the same as `categorical`. The decoder gets the same inputs in training and evaluation, but the
    gradient is biased.

    References: Jang et al., Categorical Reparameterization with Gumbel-Softmax, 2017, arXiv:1611.01144, sec. 2.2.

    Shapes: ``h``, logits, is ``[B, N, K]`` for a latent ``[N, K]``. ValueError for a latent whose shape does not have
    two sizes, and for a first temperature below ``least``.

    >>> import torch, zoo
    >>> posterior = CategoricalStraightThrough(zoo.Shape(4, 3))
    >>> posterior.draw(torch.zeros(5, 4, 3), 2).z.unique()
    tensor([0., 1.])
    """

    def relaxed(self, hard: Tensor, soft: Tensor) -> Tensor:
        # The difference first: it is zero to the last bit.
        return hard + (soft - soft.detach())
