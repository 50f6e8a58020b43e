"""Networks with a bounded Lipschitz constant."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from itertools import chain, pairwise, repeat
from typing import Annotated, Any, ClassVar

import torch
from pydantic import AfterValidator, Field, PositiveInt
from torch import Tensor, nn
from torch.nn.functional import conv2d, linear

from zoo import Component, Contract, Shape, component, misshapen

from .activations import LipSwish


def norm_bound(W: Tensor, iterations: int = 6) -> Tensor:
    r"""Upper bound of the largest singular value of matrices: their Schatten norm of order :math:`2^{t + 1}`.

    .. math:: \sigma_1 \le \Bigl(\sum_i \sigma_i^{2^{t+1}}\Bigr)^{2^{-t-1}}
       = \lVert (W W^*)^{2^{t-1}} \rVert_F^{2^{-t}} \le r^{2^{-t-1}} \sigma_1

    with the rank :math:`r`, by t ``iterations`` of one matrix product each. After six iterations the error is below 4%
    at rank 100. Power iteration is cheaper, but gives a lower bound until it has converged, and needs a state; a
    singular value decomposition is much slower. The gradient is smooth, without a pole at zero.

    References: Delattre et al., Efficient bound of Lipschitz constant for convolutional layers by Gram iteration, 2023,
    arXiv:2305.16173, thm. 1.

    Shapes: ``[..., m, n] -> [...]``, real or complex.

    >>> norm_bound(torch.tensor([[3.0, 0.0], [0.0, 4.0]]))
    tensor(4.0000)
    """
    tiny = torch.finfo(W.dtype).tiny
    W = W if W.shape[-2] <= W.shape[-1] else W.mH
    log_size: Tensor | float = 0.0
    for i in range(iterations):
        # What is divided by only keeps numbers in range: the bound does not depend on it, so no gradient does.
        size = torch.linalg.matrix_norm(W.detach()).clamp(min=tiny)
        log_size = log_size + size.log() / 2**i
        W = W / size[..., None, None]
        W = W @ W.mH
    return torch.exp(log_size + torch.linalg.matrix_norm(W).clamp(min=tiny).log() / 2**iterations)


def conv_norm_bound(W: Tensor, height: int, width: int) -> Tensor:
    r"""Upper bound of the operator norm of a convolution with zero padding that preserves height and width.

    .. math:: \sigma_1 \le \max_\omega \sigma_1(\hat W(\omega)), \qquad
       \hat W_{ij}(\omega) = \sum_p W_{ijp}\, e^{-2 \pi i \langle \omega, p \rangle}

    over the frequencies of a grid of ``[height + k - 1, width + k - 1]``: on that torus the kernel does not wrap around
    from one edge of the image to the other, so that the convolution is part of a circular one, which these matrices
    diagonalise.

    References: Sedghi et al., The singular values of convolutional layers, 2019, arXiv:1805.10408, thm. 6.

    Shapes: the kernel ``[C', C, k, k]``, k odd; the bound is a scalar.

    >>> round(conv_norm_bound(torch.ones(1, 1, 3, 3), 8, 8).item(), 4)
    9.0
    """
    k = W.shape[-1]
    if k == 1:
        return norm_bound(W[:, :, 0, 0])
    symbol = torch.fft.rfft2(W, s=(height + k - 1, width + k - 1))  # real: the other half has the same norms
    return norm_bound(symbol.permute(2, 3, 0, 1)).amax()  # matrices [C', C] for each frequency


Contraction = Annotated[float, Field(gt=0, le=0.99)]
"""A Lipschitz constant below one, by enough that fixed points are found."""


class LipschitzNet(Component, nn.Module, ABC):
    r"""Network :math:`g` from a shape to itself with a bounded Lipschitz constant, in the Euclidean norm.

    .. math:: |g(x) - g(y)| \le c\, |x - y|, \qquad c < 1

    for all values of its parameters. It is differentiable twice, treats each sample separately, and its last layer
    starts at zero. `weights` computes the normalised weights, once for several calls.

    Shapes: ``[B, *shape] -> [B, *shape]``.
    """

    def __init__(self, shape: Shape, lipschitz: float) -> None:
        super().__init__()
        self.shape = shape
        self.lipschitz = lipschitz

    @abstractmethod
    def weights(self) -> Sequence[Tensor]:
        """The normalised weights, with which the network has its bound."""

    @abstractmethod
    def forward(self, x: Tensor, weights: Sequence[Tensor]) -> Tensor:
        """``x -> g(x)`` with these weights."""

    @staticmethod
    def _takes(net: Any, args: tuple[Any, ...]) -> str | None:
        return misshapen("the input", args[0], net.shape)

    @staticmethod
    def _gives(net: Any, result: Any) -> str | None:
        return misshapen("its output", result, net.shape)

    contracts: ClassVar[Mapping[str, Contract]] = {"forward": Contract(_takes, _gives)}


def bounded(W: Tensor, norm: Tensor, most: float) -> Tensor:
    r""":math:`W / \max(1, \sigma / c)`: weights scaled to a norm of at most c, unchanged if their norm is below c
    already.

    >>> import torch
    >>> bounded(torch.eye(2), torch.tensor(1.0), 0.5)
    tensor([[0.5000, 0.0000],
            [0.0000, 0.5000]])
    """
    return W / (norm / most).clamp(min=1.0)


@component("lipschitz_mlp", example={"width": 8})
class LipschitzMLP(LipschitzNet):
    r"""Multi-layer perceptron that is a contraction.

    .. math:: h_0 = x, \qquad h_l = \phi(\bar W_l h_{l-1} + b_l), \qquad g = \bar W_{L+1} h_L + b_{L+1}, \qquad
       \bar W = W / \max(1, \sigma(W) / c^{1/(L+1)})

    with LipSwish as :math:`\phi`. :math:`\sigma` is an upper bound of the spectral norm, computed from the weights at
    each call, so that there is no state and training and evaluation agree.

    Args:
        width: The units of a hidden layer.
        depth: The number of hidden layers, :math:`L`.
        lipschitz: The bound c of the Lipschitz constant of the network.

    References: Behrmann et al., Invertible Residual Networks, 2019, arXiv:1811.00995, sec. 2.1; Chen et al., Residual
    Flows, 2019, arXiv:1906.02735, sec. 3.3.

    Shapes: ``[B, *shape] -> [B, *shape]``, any shape.

    >>> import torch, zoo
    >>> from zoo.plugins.nets.lipschitz import LipschitzNet
    >>> net = zoo.declare(LipschitzNet, {"type": "lipschitz_mlp", "width": 8})(zoo.Shape(3))
    >>> net(torch.ones(2, 3), net.weights()).abs().max().item()
    0.0
    """

    def __init__(
        self, shape: Shape, *, width: PositiveInt = 64, depth: PositiveInt = 2, lipschitz: Contraction = 0.9
    ) -> None:
        super().__init__(shape, lipschitz)
        sizes = pairwise(chain([shape.size], repeat(width, depth), [shape.size]))
        self.layers = nn.ModuleList(nn.Linear(before, after) for before, after in sizes)
        self.activations = nn.ModuleList(LipSwish() for _ in range(depth))
        nn.init.zeros_(self.layers[-1].get_parameter("weight"))
        nn.init.zeros_(self.layers[-1].get_parameter("bias"))
        self._each = lipschitz ** (1.0 / (depth + 1))
        self._sizes = tuple(shape)

    def weights(self) -> Sequence[Tensor]:
        given = [layer.get_parameter("weight") for layer in self.layers]
        return [bounded(W, norm_bound(W), self._each) for W in given]

    def forward(self, x: Tensor, weights: Sequence[Tensor]) -> Tensor:
        *hidden, last = zip(weights, self.layers, strict=True)
        h = x.flatten(1)  # [B, D]
        for (W, layer), phi in zip(hidden, self.activations, strict=True):
            h = phi(linear(h, W, layer.get_parameter("bias")))
        return torch.unflatten(linear(h, last[0], last[1].get_parameter("bias")), 1, self._sizes)


def _odd(kernel: int) -> int:
    if kernel % 2 == 0:
        raise ValueError("must be odd, to preserve height and width")
    return kernel


@component("lipschitz_conv", example={"width": 4})
class LipschitzConv(LipschitzNet):
    r"""Convolutional network that is a contraction.

    .. math:: h_0 = x, \qquad h_l = \phi(\bar w_l * h_{l-1} + b_l), \qquad g = \bar w_{L+1} * h_L + b_{L+1}, \qquad
       \bar w = w / \max(1, \sigma(w) / c^{1/(L+1)})

    with LipSwish as :math:`\phi`. The convolutions between the first and the last are 1x1. :math:`\sigma` is an upper
    bound of the norm of the convolution as a map of images, which is not that of its kernel as a matrix; it is computed
    from the weights at each call.

    Args:
        width: The channels of a hidden layer.
        depth: The number of hidden layers, :math:`L`.
        kernel: The kernel size of the first and the last convolution, odd.
        lipschitz: The bound c of the Lipschitz constant of the network.

    References: Behrmann et al., Invertible Residual Networks, 2019, arXiv:1811.00995, sec. 2.1 and app. D; Chen et al.,
    Residual Flows, 2019, arXiv:1906.02735, sec. 3.3 and app. E.

    Shapes: ``[B, C, H, W] -> [B, C, H, W]``; ValueError for any other.

    >>> import torch, zoo
    >>> from zoo.plugins.nets.lipschitz import LipschitzNet
    >>> net = zoo.declare(LipschitzNet, {"type": "lipschitz_conv", "width": 8})(zoo.Shape(1, 4, 4))
    >>> net(torch.ones(2, 1, 4, 4), net.weights()).abs().max().item()
    0.0
    """

    def __init__(
        self,
        shape: Shape,
        *,
        width: PositiveInt = 64,
        depth: PositiveInt = 2,
        kernel: Annotated[PositiveInt, AfterValidator(_odd)] = 3,
        lipschitz: Contraction = 0.9,
    ) -> None:
        super().__init__(shape, lipschitz)
        if len(shape) != 3:
            raise ValueError(f"needs images [C, H, W], got {shape}: use lipschitz_mlp for vectors")
        sizes = pairwise(chain([shape[0]], repeat(width, depth), [shape[0]]))
        kernels = chain([kernel], repeat(1, depth - 1), [kernel])
        self.layers = nn.ModuleList(
            nn.Conv2d(before, after, k, padding=k // 2) for (before, after), k in zip(sizes, kernels, strict=True)
        )
        self.activations = nn.ModuleList(LipSwish() for _ in range(depth))
        nn.init.zeros_(self.layers[-1].get_parameter("weight"))
        nn.init.zeros_(self.layers[-1].get_parameter("bias"))
        self._each = lipschitz ** (1.0 / (depth + 1))
        self._image = (shape[1], shape[2])

    def weights(self) -> Sequence[Tensor]:
        given = [layer.get_parameter("weight") for layer in self.layers]
        return [bounded(w, conv_norm_bound(w, *self._image), self._each) for w in given]

    def forward(self, x: Tensor, weights: Sequence[Tensor]) -> Tensor:
        *hidden, last = zip(weights, self.layers, strict=True)
        for (w, layer), phi in zip(hidden, self.activations, strict=True):
            x = phi(_same(x, w, layer.get_parameter("bias")))
        return _same(x, last[0], last[1].get_parameter("bias"))


def _same(x: Tensor, w: Tensor, bias: Tensor) -> Tensor:
    return conv2d(x, w, bias, padding=w.shape[-1] // 2)
