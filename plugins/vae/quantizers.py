"""Vector quantization."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, NamedTuple

import torch
from pydantic import Field, PositiveFloat, PositiveInt
from torch import Tensor, nn

from zoo import Component, Contract, DataDependent, Shape, component, mean_over_processes, misshapen, sum_event

if TYPE_CHECKING:
    from zoo.testing import Laws


class Quantized(NamedTuple):
    r"""Result of quantizing vectors :math:`z_e`: the nearest codes, :math:`e`.

    ``z`` ``[B, *shape]`` has the values of :math:`e` and the gradient of :math:`z_e`: straight through. ``codes`` are
    their numbers, int64 ``[B, *shape[1:]]``. ``commitment`` :math:`|z_e - \mathrm{sg}[e]|^2` moves the vectors and
    ``codebook`` :math:`|\mathrm{sg}[z_e] - e|^2` the codes: both ``[B]``, summed over the event.
    """

    z: Tensor
    codes: Tensor
    commitment: Tensor
    codebook: Tensor


class Quantizer(Component, nn.Module, ABC):
    """Vector quantizer: replaces the vector at each place, along the first dimension of ``shape``, by the nearest code.

    Shapes: ``[B, *shape] -> [B, *shape]``.
    """

    size: int
    """The number of codes."""

    codebook_weight: float
    """The weight of the codebook's term in a loss: zero if the codes are not trained by gradients."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape

    @abstractmethod
    def forward(self, z: Tensor) -> Quantized:
        """The nearest codes. In training, quantizers that do not learn by gradients may update their codes here."""

    @abstractmethod
    def embed(self, codes: Tensor) -> Tensor:
        """The vectors of codes, ``[B, *shape[1:]] -> [B, *shape]``."""

    @classmethod
    def laws(cls) -> Laws:
        from .laws.quantizer import LAWS

        return LAWS

    @staticmethod
    def _takes(quantizer: Any, args: tuple[Any, ...]) -> str | None:
        return misshapen("the input", args[0], quantizer.shape)

    @staticmethod
    def _gives(quantizer: Any, result: Any) -> str | None:
        if not isinstance(result, Quantized):
            return f"its result is {type(result).__name__}, expected Quantized"
        return misshapen("its z", result.z, quantizer.shape)

    contracts: ClassVar[Mapping[str, Contract]] = {"forward": Contract(_takes, _gives)}


def rows(z: Tensor) -> Tensor:
    """The vectors of all places as rows: ``[B, D, ...] -> [N, D]``, in at least float32.

    >>> rows(torch.arange(8.0).reshape(1, 2, 2, 2)).tolist()
    [[0.0, 4.0], [1.0, 5.0], [2.0, 6.0], [3.0, 7.0]]
    """
    z = z.float() if z.dtype in (torch.float16, torch.bfloat16) else z
    return z.movedim(1, -1).flatten(0, -2)


def nearest(vectors: Tensor, codebook: Tensor) -> Tensor:
    """The number of the nearest code of each row, ``[N, D], [K, D] -> [N]``.

    >>> nearest(torch.tensor([[0.9], [0.2]]), torch.tensor([[0.0], [1.0]]))
    tensor([1, 0])
    """
    # Of all ways to a distance the one that autocast does not round.
    return torch.cdist(vectors.detach(), codebook.detach()).argmin(1)


def embedded(codes: Tensor, codebook: Tensor) -> Tensor:
    """The vectors of codes, ``[B, ...] -> [B, D, ...]``."""
    return codebook[codes].movedim(-1, 1)


def quantized(z: Tensor, codes: Tensor, codebook: Tensor) -> Quantized:
    """The result for vectors ``[B, D, ...]``, given the numbers of their codes, ``[N]``."""
    codes = codes.reshape(z.shape[0], *z.shape[2:])  # [B, ...]
    e = embedded(codes, codebook)  # [B, D, ...]
    commitment, learned = sum_event((z - e.detach()).square()), sum_event((z.detach() - e).square())
    straight = e.detach() + (z - z.detach())  # in this order exactly e, not up to rounding
    return Quantized(straight, codes, commitment, learned)


def members(codes: Tensor, size: int) -> Tensor:
    """One-hot codes of rows, ``[N] -> [N, K]``.

    >>> members(torch.tensor([1, 1]), 3).tolist()
    [[0.0, 1.0, 0.0], [0.0, 1.0, 0.0]]
    """
    return (codes.unsqueeze(1) == torch.arange(size, device=codes.device)).to(torch.get_default_dtype())


def some(vectors: Tensor, n: int) -> Tensor:
    """Rows drawn with replacement: ``[N, D] -> [n, D]``."""
    return vectors[torch.randint(vectors.shape[0], (n,), device=vectors.device)]


@component("vq", example={"size": 8})
class VQ(Quantizer, DataDependent):
    r"""Vector quantization with codes that are trained by gradients.

    .. math:: e = \operatorname*{arg\,min}_{e_k} |z_e - e_k|, \qquad
       L = \cdots + \lambda\, |\mathrm{sg}[z_e] - e|^2

    The codes start at vectors of the first batch: others would have no vector near them, and never change.

    Args:
        size: The number of codes.
        codebook_weight: The weight :math:`\lambda` of the term that moves the codes; the paper has one.

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


@component("vq_ema", example={"size": 8})
class VQEMA(Quantizer, DataDependent):
    r"""Vector quantization with codes that are moving averages of the vectors nearest to them.

    .. math:: N_k \leftarrow \gamma N_k + (1 - \gamma)\, n_k, \qquad
       m_k \leftarrow \gamma m_k + (1 - \gamma) \sum_{i=1}^{n_k} z_{k,i}, \qquad
       e_k = m_k \Big/ \Bigl(\frac{N_k + \epsilon}{N + K \epsilon}\, N\Bigr), \quad N = \sum_k N_k

    updated once in each forward pass in training, over all processes. The codes have no gradient, and their term no
    weight in a loss. They start at vectors of the first batch, each a cluster of one.

    Args:
        size: The number of codes.
        decay: The decay of the moving averages, :math:`\gamma`.
        eps: The Laplace smoothing :math:`\epsilon`, by which the code of a nearly empty cluster stays finite.

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
