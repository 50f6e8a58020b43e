"""Adversarial losses: functions of the logits of real and generated data."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from zoo import Component, component

if TYPE_CHECKING:
    from zoo.testing import Laws


class Adversarial(Component, nn.Module, ABC):
    r"""Losses of a discriminator :math:`D` and a generator :math:`G`, as functions of logits.

    The logits are those of real data, :math:`D(x)`, :math:`x \sim p`, and of draws, :math:`D(G(z))`, whose density is
    :math:`q`. All losses are minimised.

    Shapes: logits and losses ``[B]``; `optimum` ``[K] -> [K]``, `minimum` ``[K] -> []``.
    """

    paired: ClassVar[bool] = False
    """Whether the generator's loss depends on logits of real data; otherwise they are not computed."""

    @abstractmethod
    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        """The loss of the discriminator."""

    @abstractmethod
    def generator(self, real: Tensor | None, fake: Tensor) -> Tensor:
        """The loss of the generator; ``real`` is None unless the losses are `paired`."""

    def optimum(self, p: Tensor, q: Tensor) -> Tensor | None:
        """Logits that minimise the discriminator's loss over points with probabilities p and q; None if there are none.

        A hook: what is stated here and in `minimum` is tested.
        """
        return None

    def minimum(self, p: Tensor, q: Tensor) -> Tensor | None:
        """The loss at the `optimum`, in terms of the divergence that a generator then minimises; a hook."""
        return None

    @classmethod
    def laws(cls) -> Laws:
        from .laws.adversarial import LAWS

        return LAWS


def _log_ratio(p: Tensor, q: Tensor) -> Tensor:
    return p.log() - q.log()


def kl(p: Tensor, q: Tensor) -> Tensor:
    r""":math:`\mathrm{KL}(p \,\Vert\, q)` of probabilities, in nats.

    >>> kl(torch.tensor([0.5, 0.5]), torch.tensor([0.25, 0.75]))
    tensor(0.1438)
    """
    return torch.xlogy(p, p / q).sum()


def js(p: Tensor, q: Tensor) -> Tensor:
    r""":math:`\mathrm{JS}(p, q) = \tfrac12 \mathrm{KL}(p \,\Vert\, m) + \tfrac12 \mathrm{KL}(q \,\Vert\, m)` with
    :math:`m = (p + q) / 2`, in nats.

    >>> js(torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0]))
    tensor(0.6931)
    """
    m = (p + q) / 2
    return (kl(p, m) + kl(q, m)) / 2


def tv(p: Tensor, q: Tensor) -> Tensor:
    r"""Total variation :math:`\tfrac12 \sum |p - q|` of probabilities.

    >>> tv(torch.tensor([0.5, 0.5]), torch.tensor([0.25, 0.75]))
    tensor(0.2500)
    """
    return (p - q).abs().sum() / 2


class _CrossEntropy(Adversarial):
    """Base of the losses whose discriminator is a classifier of real data and draws."""

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        return softplus(-real) + softplus(fake)

    def optimum(self, p: Tensor, q: Tensor) -> Tensor | None:
        return _log_ratio(p, q)

    def minimum(self, p: Tensor, q: Tensor) -> Tensor | None:
        return math.log(4) - 2 * js(p, q)


@component("minimax")
class Minimax(_CrossEntropy):
    r"""The two-player game of one value: the generator minimises what the discriminator maximises.

    .. math::
        L_D = -\log \sigma(D(x)) - \log(1 - \sigma(D(G(z)))), \qquad L_G = \log(1 - \sigma(D(G(z))))

    At the optimum :math:`D = \log p / q` the discriminator's loss is :math:`\log 4 - 2\, \mathrm{JS}(p, q)`. The
    generator's gradient vanishes where the discriminator is sure: see `non_saturating`.

    References: Goodfellow et al., Generative Adversarial Networks, 2014, arXiv:1406.2661, eq. 1, prop. 1 and thm. 1.

    >>> Minimax().discriminator(torch.zeros(1), torch.zeros(1))    # log 4
    tensor([1.3863])
    """

    def generator(self, real: Tensor | None, fake: Tensor) -> Tensor:
        return -softplus(fake)


