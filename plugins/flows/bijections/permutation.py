"""Permutations of channels."""

from __future__ import annotations

from random import Random

import torch
from pydantic import NonNegativeInt
from torch import Tensor

from zoo import Bijection, Shape, component

from ..numerics.per_sample import per_sample


@component("permutation")
class Permutation(Bijection):
    r"""Permutation of the channels, drawn once at random and then fixed.

    .. math:: z_i = x_{\pi(i)}, \qquad \log|\det \partial z / \partial x| = 0

    On a vector the channels are its elements.

    Args:
        seed: The seed of the permutation. The same seed gives the same order on every machine and in every layer.

    Shapes: ``[B, C, ...]``, unchanged.

    >>> import torch, zoo
    >>> permutation = zoo.declare(zoo.Bijection, {"type": "permutation", "seed": 1})(zoo.Shape(5))
    >>> z, log_det = permutation(torch.arange(5.0).unsqueeze(0))
    >>> z.tolist(), permutation.inverse(z)[0].tolist()
    ([[0.0, 3.0, 4.0, 2.0, 1.0]], [[0.0, 1.0, 2.0, 3.0, 4.0]])
    """

    order: Tensor
    back: Tensor

    def __init__(self, shape: Shape, *, seed: NonNegativeInt = 0) -> None:
        super().__init__(shape)
        # Of Python's generators only random() is promised to draw the same in all versions.
        rng = Random(seed)
        order = torch.empty(shape[0], dtype=torch.float64, device="cpu").apply_(lambda _: rng.random()).argsort()
        self.register_buffer("order", order.to(torch.get_default_device()), persistent=False)
        self.register_buffer("back", order.argsort().to(torch.get_default_device()), persistent=False)

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return x.index_select(1, self.order), per_sample(x.new_zeros(()), x)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return z.index_select(1, self.back), per_sample(z.new_zeros(()), z)


@component("reverse")
class Reverse(Bijection):
    r"""Reversal of the order of the channels.

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
