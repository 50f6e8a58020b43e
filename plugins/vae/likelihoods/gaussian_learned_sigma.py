"""Normal likelihood of one learned sigma."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from zoo import Event, component

from ...nets.soft_clip import soft_clip
from .gaussian_likelihood import FLOOR, GaussianLikelihood


@component("gaussian_learned_sigma")
class GaussianLearnedSigma(GaussianLikelihood):
    r"""Independent normals about the decoder's answer, all of one learned :math:`\sigma`.

    .. math:: \log p(x \mid h) = -\frac{1}{2 \sigma^2} \lVert x - h \rVert^2 - D \log \sigma - \tfrac D2 \log 2 \pi

    so that the weight of reconstruction against divergence is found with the rest. The parameter ``log_sigma`` is
    soft-clipped at -6 from below, and starts at zero.

    References: Rybkin, Daniilidis and Levine, Simple and Effective VAE Training with Calibrated Decoders, 2021,
    arXiv:2006.13202, sec. 3.1.

    Shapes: ``h`` ``[B, *event.shape]``.

    >>> import zoo
    >>> likelihood = GaussianLearnedSigma(zoo.Event("row", zoo.Shape(2)))
    >>> likelihood.log_prob(torch.zeros(1, 2), torch.zeros(1, 2)).detach()    # -log 2 pi, but for the clipping
    tensor([-1.8428])
    """

    bounded = False

    def __init__(self, event: Event) -> None:
        super().__init__(event)
        # Of one number in one dimension: FSDP divides no scalars.
        self.log_sigma = nn.Parameter(torch.zeros(1))

    def moments(self, h: Tensor, x: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return h, soft_clip(self.log_sigma.to(h.dtype), FLOOR)