@component("non_saturating")
class NonSaturating(_CrossEntropy):
    r"""The discriminator of `minimax`, and a generator that maximises the probability of being taken for data.

    .. math::
        L_D = -\log \sigma(D(x)) - \log(1 - \sigma(D(G(z)))), \qquad L_G = -\log \sigma(D(G(z)))

    References: Goodfellow et al., Generative Adversarial Networks, 2014, arXiv:1406.2661, section 3.

    >>> NonSaturating().generator(None, torch.tensor([0.0, 9.0]))
    tensor([6.9315e-01, 1.2340e-04])
    """

    def generator(self, real: Tensor | None, fake: Tensor) -> Tensor:
        return softplus(-fake)


@component("least_squares")
class LeastSquares(Adversarial):
    r"""Squared errors of the logits.

    .. math::
        L_D = \tfrac12 (D(x) - b)^2 + \tfrac12 (D(G(z)) - a)^2, \qquad L_G = \tfrac12 (D(G(z)) - c)^2

    The optimum is :math:`D = (b p + a q) / (p + q)`, at which the loss is
    :math:`\tfrac12 (b - a)^2 \int p q / (p + q)`. With a = -1, b = 1 and c = 0 the generator then minimises half of
    Pearson's :math:`\chi^2` of :math:`p + q` and :math:`2 q`.

    Args:
        fake: The discriminator's target of draws, :math:`a`.
        real: The discriminator's target of data, :math:`b`.
        goal: The generator's target, :math:`c`.

    References: Mao et al., Least Squares Generative Adversarial Networks, 2017, arXiv:1611.04076, eq. 2, 5 and 9.

    >>> LeastSquares().discriminator(torch.ones(1), torch.ones(1))
    tensor([0.5000])
    """

    def __init__(self, *, fake: float = 0.0, real: float = 1.0, goal: float = 1.0) -> None:
        super().__init__()
        if real <= fake:
            raise ValueError(f"'real' must be above 'fake', got {real:g} and {fake:g}")
        if goal <= fake:
            raise ValueError(f"'goal' must be above 'fake', got {goal:g} and {fake:g}")
        self.a, self.b, self.c = fake, real, goal

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        return ((real - self.b).square() + (fake - self.a).square()) / 2

    def generator(self, real: Tensor | None, fake: Tensor) -> Tensor:
        return (fake - self.c).square() / 2

    def optimum(self, p: Tensor, q: Tensor) -> Tensor | None:
        return (self.b * p + self.a * q) / (p + q)

    def minimum(self, p: Tensor, q: Tensor) -> Tensor | None:
        return (self.b - self.a) ** 2 / 2 * (p * q / (p + q)).sum()


@component("hinge")
class Hinge(Adversarial):
    r"""Hinge losses of the discriminator with a margin of one, and a linear one of the generator.

    .. math:: L_D = \max(0, 1 - D(x)) + \max(0, 1 + D(G(z))), \qquad L_G = -D(G(z))

    The optimum is :math:`D = \operatorname{sign}(p - q)`, at which the loss is :math:`2 - 2\, \mathrm{TV}(p, q)`.

    References: Lim and Ye, Geometric GAN, 2017, arXiv:1705.02894, section 3.2; Miyato et al., Spectral Normalization
    for Generative Adversarial Networks, 2018, arXiv:1802.05957, eq. 16 and 17.

    >>> Hinge().discriminator(torch.tensor([2.0]), torch.tensor([0.5]))
    tensor([1.5000])
    """

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        return (1 - real).relu() + (1 + fake).relu()

    def generator(self, real: Tensor | None, fake: Tensor) -> Tensor:
        return -fake

    def optimum(self, p: Tensor, q: Tensor) -> Tensor | None:
        return (p - q).sign()

    def minimum(self, p: Tensor, q: Tensor) -> Tensor | None:
        return 2 - 2 * tv(p, q)


@component("wasserstein")
class Wasserstein(Adversarial):
    r"""Difference of the mean logits: a Wasserstein distance if the discriminator is 1-Lipschitz.

    .. math:: L_D = D(G(z)) - D(x), \qquad L_G = -D(G(z))

    Without a penalty (`gradient`, `weight_clip`) or a spectral norm the loss of the discriminator has no minimum.

    References: Arjovsky et al., Wasserstein GAN, 2017, arXiv:1701.07875, eq. 2.

    >>> Wasserstein().discriminator(torch.tensor([2.0]), torch.tensor([0.5]))
    tensor([-1.5000])
    """

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        return fake - real

    def generator(self, real: Tensor | None, fake: Tensor) -> Tensor:
        return -fake


