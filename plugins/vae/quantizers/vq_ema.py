"""Codes that are moving averages."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field, PositiveFloat, PositiveInt
from torch import Tensor

from zoo import DataDependent, Shape, component, mean_over_processes

from .nearest import embedded, members, nearest, quantized, rows, some
from .quantizer import Quantized, Quantizer


@component("vq_ema", example={"size": 8})
class VQEMA(Quantizer, DataDependent):
    r"""Vector quantisation by ``size`` codes, each the moving average of the vectors that it was nearest to.

    .. math:: N_k \leftarrow \gamma N_k + (1 - \gamma)\, n_k, \qquad
       m_k \leftarrow \gamma m_k + (1 - \gamma) \sum_{i=1}^{n_k} z_{k,i}, \qquad
       e_k = m_k \Big/ \Bigl(\frac{N_k + \epsilon}{N + K \epsilon}\, N\Bigr), \quad N = \sum_k N_k

    with :math:`\gamma` = ``decay``, once in each forward in training, over all processes. The smoothing of Laplace by
    :math:`\epsilon` = ``eps`` keeps the code of a cluster that is nearly empty finite. The codes have no gradient, and
    their term no weight in a loss. They start at vectors of the first batch, each a cluster of one.

    References: van den Oord et al., Neural Discrete Representation Learning, 2017, arXiv:1711.00937, appendix A.1.

    >>> quantizer = VQEMA(Shape(1), size=2, decay=0.5)
    >>> _ = quantizer.codebook.copy_(torch.tensor([[0.0], [1.0]]))
    >>> _ = quantizer.sums.copy_(quantizer.codebook)
    >>> quantizer(torch.tensor([[0.8], [2.0]])).codes, quantizer.sizes    # code 1 has both, code 0 fades
    (tensor([1, 1]), tensor([0.5000, 1.5000]))
    >>> quantizer.codebook.round(decimals=3)
    tensor([[0.0000],
            [1.2670]])
    """

    codebook: Tensor
    sizes: Tensor
    sums: Tensor
    codebook_weight = 0.0

    def __init__(
        self,
        shape: Shape,
        *,
        size: PositiveInt,
        decay: Annotated[float, Field(gt=0, lt=1)] = 0.99,
        eps: PositiveFloat = 1e-5,
    ) -> None:
        super().__init__(shape)
        self.size, self.decay, self.eps = size, decay, eps
        codebook = torch.randn(size, shape[0])
        self.register_buffer("codebook", codebook)
        self.register_buffer("sizes", torch.ones(size))
        self.register_buffer("sums", codebook.clone())

    def forward(self, z: Tensor) -> Quantized:
        vectors = rows(z)
        codes = nearest(vectors, self.codebook)
        answer = quantized(z, codes, self.codebook)
        if self.training:
            self.learn(vectors.detach(), codes)
        return answer

    @torch.no_grad()
    def learn(self, vectors: Tensor, codes: Tensor) -> None:
        """Move each code towards its vectors, ``[N, D]``."""
        member = members(codes, self.size).to(self.sums.dtype)
        # In float64, which autocast does not round; index_add_ would differ from run to run on GPUs.
        sums = (member.double().mT @ vectors.double()).to(self.sums.dtype)
        # The ratio is what counts: a mean over processes serves as well as a sum.
        self.sizes.lerp_(mean_over_processes(member.sum(0)), 1.0 - self.decay)
        self.sums.lerp_(mean_over_processes(sums), 1.0 - self.decay)
        n = self.sizes.sum()
        smoothed = (self.sizes + self.eps) / (n + self.size * self.eps) * n
        self.codebook.copy_(self.sums / smoothed.unsqueeze(1))

    def embed(self, codes: Tensor) -> Tensor:
        return embedded(codes, self.codebook)

    @torch.no_grad()
    def initialize(self, x: Tensor, context: Tensor | None = None) -> None:
        self.codebook.copy_(some(rows(x), self.size))
        self.sums.copy_(self.codebook)
        self.sizes.fill_(1.0)
