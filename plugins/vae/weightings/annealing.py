"""Weights of the divergence that follow a schedule."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Annotated

import torch
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt
from torch import Tensor

from zoo import NOT_A_SIZE, Clock, LatentTerms, Weighting, component

Share = Annotated[float, Field(gt=0.0, le=1.0)]


class Span:
    """Span of training: the first ``steps``, or this ``share`` of the horizon; all of it if neither is given.

    ValueError if both are given.

    >>> import torch
    >>> Span(None, 0.5).passed(torch.tensor(10.0), 100)
    tensor(0.2000)
    """

    def __init__(self, steps: int | None, share: float | None) -> None:
        if steps is not None and share is not None:
            raise ValueError(f"'steps' ({steps}) and 'share' ({share}) cannot be combined: set one")
        self.steps, self.share = steps, 1.0 if share is None else share

    def passed(self, step: Tensor, horizon: int) -> Tensor:
        """The part of the span before a step: 0 in the first step, 1 at its end, and more after it."""
        return step / (self.share * horizon if self.steps is None else self.steps)


class Annealed(Weighting):
    r"""Weight of the divergence that is a function of the step: :math:`L = R + \beta(t)\, \mathrm{KL}`."""

    @abstractmethod
    def beta(self, step: Tensor, horizon: int) -> Tensor:
        """The weight in the step of this number, counted from 0: a scalar of the precision of ``step``."""

    def forward(self, terms: LatentTerms, clock: Clock) -> tuple[Tensor, Mapping[str, Tensor]]:
        beta = self.beta(clock.step.to(terms.kl.dtype), clock.steps)
        return (terms.nll + beta * terms.kl).mean(), {"beta": beta}


@component("linear_beta")
class LinearBeta(Annealed):
    r"""Linear annealing of the weight of the divergence, constant after the end.

    .. math:: \beta(t) = \beta_0 + (\beta_1 - \beta_0) \min(t / T, 1)

    in which :math:`T` is ``steps``, or a ``share`` of the horizon: all of it by default. ValueError if both are given.

    Args:
        start: The first weight, :math:`\beta_0`.
        final: The last weight, :math:`\beta_1`.
        steps: The number of steps T; ``null`` for a share of the horizon.
        share: T as a share of the horizon; ``null`` for all of it.

    References: Sonderby et al., Ladder Variational Autoencoders, 2016, arXiv:1602.02282, sec. 2.3.

    >>> import torch
    >>> beta = LinearBeta(2, final=4.0, share=0.5)
    >>> [beta.beta(torch.tensor(step), 100).item() for step in (0.0, 25.0, 50.0, 75.0)]
    [0.0, 2.0, 4.0, 4.0]
    """

    def __init__(
        self,
        latent_size: int,
        *,
        start: NonNegativeFloat = 0.0,
        final: NonNegativeFloat = 1.0,
        steps: Annotated[PositiveInt, NOT_A_SIZE] | None = None,
        share: Share | None = None,
    ) -> None:
        super().__init__(latent_size)
        self.start, self.final, self.span = start, final, Span(steps, share)

    def beta(self, step: Tensor, horizon: int) -> Tensor:
        return self.start + (self.final - self.start) * self.span.passed(step, horizon).clamp(max=1.0)


@component("cyclical_beta")
class CyclicalBeta(Annealed):
    r"""Cyclical annealing: the weight of the divergence rises from 0 several times in the horizon.

    .. math:: \tau = \frac{t \bmod \lceil T / M \rceil}{T / M}, \qquad
       \beta(t) = \beta_{max} \min(\tau / R, 1)

    with :math:`M` cycles in the :math:`T` steps of the horizon.

    Args:
        cycles: The number of cycles, :math:`M`.
        rise: The share of a cycle in which the weight rises, :math:`R`.
        most: The largest weight, :math:`\beta_{max}`.

    References: Fu et al., Cyclical Annealing Schedule: A Simple Approach to Mitigating KL Vanishing, 2019,
    arXiv:1903.10145, eq. 6 and 7.

    >>> import torch
    >>> beta = CyclicalBeta(2)
    >>> [beta.beta(torch.tensor(step), 400).item() for step in (0.0, 25.0, 50.0, 99.0, 100.0)]
    [0.0, 0.5, 1.0, 1.0, 0.0]
    """

    def __init__(
        self, latent_size: int, *, cycles: PositiveInt = 4, rise: Share = 0.5, most: PositiveFloat = 1.0
    ) -> None:
        super().__init__(latent_size)
        self.cycles, self.rise, self.most = cycles, rise, most

    def beta(self, step: Tensor, horizon: int) -> Tensor:
        whole = -(-horizon // self.cycles)
        tau = step.remainder(whole) * (self.cycles / horizon)
        return self.most * (tau / self.rise).clamp(max=1.0)


@component("sigmoid_beta")
class SigmoidBeta(Annealed):
    r"""Sigmoid annealing of the weight of the divergence.

    .. math:: \beta(t) = \beta_0 + (\beta_1 - \beta_0)\, \sigma\bigl(a (t / T - \tfrac12)\bigr)

    in which :math:`T` is ``steps``, or a ``share`` of the horizon: all of it by default. ValueError if both are given.
    With a steepness of 12.5 the weight starts at 0.2% of the way.

    Args:
        start: The weight before the sigmoid, :math:`\beta_0`.
        final: The weight after the sigmoid, :math:`\beta_1`.
        steepness: The steepness :math:`a` of the sigmoid.
        steps: The number of steps T; ``null`` for a share of the horizon.
        share: T as a share of the horizon; ``null`` for all of it.

    References: Bowman et al., Generating Sentences from a Continuous Space, 2016, arXiv:1511.06349, sec. 3.1, which
    gives no steepness.

    >>> import torch
    >>> beta = SigmoidBeta(2, steps=100)
    >>> [round(beta.beta(torch.tensor(step), 1000).item(), 3) for step in (0.0, 50.0, 100.0)]
    [0.002, 0.5, 0.998]
    """

    def __init__(
        self,
        latent_size: int,
        *,
        start: NonNegativeFloat = 0.0,
        final: NonNegativeFloat = 1.0,
        steepness: PositiveFloat = 12.5,
        steps: Annotated[PositiveInt, NOT_A_SIZE] | None = None,
        share: Share | None = None,
    ) -> None:
        super().__init__(latent_size)
        self.start, self.final, self.steepness, self.span = start, final, steepness, Span(steps, share)

    def beta(self, step: Tensor, horizon: int) -> Tensor:
        risen = torch.sigmoid(self.steepness * (self.span.passed(step, horizon) - 0.5))
        return self.start + (self.final - self.start) * risen


@component("capacity")
class Capacity(Weighting):
    r"""Capacity annealing: the divergence is held at a capacity that grows linearly, by a penalty on the difference.

    .. math:: L = R + \gamma\, \bigl|\mathrm{KL} - C(t)\bigr|, \qquad C(t) = C_{max} \min(t / T, 1)

    of the batch's mean divergence, in nats; :math:`T` is ``steps``, or a ``share`` of the horizon: all of it by
    default. ValueError if both are given. The paper's values for dSprites are ``gamma: 1000, most: 25, steps: 100000``.

    Logs the weights ``gamma`` and ``capacity``.

    Args:
        gamma: The penalty :math:`\gamma` for a difference of one nat.
        most: The largest capacity, :math:`C_{max}`, in nats.
        steps: The number of steps T; ``null`` for a share of the horizon.
        share: T as a share of the horizon; ``null`` for all of it.

    References: Burgess et al., Understanding disentangling in beta-VAE, 2018, arXiv:1804.03599, eq. 8.

    >>> import torch
    >>> terms = LatentTerms(torch.tensor([3.0]), torch.tensor([2.0]), None, 4)
    >>> Capacity(2, gamma=10.0, most=10.0)(terms, Clock(torch.tensor(50), 100))[0]    # 3 + 10 |2 - 5|
    tensor(33.)
    """

    def __init__(
        self,
        latent_size: int,
        *,
        gamma: PositiveFloat = 1000.0,
        most: NonNegativeFloat = 25.0,
        steps: Annotated[PositiveInt, NOT_A_SIZE] | None = None,
        share: Share | None = None,
    ) -> None:
        super().__init__(latent_size)
        self.gamma, self.most, self.span = gamma, most, Span(steps, share)

    def forward(self, terms: LatentTerms, clock: Clock) -> tuple[Tensor, Mapping[str, Tensor]]:
        kl = terms.kl.mean()
        capacity = self.most * self.span.passed(clock.step.to(kl.dtype), clock.steps).clamp(max=1.0)
        loss = terms.nll.mean() + self.gamma * (kl - capacity).abs()
        return loss, {"gamma": kl.new_tensor(self.gamma), "capacity": capacity}