@component("relativistic")
class Relativistic(Adversarial):
    r"""Classification of pairs by which of the two is real.

    .. math::
        L_D = -\log \sigma(D(x) - D(G(z))), \qquad L_G = -\log \sigma(D(G(z)) - D(x))

    The optimum is :math:`D = \log p / q` up to a constant, at which the loss is
    :math:`\log 2 - \mathrm{JS}(p \otimes q, q \otimes p)`. A draw is compared with data, not with a fixed target, so
    that no mode of the data can be dropped without a loss.

    References: Jolicoeur-Martineau, The relativistic discriminator, 2018, arXiv:1807.00734; Huang et al., The GAN is
    dead; long live the GAN!, 2024, arXiv:2501.05441, eq. 2 and section 2.1.

    >>> Relativistic().discriminator(torch.tensor([1.0]), torch.tensor([1.0]))    # log 2
    tensor([0.6931])
    """

    paired = True

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        return softplus(fake - real)

    def generator(self, real: Tensor | None, fake: Tensor) -> Tensor:
        if real is None:
            raise ValueError("the relativistic loss of a generator needs the logits of real data")
        return softplus(real - fake)

    def optimum(self, p: Tensor, q: Tensor) -> Tensor | None:
        return _log_ratio(p, q)

    def minimum(self, p: Tensor, q: Tensor) -> Tensor | None:
        return math.log(2) - js(torch.outer(p, q), torch.outer(q, p))


@component("f_divergence", example={"divergence": "kl"})
class FDivergence(Adversarial):
    r"""Lower bound of an f-divergence by its convex conjugate.

    .. math::
        L_D = f^*(g(D(G(z)))) - g(D(x)), \qquad L_G = -g(D(G(z)))

    with an output :math:`g` that maps a logit into the domain of :math:`f^*`. At the optimum
    :math:`g(D) = f'(p / q)` the discriminator's loss is :math:`-\mathrm{D}_f(p \,\Vert\, q)`.

    ========= ================================== ================= ================================
    name      divergence                         :math:`g(v)`      :math:`f^*(t)`
    ========= ================================== ================= ================================
    kl        :math:`\mathrm{KL}(p \Vert q)`     v                 :math:`e^{t - 1}`
    js        :math:`2\, \mathrm{JS}(p, q)`      log 2 - log(1 + e^-v)  :math:`-\log(2 - e^t)`
    pearson   :math:`\int (p - q)^2 / q`         v                 :math:`t^2 / 4 + t`
    tv        :math:`\tfrac12 \int |p - q|`      tanh(v) / 2       t
    ========= ================================== ================= ================================

    The generator's loss is not :math:`-L_D` but that of its section 3.2, which does not vanish where the discriminator
    is sure.

    Args:
        divergence: The divergence.

    References: Nowozin et al., f-GAN, 2016, arXiv:1606.00709, eq. 4 and 6, tables 1, 2 and 6, section 3.2.

    >>> FDivergence(divergence="pearson").discriminator(torch.tensor([1.0]), torch.tensor([2.0]))
    tensor([2.])
    """

    def __init__(self, *, divergence: Literal["kl", "js", "pearson", "tv"]) -> None:
        super().__init__()
        self.divergence = divergence

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        return self._conjugate(fake) - self._output(real)

    def generator(self, real: Tensor | None, fake: Tensor) -> Tensor:
        return -self._output(fake)

    def _output(self, v: Tensor) -> Tensor:
        """:math:`g(v)`."""
        match self.divergence:
            case "js":
                return math.log(2) - softplus(-v)
            case "tv":
                return v.tanh() / 2
            case _:
                return v

    def _conjugate(self, v: Tensor) -> Tensor:
        """:math:`f^*(g(v))`."""
        match self.divergence:
            case "kl":
                return (v - 1).exp()
            case "js":
                return softplus(v) - math.log(2)  # -log(2 - 2 sigma(v))
            case "pearson":
                return v.square() / 4 + v
            case "tv":
                return v.tanh() / 2

    def optimum(self, p: Tensor, q: Tensor) -> Tensor | None:
        match self.divergence:
            case "kl":
                return 1 + _log_ratio(p, q)
            case "js":
                return _log_ratio(p, q)
            case "pearson":
                return 2 * (p / q - 1)
            case "tv":
                return 20 * (p - q).sign()  # tanh is one there

    def minimum(self, p: Tensor, q: Tensor) -> Tensor | None:
        match self.divergence:
            case "kl":
                return -kl(p, q)
            case "js":
                return -2 * js(p, q)
            case "pearson":
                return -((p - q).square() / q).sum()
            case "tv":
                return -tv(p, q)
