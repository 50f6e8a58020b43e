"""Normal likelihood of a sigma for each number."""

from __future__ import annotations

from torch import Tensor

from zoo import Event, component

from ...nets.soft_clip import soft_clip
from .gaussian_likelihood import FLOOR, GaussianLikelihood


@component("gaussian_pixel_sigma")
class GaussianPixelSigma(GaussianLikelihood):
    r"""Independent normals, the decoder giving mean and log sigma of each number.

    .. math:: \log p(x \mid h) = -\sum_j \frac{(x_j - \mu_j)^2}{2 \sigma_j^2} + \log \sigma_j + \tfrac12 \log 2 \pi,
       \qquad h = (\mu, \log \sigma)

    with :math:`\log \sigma` soft-clipped at -6 from below.

    References: Kingma and Welling, Auto-Encoding Variational Bayes, 2014, arXiv:1312.6114, appendix C.2; Rybkin et
    al., Simple and Effective VAE Training with Calibrated Decoders, 2021, arXiv:2006.13202, sec. 3.1.

    Shapes: ``h`` ``[B, 2 C, ...]`` for data ``[B, C, ...]``.

    >>> import torch, zoo
    >>> likelihood = GaussianPixelSigma(zoo.Event("row", zoo.Shape(2)))
    >>> likelihood.decoded, likelihood.log_prob(torch.zeros(1, 2), torch.zeros(1, 4))
    (Shape(4), tensor([-1.8428]))
    """

    bounded = False

    def __init__(self, event: Event) -> None:
        super().__init__(event)
        self.decoded = event.shape.channels(2)

    def moments(self, h: Tensor, x: Tensor | None = None) -> tuple[Tensor, Tensor]:
        mean, log_sigma = h.chunk(2, dim=1)
        return mean, soft_clip(log_sigma, FLOOR)
