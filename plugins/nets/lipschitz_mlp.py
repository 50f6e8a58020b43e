"""Multi-layer perceptron with a bounded Lipschitz constant."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, pairwise, repeat

import torch
from pydantic import PositiveInt
from torch import Tensor, nn
from torch.nn.functional import linear

from zoo import Shape, component

from .lip_swish import LipSwish
from .lipschitz_net import Contraction, LipschitzNet, bounded
from .norm_bound import norm_bound


@component("lipschitz_mlp", example={"width": 8})
class LipschitzMLP(LipschitzNet):
    r"""Multi-layer perceptron that is a contraction: ``depth`` hidden layers of ``width`` units.

    .. math:: h_0 = x, \qquad h_l = \phi(\bar W_l h_{l-1} + b_l), \qquad g = \bar W_{L+1} h_L + b_{L+1}, \qquad
       \bar W = W / \max(1, \sigma(W) / c^{1/(L+1)})

    with LipSwish as :math:`\phi` and c = ``lipschitz``, the bound of the whole. :math:`\sigma` is an upper bound of the
    spectral norm that is computed anew from the weights, so nothing is kept between calls, and training and evaluation
    are the same.

    References: Behrmann et al., Invertible Residual Networks, 2019, arXiv:1811.00995, sec. 2.1; Chen et al., Residual
    Flows, 2019, arXiv:1906.02735, sec. 3.3.

    Shapes: ``[B, *shape] -> [B, *shape]``, any shape.

    >>> import torch, zoo
    >>> from zoo.plugins.nets.lipschitz_net import LipschitzNet
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
        h = x.flatten(1)
        for (W, layer), phi in zip(hidden, self.activations, strict=True):
            h = phi(linear(h, W, layer.get_parameter("bias")))
        return torch.unflatten(linear(h, last[0], last[1].get_parameter("bias")), 1, self._sizes)
