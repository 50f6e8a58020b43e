"""Convolutional network with a bounded Lipschitz constant."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, pairwise, repeat
from typing import Annotated

from pydantic import AfterValidator, PositiveInt
from torch import Tensor, nn
from torch.nn.functional import conv2d

from zoo import Shape, component

from .lip_swish import LipSwish
from .lipschitz_net import Contraction, LipschitzNet, bounded
from .norm_bound import conv_norm_bound


def _odd(kernel: int) -> int:
    if kernel % 2 == 0:
        raise ValueError("should be odd, so that height and width stay")
    return kernel


@component("lipschitz_conv", example={"width": 4})
class LipschitzConv(LipschitzNet):
    r"""Convolutional network that is a contraction: ``depth`` hidden layers of ``width`` channels.

    .. math:: h_0 = x, \qquad h_l = \phi(\bar w_l * h_{l-1} + b_l), \qquad g = \bar w_{L+1} * h_L + b_{L+1}, \qquad
       \bar w = w / \max(1, \sigma(w) / c^{1/(L+1)})

    with LipSwish as :math:`\phi` and c = ``lipschitz``, the bound of the whole. The first and the last convolution have
    size ``kernel``, those between 1x1. :math:`\sigma` is an upper bound of the norm of the convolution as a map of
    images, which is not that of its kernel as a matrix; it is computed anew from the weights.

    References: Behrmann et al., Invertible Residual Networks, 2019, arXiv:1811.00995, sec. 2.1 and app. D; Chen et al.,
    Residual Flows, 2019, arXiv:1906.02735, sec. 3.3 and app. E.

    Shapes: ``[B, C, H, W] -> [B, C, H, W]``; ValueError for any other.

    >>> import torch, zoo
    >>> from zoo.plugins.nets.lipschitz_net import LipschitzNet
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
            raise ValueError(f"needs images [C, H, W], not {shape}: use lipschitz_mlp for vectors")
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
