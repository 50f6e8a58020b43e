"""Codes that are moved by gradients."""

from __future__ import annotations

import torch
from pydantic import PositiveFloat, PositiveInt
from torch import Tensor, nn

from zoo import DataDependent, Shape, component

from .nearest import embedded, nearest, quantized, rows, some
from .quantizer import Quantized, Quantizer


@component("vq", example={"size": 8})
class VQ(Quantizer, DataDependent):
    r"""Vector quantisation by ``size`` codes that gradients move.

    .. math:: e = \operatorname*{arg\,min}_{e_k} |z_e - e_k|, \qquad
       L = \cdots + \lambda\, |\mathrm{sg}[z_e] - e|^2

    :math:`\lambda` is the ``codebook_weight``, and the paper's is one. The codes start at vectors of the first batch:
    others would have no vector near them, and never move.

    References: van den Oord et al., Neural Discrete Representation Learning, 2017, arXiv:1711.00937, eq. 1-3.

    >>> _ = torch.manual_seed(0)
    >>> quantizer = VQ(Shape(2, 4, 4), size=8)
    >>> z, codes, commitment, _ = quantizer(torch.randn(5, 2, 4, 4))
    >>> z.shape, codes.shape, bool(torch.equal(quantizer.embed(codes), z.detach())), commitment.shape
    (torch.Size([5, 2, 4, 4]), torch.Size([5, 4, 4]), True, torch.Size([5]))
    """

    def __init__(self, shape: Shape, *, size: PositiveInt, codebook_weight: PositiveFloat = 1.0) -> None:
        super().__init__(shape)
        self.size, self.codebook_weight = size, codebook_weight
        self.codebook = nn.Parameter(torch.randn(size, shape[0]))

    def forward(self, z: Tensor) -> Quantized:
        return quantized(z, nearest(rows(z), self.codebook), self.codebook)

    def embed(self, codes: Tensor) -> Tensor:
        return embedded(codes, self.codebook)

    @torch.no_grad()
    def initialize(self, x: Tensor, context: Tensor | None = None) -> None:
        self.codebook.copy_(some(rows(x), self.size))
