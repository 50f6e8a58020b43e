"""Autoregressive flow layer."""

from __future__ import annotations

import torch
from torch import Tensor

from zoo import Bijection, Part, Shape, advanced, component, named, sum_event

from ...nets.masked.net import AutoregressiveNet
from ..elementwise.base import Transformer


@component("autoregressive", example={"net": {"type": "made", "width": 8}})
class Autoregressive(Bijection):
    r"""Autoregressive layer: each element is transformed with parameters that depend on the elements before it.

    .. math:: z_i = \tau(x_i; h_i), \qquad h_i = g_i(x_1, \dots, x_{i-1})

    The Jacobian is triangular, so that :math:`\log|\det \partial z / \partial x| = \sum_i \log \tau'(x_i; h_i)`. The
    forward pass computes all elements at once; the inverse computes one after the other, in about the arithmetic of one
    pass of the net. A stack of affine layers is a MAF; inverted by `inverse_of`, it is an IAF. The order is that of
    memory: put a `permutation` or `reverse` between two layers.

    Args:
        transformer: The increasing map of a number, :math:`\tau`.
        net: The autoregressive network :math:`g`, which computes the parameters of the transformer.

    References: Papamakarios et al., Masked Autoregressive Flow, 2017, arXiv:1705.07057, eq. 3-5; Kingma et al.,
    Improving Variational Inference with Inverse Autoregressive Flow, 2016, arXiv:1606.04934, eq. 9-10.

    Shapes: ``[B, *shape]``, unchanged.

    >>> import torch, zoo
    >>> layer = zoo.declare(zoo.Bijection, "autoregressive")(zoo.Shape(3))
    >>> x = torch.ones(2, 3)
    >>> z, log_det = layer(x)
    >>> torch.equal(z, x), log_det.tolist()    # the identity, before training
    (True, [0.0, 0.0])
    """

    def __init__(
        self,
        shape: Shape,
        *,
        transformer: Part[Transformer] = named("affine"),
        net: Part[AutoregressiveNet] = named("made"),
    ) -> None:
        super().__init__(shape)
        self.transformer = transformer()
        self.net = net(shape, self.transformer.count)

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        # Under autocast the net answers in half precision; log-derivatives stay in the input's.
        z, log_slopes = self.transformer(x, self.net(x, context).to(x.dtype))
        return z, sum_event(log_slopes)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        elements = z.flatten(1).unbind(1)  # D tensors [B]
        log_slopes: list[Tensor] = []

        def solve(i: int, h: Tensor) -> Tensor:
            x, log_slope = self.transformer.inverse(elements[i], h if h.dtype == z.dtype else h.to(z.dtype))
            log_slopes.append(log_slope)
            return x

        x = self.net.unroll(solve, z.shape[0], context)
        return x, sum_event(torch.stack(log_slopes, dim=1))

    def decode(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        elements = z.flatten(1).unbind(1)  # D tensors [B]
        solved = iter(range(len(elements)))

        def solve(i: int, h: Tensor) -> Tensor:
            if not torch.compiler.is_compiling():
                advanced(next(solved), len(elements))
            return self.transformer.decode(elements[i], h if h.dtype == z.dtype else h.to(z.dtype))

        return self.net.unroll(solve, z.shape[0], context)
