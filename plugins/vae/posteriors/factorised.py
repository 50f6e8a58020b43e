"""What some posteriors can do: tell their dimensions apart."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor

from .posterior import Posterior


class Factorised(ABC):
    r"""A posterior of independent numbers, :math:`q(z \mid x) = \prod_j q(z_j \mid x)`, with means and variances."""

    @abstractmethod
    def log_prob_dim(self, z: Tensor, h: Tensor) -> Tensor:
        r""":math:`\log q(z_j \mid x)`, in nats, ``[..., *latent]``; the arguments broadcast as in `log_prob`."""

    @abstractmethod
    def moments(self, h: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and logarithm of the standard deviation, ``[..., *latent]`` each."""


def factorised(posterior: Posterior) -> Factorised:
    """The posterior as one of independent numbers; ValueError where it is none."""
    if not isinstance(posterior, Factorised):
        raise ValueError("needs a posterior of independent numbers with means and variances, such as 'diagonal_normal'")
    return posterior
