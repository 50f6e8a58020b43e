"""Penalties of a discriminator: on the gradient of its logits, or bounds of its parameters."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, NamedTuple

import torch
from pydantic import Field, PositiveFloat
from torch import Tensor, nn

from zoo import BatchStatistics, Clock, Component, Part, component

from .weights import Weight, at

if TYPE_CHECKING:
    from zoo.testing import Laws

Critic = Callable[[Tensor], Tensor]
"""The logits of data, ``[B, *shape] -> [B]``, each a function of its own example."""


class Penalty(Component, nn.Module, ABC):
    """Term of a discriminator's loss that bounds how steep it is, or a bound of its parameters.

    Shapes: real data and draws ``[B, *shape]``, on the scale of the discriminator; the penalty ``[B]``.
    """

    weight: Weight = 1.0
    """Factor of the penalty in the loss of the discriminator."""

    @abstractmethod
    def forward(self, critic: Critic, real: Tensor, fake: Tensor) -> Tensor | None:
        """The penalty of each example, without its weight; None for a bound of parameters.

        Derivatives of the critic are taken by ``torch.func``: those of ``torch.autograd`` do not compile.
        """

    def constrain(self, discriminator: nn.Module) -> None:
        """Change the parameters before and after each step of the discriminator; a hook, called without gradients."""
        return

    @classmethod
    def laws(cls) -> Laws:
        from .laws.penalty import LAWS

        return LAWS


def slope(critic: Critic, x: Tensor) -> Tensor:
    r""":math:`\nabla_x D(x)` of each example, ``[B, *shape]``, with a graph to the parameters of the critic.

    >>> slope(lambda x: x.square().sum(1), torch.tensor([[1.0, 2.0]]))
    tensor([[2., 4.]])
    """
    gradient: Tensor = torch.func.grad(lambda x: critic(x).sum())(x)
    return gradient


class GradientPenalty(Penalty):
    """Penalty that is a function of the gradient of the logits at some points."""

    @abstractmethod
    def points(self, real: Tensor, fake: Tensor) -> Tensor:
        """The points at which the gradient is taken, ``[B, *shape]``."""

    @abstractmethod
    def value(self, gradient: Tensor) -> Tensor:
        """The penalty of gradients ``[B, D]``, the numbers of an example in a row: ``[B]``."""

    def forward(self, critic: Critic, real: Tensor, fake: Tensor) -> Tensor:
        points = self.points(real, fake.to(real.dtype))  # a generator under autocast draws in half precision
        return self.value(slope(critic, points).flatten(1))


def off_norm(gradient: Tensor, centre: float) -> Tensor:
    r""":math:`(\lVert g \rVert - c)^2` of rows ``[B, D]``: the norm of all numbers of an example.

    >>> off_norm(torch.tensor([[3.0, 4.0]]), 1.0)
    tensor([16.])
    """
    norm: Tensor = torch.linalg.vector_norm(gradient, dim=1)
    return (norm - centre).square()


@component("gradient")
class Gradient(GradientPenalty):
    r"""Gradient penalty of WGAN-GP: a norm of one between data and draws.

    .. math::
        R = (\lVert \nabla D(\hat x) \rVert - 1)^2, \qquad \hat x = \epsilon x + (1 - \epsilon) G(z), \quad
        \epsilon \sim U(0, 1)

    with one :math:`\epsilon` an example, and the Euclidean norm over all of its numbers.

    Args:
        weight: The factor :math:`\lambda` in the loss: a number or a schedule.
        centre: The norm that is not penalised.

    References: Gulrajani et al., Improved Training of Wasserstein GANs, 2017, arXiv:1704.00028, eq. 3.

    >>> Gradient()(lambda x: 3 * x[:, 0] + 4 * x[:, 1], torch.zeros(1, 2), torch.ones(1, 2))
    tensor([16.])
    """

    def __init__(self, *, weight: Weight = 10.0, centre: Annotated[float, Field(ge=0)] = 1.0) -> None:
        super().__init__()
        self.weight, self.centre = weight, centre

    def points(self, real: Tensor, fake: Tensor) -> Tensor:
        share = torch.rand(len(real), *[1] * (real.dim() - 1), dtype=real.dtype, device=real.device)
        return torch.lerp(fake, real, share)

    def value(self, gradient: Tensor) -> Tensor:
        return off_norm(gradient, self.centre)


@component("r1")
class R1(GradientPenalty):
    r"""Squared gradient at real data.

    .. math:: R = \lVert \nabla D(x) \rVert^2

    The paper's :math:`\gamma / 2` is the weight.

    Args:
        weight: The factor :math:`\gamma / 2` in the loss: a number or a schedule.

    References: Mescheder et al., Which Training Methods for GANs do actually Converge?, 2018, arXiv:1801.04406, eq. 9.

    >>> R1()(lambda x: 3 * x[:, 0] + 4 * x[:, 1], torch.zeros(1, 2), torch.ones(1, 2))
    tensor([25.])
    """

    def __init__(self, *, weight: Weight = 5.0) -> None:
        super().__init__()
        self.weight = weight

    def points(self, real: Tensor, fake: Tensor) -> Tensor:
        return real

    def value(self, gradient: Tensor) -> Tensor:
        return gradient.square().sum(1)


@component("r2")
class R2(R1):
    r"""Squared gradient at draws.

    .. math:: R = \lVert \nabla D(G(z)) \rVert^2

    The paper's :math:`\gamma / 2` is the weight.

    Args:
        weight: The factor :math:`\gamma / 2` in the loss: a number or a schedule.

    References: Mescheder et al., Which Training Methods for GANs do actually Converge?, 2018, arXiv:1801.04406,
    eq. 10; together with `r1` in R3GAN, arXiv:2501.05441.
    """

    def points(self, real: Tensor, fake: Tensor) -> Tensor:
        return fake


@component("dragan")
class DRAGAN(GradientPenalty):
    r"""Gradient penalty around real data.

    .. math:: R = (\lVert \nabla D(x + \delta) \rVert - 1)^2, \qquad \delta \sim \mathcal N(0, \sigma^2 I)

    Args:
        weight: The factor :math:`\lambda` in the loss: a number or a schedule.
        noise: The standard deviation :math:`\sigma`, on the scale of the discriminator.

    References: Kodali et al., On Convergence and Stability of GANs, 2017, arXiv:1705.07215, section 2.3.

    >>> DRAGAN()(lambda x: 3 * x[:, 0] + 4 * x[:, 1], torch.zeros(1, 2), torch.ones(1, 2))
    tensor([16.])
    """

    def __init__(self, *, weight: Weight = 10.0, noise: PositiveFloat = 0.5) -> None:
        super().__init__()
        self.weight, self.noise = weight, noise

    def points(self, real: Tensor, fake: Tensor) -> Tensor:
        return real + self.noise * torch.randn_like(real)

    def value(self, gradient: Tensor) -> Tensor:
        return off_norm(gradient, 1.0)


@component("weight_clip")
class Clip(Penalty):
    r"""Bound of all parameters of the discriminator, :math:`|\theta_i| \le c`, after each of its steps.

    Args:
        bound: The bound :math:`c`.

    References: Arjovsky et al., Wasserstein GAN, 2017, arXiv:1701.07875, algorithm 1.

    >>> net = nn.Linear(2, 1)
    >>> Clip(bound=0.01).constrain(net)
    >>> bool(net.weight.abs().max() <= 0.01)
    True
    """

    def __init__(self, *, bound: PositiveFloat = 0.01) -> None:
        super().__init__()
        self.bound = bound

    def forward(self, critic: Critic, real: Tensor, fake: Tensor) -> None:
        return None

    @torch.no_grad()
    def constrain(self, discriminator: nn.Module) -> None:
        for parameter in discriminator.parameters():
            parameter.clamp_(-self.bound, self.bound)


class Penalized(NamedTuple):
    """The weighted sum of penalties, a scalar, with the values ``[B]`` and the weight of each by name."""

    total: Tensor | float
    logs: dict[str, Tensor]
    weights: dict[str, Tensor]


class Penalties(nn.Module):
    r"""Penalties of a discriminator by name, :math:`\sum_i \lambda_i \mathrm E[R_i]`.

    ValueError for a penalty that is declared twice, and for a gradient penalty of a discriminator that normalises over
    the batch.
    """

    def __init__(self, parts: Sequence[Part[Penalty]], discriminator: nn.Module) -> None:
        super().__init__()
        self.names = [part.name for part in parts]
        self.of: Sequence[Penalty] = nn.ModuleList(part() for part in parts)  # type: ignore[assignment]
        if len({*self.names}) < len(self.names):
            raise ValueError(f"each penalty may be declared once, got {', '.join(self.names)}")
        over_batch = [type(part).__name__ for part in discriminator.modules() if isinstance(part, BatchStatistics)]
        for name, penalty in zip(self.names, self.of, strict=True):
            if over_batch and isinstance(penalty, GradientPenalty):
                raise ValueError(
                    f"penalty '{name}' is of each example alone, but {over_batch[0]} in the discriminator "
                    "normalises over the batch: use a discriminator without batch normalisation"
                )

    def forward(self, critic: Critic, real: Tensor, fake: Tensor, clock: Clock) -> Penalized:
        total, logs, weights = 0.0, {}, {}
        for name, penalty in zip(self.names, self.of, strict=True):
            values = penalty(critic, real, fake)
            if values is not None:
                weights[name], logs[name] = at(penalty.weight, clock), values
                total = total + weights[name] * values.mean()
        return Penalized(total, logs, weights)

    def constrain(self, discriminator: nn.Module) -> None:
        """Bounds of the parameters of a discriminator, before and after each of its steps."""
        for penalty in self.of:
            penalty.constrain(discriminator)
