"""Channels from the last to the first."""

from __future__ import annotations

from torch import Tensor

from zoo import Bijection, component

from .per_sample import per_sample


@component("reverse")
class Reverse(Bijection):
    r"""The channels in the opposite order.

    .. math:: z_i = x_{C + 1 - i}, \qquad \log|\det \partial z / \partial x| = 0

    On a vector the channels are its elements.

    References: Papamakarios et al., Masked Autoregressive Flow, 2017, arXiv:1705.07057, sec. 3.2.

    Shapes: ``[B, C, ...]``, unchanged.

    >>> import torch, zoo
    >>> zoo.declare(zoo.Bijection, "reverse")(zoo.Shape(3))(torch.tensor([[1.0, 2.0, 3.0]]))[0].tolist()
    [[3.0, 2.0, 1.0]]
    """

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return x.flip(1), per_sample(x.new_zeros(()), x)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return self.forward(z)
