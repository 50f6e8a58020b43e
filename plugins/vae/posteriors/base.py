"""Kind of approximate posteriors."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from torch import Tensor, nn

from zoo import Component, Contract, Distribution, Shape, misshapen

from .one_hot import OneHot

if TYPE_CHECKING:
    from zoo.testing import Laws


class Draws(NamedTuple):
    r"""Latents of each example: ``S`` draws, each with its density.

    ``z`` is ``[S, B, *latent]``, ``log_q`` ``[S, B]`` in nats. ``log_weight`` ``[S, B]`` is the logarithm of each
    draw's weight in a mean over them: :math:`-\log S`, unless they were drawn from strata of different mass.
    """

    z: Tensor
    log_q: Tensor
    log_weight: Tensor


class Posterior(Component, nn.Module, ABC):
    r"""Approximate posterior :math:`q(z \mid x)`, from the output ``h`` of an encoder for ``x``.

    ``latent`` is the shape of :math:`z`. Shapes: ``h`` is ``[B, *encoded]``.
    """

    encoded: Shape
    """The shape of the encoder's output."""

    dimensions: int
    """The number of terms of its divergence, one for each latent dimension."""

    def __init__(self, latent: Shape) -> None:
        super().__init__()
        self.latent = latent

    @abstractmethod
    def draw(self, h: Tensor, n: int) -> Draws:
        """At least ``n`` latents of each example, differentiable in ``h``."""

    @abstractmethod
    def log_prob(self, z: Tensor, h: Tensor) -> Tensor:
        r""":math:`\log q(z \mid x)`, in nats; ``z`` ``[..., *latent]`` and ``h`` ``[..., *encoded]`` broadcast."""

    @abstractmethod
    def mean(self, h: Tensor) -> Tensor:
        r""":math:`\mathrm E[z]`, or a representative value, ``[B, *latent]``: the code of ``x``."""

    def divergence(self, h: Tensor, prior: nn.Module) -> Tensor | None:
        r"""The closed form of :math:`\mathrm{KL}(q(z|x) \,\|\, p(z))`, in nats, or None.

        ``[B, dimensions]`` if it is a sum over latent dimensions, else ``[B]``.
        """
        return None

    def check_prior(self, prior: Component) -> None:
        """ValueError if a prior does not fit the latents of the posterior."""
        ours, theirs = _declared(self), _declared(prior)
        if isinstance(self, OneHot) and not isinstance(prior, OneHot):
            raise ValueError(
                f"{ours} has categorical latents, but {theirs} does not: declare prior: uniform_categories"
            )
        if isinstance(prior, OneHot) and not isinstance(self, OneHot):
            raise ValueError(f"{theirs} has categorical latents, but {ours} does not: declare posterior: categorical")
        if isinstance(prior, Distribution) and prior.support is not None:
            low, high = prior.support
            raise ValueError(f"{theirs} is limited to [{low:g}, {high:g}], but {ours} is not")

    @classmethod
    def laws(cls) -> Laws:
        from ..laws.posterior import LAWS

        return LAWS

    @staticmethod
    def _takes(posterior: Any, args: tuple[Any, ...]) -> str | None:
        return misshapen("the encoder's output", args[0], posterior.encoded)

    @staticmethod
    def _gives_draws(posterior: Any, result: Any) -> str | None:
        if not isinstance(result, Draws):
            return f"its draws are {type(result).__name__}, expected Draws"
        return misshapen("its z", result.z.flatten(0, 1), posterior.latent)

    @staticmethod
    def _gives_mean(posterior: Any, result: Any) -> str | None:
        return misshapen("its mean", result, posterior.latent)

    contracts: ClassVar[Mapping[str, Contract]] = {
        "draw": Contract(_takes, _gives_draws),
        "mean": Contract(_takes, _gives_mean),
    }


def _declared(part: Component) -> str:
    declared = part.declaration
    return f"{declared.kind} '{declared.name}'" if declared else type(part).__name__


class Factorised(ABC):
    r"""Posterior of independent numbers, :math:`q(z \mid x) = \prod_j q(z_j \mid x)`, with means and variances."""

    @abstractmethod
    def log_prob_dim(self, z: Tensor, h: Tensor) -> Tensor:
        r""":math:`\log q(z_j \mid x)`, in nats, ``[..., *latent]``; the arguments broadcast as in `log_prob`."""

    @abstractmethod
    def moments(self, h: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and logarithm of the standard deviation, ``[..., *latent]`` each."""


def factorised(posterior: Posterior) -> Factorised:
    """The posterior as one of independent numbers; ValueError if it is not."""
    if not isinstance(posterior, Factorised):
        raise ValueError("needs a posterior of independent numbers with means and variances, such as 'diagonal_normal'")
    return posterior
