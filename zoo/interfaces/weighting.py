"""Kind of weightings: losses as functions of a reconstruction and a divergence."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

from torch import Tensor, nn

from .component import Component, Contract
from .model import Clock


class LatentTerms(NamedTuple):
    r"""The two sides of an evidence lower bound, unweighted, in nats, summed over the event.

    ``nll`` is :math:`-\mathrm E_{q(z|x)} \log p(x|z)` and ``kl`` is :math:`\mathrm{KL}(q(z|x) \,\|\, p(z))`, both
    ``[B]``. ``kl_dim`` ``[B, L]`` is the divergence of each latent dimension, if the divergence is their sum. ``size``
    is the number of elements of an event.
    """

    nll: Tensor
    kl: Tensor
    kl_dim: Tensor | None
    size: int


class Weighting(Component, nn.Module, ABC):
    """A loss from unweighted terms. Its state is in parameters and buffers.

    ``latent_size`` is how many latent dimensions a divergence has. A weighting that acts once a step, a controller,
    inherits `AfterStep` as well.
    """

    needs_kl_dim: ClassVar[bool] = False
    """Whether the divergence has to tell the latent dimensions apart."""

    needs_bounded: ClassVar[bool] = False
    """Whether the terms must not be negative, and so a likelihood never above one."""

    def __init__(self, latent_size: int) -> None:
        super().__init__()
        self.latent_size = latent_size

    @abstractmethod
    def forward(self, terms: LatentTerms, clock: Clock) -> tuple[Tensor, Mapping[str, Tensor]]:
        """The loss, a scalar, and the weights in it by name: each a scalar."""

    @staticmethod
    def _takes(weighting: Any, args: tuple[Any, ...]) -> str | None:
        terms = args[0]
        if not isinstance(terms, LatentTerms):
            return f"its terms are {type(terms).__name__}, expected zoo.LatentTerms"
        return "its terms have no kl_dim" if weighting.needs_kl_dim and terms.kl_dim is None else None

    @staticmethod
    def _gives(weighting: Any, result: Any) -> str | None:
        if not (isinstance(result, tuple) and len(result) == 2 and isinstance(result[1], Mapping)):
            return "it must return a pair: a loss and a mapping of weights"
        wrong = [name for name, value in {"loss": result[0], **result[1]}.items() if value.dim() != 0]
        return f"its '{wrong[0]}' is not a scalar" if wrong else None

    contracts: ClassVar[Mapping[str, Contract]] = {"forward": Contract(_takes, _gives)}
