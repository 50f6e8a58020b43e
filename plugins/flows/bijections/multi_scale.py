"""Multi-scale architecture: squeeze, and channels that are factored out early."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor
from torch.nn.functional import pixel_shuffle, pixel_unshuffle

from zoo import Bijection, Conditioner, Mask, Part, Shape, component, declare

from ..numerics.per_sample import per_sample
from .chain import Chain
from .coupling import AffineCoupling


@component("squeeze")
class Squeeze(Bijection):
    r"""Squeeze: each 2x2 block of pixels becomes one pixel with four times the channels.

    .. math:: z_{4c + 2i + j,\, h,\, w} = x_{c,\, 2h + i,\, 2w + j}

    a permutation, so that the log-determinant is zero.

    References: Dinh et al., Density estimation using Real NVP, 2017, arXiv:1605.08803, sec. 3.6 and fig. 3.

    Shapes: ``[B, C, H, W] -> [B, 4C, H/2, W/2]``; ValueError unless H and W are even.

    >>> import torch, zoo
    >>> squeeze = zoo.declare(zoo.Bijection, "squeeze")(zoo.Shape(1, 2, 2))
    >>> squeeze(torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]]))[0].flatten().tolist()
    [1.0, 2.0, 3.0, 4.0]
    """

    def __init__(self, shape: Shape) -> None:
        if len(shape) != 3:
            raise ValueError(f"needs an image [C, H, W], got {shape}")
        C, H, W = shape
        if H % 2 or W % 2:
            raise ValueError(f"needs an even height and width, got {H}x{W}")
        super().__init__(shape, Shape(4 * C, H // 2, W // 2))

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return pixel_unshuffle(x, 2), per_sample(x.new_zeros(()), x)  # [B, C, H, W] -> [B, 4C, H/2, W/2]

    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return pixel_shuffle(z, 2), per_sample(z.new_zeros(()), z)  # [B, 4C, H/2, W/2] -> [B, C, H, W]


@component("factor_out", example={"then": ["act_norm"]})
class FactorOut(Bijection):
    r"""Factoring out: the second half of the channels is latent already, and the first half is transformed further.

    .. math:: (h, z_1) = x, \qquad z = (z_1, f(h))

    so that :math:`\log|\det \partial z / \partial x| = \log|\det J_f(h)|`. Nested, it gives the multi-scale
    architecture, :math:`z = (z_1, z_2, \dots, z_L)`. The latents are flattened and concatenated. Of an odd number of
    channels the larger half is transformed further.

    With a ``prior``, the half that leaves is first normalised given the other half,

    .. math:: z_1' = z_1 \odot \exp(s(h)) + t(h)

    which under a standard normal base is :math:`z_1 \mid h \sim \mathcal{N}(-t e^{-s}, e^{-2s})`, standard before
    training. It is short for an ``affine_coupling`` with the mask ``channel`` just before; any other ``coupling`` there
    acts as a prior too.

    Args:
        then: The bijections :math:`f` that transform the first half, in order.
        prior: The network that computes :math:`(s, t)` from the first half; ``null`` for none.

    References: Dinh et al., Density estimation using Real NVP, 2017, arXiv:1605.08803, sec. 3.6, eq. 14-16; the prior:
    Kingma and Dhariwal, Glow, 2018, arXiv:1807.03039, whose code has it (``split2d_prior``).

    Shapes: ``[B, C, ...] -> [B, D]`` with D the size of the event; ValueError for a single channel.

    >>> import torch, zoo
    >>> node = {"type": "factor_out", "then": ["act_norm"]}
    >>> factor_out = zoo.declare(zoo.Bijection, node)(zoo.Shape(4))
    >>> factor_out(torch.tensor([[1.0, 2.0, 3.0, 4.0]]))[0].tolist()
    [[3.0, 4.0, 1.0, 2.0]]
    """

    def __init__(
        self,
        shape: Shape,
        *,
        then: Annotated[list[Part[Bijection]], Field(min_length=1)],
        prior: Part[Conditioner] | None = None,
    ) -> None:
        on, out = (shape[0] + 1) // 2, shape[0] // 2
        if out == 0:
            raise ValueError(f"needs at least two channels, got {shape}")
        super().__init__(shape, Shape(shape.size))
        h, leaving = shape.with_channels(on), shape.with_channels(out)
        self.then = Chain(h, of=then)
        self.exact = self.then.exact
        # The mask has the same halves, and what it changes leaves.
        self.prior = AffineCoupling(shape, mask=declare(Mask, "channel"), conditioner=prior) if prior else None
        # Plain tuples: a compiled graph needs no shape arithmetic.
        self._channels, self._numbers = (on, out), (leaving.size, h.size)
        self._leaving, self._latent = tuple(leaving), tuple(self.then.out_shape)

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        if self.prior is None:
            return self._forth(x, context)
        x, prior_log_det = self.prior(x, context)
        z, log_det = self._forth(x, context)
        return z, log_det + prior_log_det

    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        leaving, latent = z.split_with_sizes(self._numbers, dim=1)  # flat: [B, D1], [B, D - D1]
        h, log_det = self.then.inverse(torch.unflatten(latent, 1, self._latent), context)
        x = torch.cat((h, torch.unflatten(leaving, 1, self._leaving)), dim=1)  # [B, C, ...]
        if self.prior is None:
            return x, log_det
        x, prior_log_det = self.prior.inverse(x, context)
        return x, log_det + prior_log_det

    def decode(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        leaving, latent = z.split_with_sizes(self._numbers, dim=1)  # flat: [B, D1], [B, D - D1]
        h = self.then.decode(torch.unflatten(latent, 1, self._latent), context)
        x = torch.cat((h, torch.unflatten(leaving, 1, self._leaving)), dim=1)  # [B, C, ...]
        return x if self.prior is None else self.prior.decode(x, context)

    def _forth(self, x: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
        h, leaving = x.split_with_sizes(self._channels, dim=1)  # the halves of [B, C, ...]
        z, log_det = self.then(h, context)
        return torch.cat((leaving.flatten(1), z.flatten(1)), dim=1), log_det  # [B, D], [B]
