"""Normal likelihood of one fixed sigma."""

from __future__ import annotations

import math

import torch
from pydantic import PositiveFloat
from torch import Tensor

from zoo import Event, component

from .gaussian_likelihood import GaussianLikelihood


@component("gaussian")
class Gaussian(GaussianLikelihood):
    r"""Independent normals about the decoder's answer, all of one fixed ``sigma``.

    .. math:: \log p(x \mid h) = -\frac{1}{2 \sigma^2} \lVert x - h \rVert^2 - D \log \sigma - \tfrac D2 \log 2 \pi

    on the scale of `Event.unit`: levels lie between 0 and 1. With :math:`\sigma = 1` this is half the squared error;
    it weighs against a divergence as :math:`\beta = 2 \sigma^2` does against the squared error itself.

    References: Kingma and Welling, Auto-Encoding Variational Bayes, 2014, arXiv:1312.6114, appendix C.2.

    Shapes: ``h`` ``[B, *event.shape]``.

    >>> import zoo
    >>> likelihood = Gaussian(zoo.Event("row", zoo.Shape(2)))
    >>> likelihood.log_prob(torch.zeros(1, 2), torch.zeros(1, 2))    # -log 2 pi
    tensor([-1.8379])
    """

    def __init__(self, event: Event, *, sigma: PositiveFloat = 1.0) -> None:
        super().__init__(event)
        self.log_sigma = math.log(sigma)
        self.bounded = sigma * math.sqrt(2.0 * math.pi) >= 1.0

    def moments(self, h: Tensor, x: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return h, torch.full((1,), self.log_sigma, dtype=h.dtype, device=h.device)
