"""Energies to be learned: a network, a quadratic form, a mixture of normals."""

from __future__ import annotations

import math

import torch
from pydantic import PositiveFloat, PositiveInt
from torch import Tensor, nn

from zoo import Encoder, Energy, Part, Shape, component, named, sum_event


@component("network", example={"net": {"type": "mlp", "width": 8, "activation": "silu"}})
class Network(Energy):
    r"""Energy by a network, with a quadratic term that makes its density integrable.

    .. math:: U(x) = f(x) + \frac{1}{2 r^2} \lVert x \rVert^2

    A network grows linearly at most, so that :math:`\exp(-f)` alone has no finite integral over the whole space. Scores
    and chains differentiate :math:`f`: choose a smooth activation, ``silu``, rather than ``relu``.

    Args:
        net: The network :math:`f` to one number.
        radius: The standard deviation :math:`r` of the normal that the density is relative to, larger than the data;
            ``null`` for no quadratic term, which is an energy over a bounded set alone.

    References: LeCun et al., A Tutorial on Energy-Based Learning, 2006; Du and Mordatch, Implicit Generation and
    Modeling with Energy-Based Models, 2019, arXiv:1903.08689.

    Shapes: ``[B, *shape] -> [B]``, in nats.

    >>> import torch, zoo
    >>> node = {"type": "network", "net": {"type": "mlp", "width": 8, "activation": "silu"}}
    >>> zoo.declare(zoo.Energy, node)(zoo.Shape(2))(torch.zeros(3, 2)).shape
    torch.Size([3])
    """

    def __init__(
        self,
        shape: Shape,
        *,
        net: Part[Encoder] = named("mlp", activation="silu"),
        radius: PositiveFloat | None = 4.0,
    ) -> None:
        super().__init__(shape)
        self.net = net(shape, Shape(1))
        self._precision = 0.0 if radius is None else radius**-2

    def forward(self, x: Tensor) -> Tensor:
        f: Tensor = self.net(x).squeeze(1)  # [B]
        return f + 0.5 * self._precision * sum_event(x.square()) if self._precision else f


@component("quadratic")
class Quadratic(Energy):
    r"""Energy of a normal with a learned mean and a learned covariance.

    .. math:: U(x) = \tfrac12 \lVert L^\top (x - \mu) \rVert^2

    with :math:`L` lower triangular, the factor of the precision :math:`L L^\top`, and a positive diagonal
    :math:`\exp(\ell)`. Its normalising constant is known, :math:`\log Z = \tfrac D2 \log 2\pi - \sum_d \ell_d`, by
    which estimators can be checked. It starts as a standard normal.

    Shapes: ``[B, *shape] -> [B]``, in nats.

    >>> import torch, zoo
    >>> zoo.declare(zoo.Energy, "quadratic")(zoo.Shape(2))(torch.ones(1, 2)).item()
    1.0
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__(shape)
        D = shape.size
        self.mean = nn.Parameter(torch.zeros(D))
        self.log_diagonal = nn.Parameter(torch.zeros(D))
        self.below = nn.Parameter(torch.zeros(D, D))

    def forward(self, x: Tensor) -> Tensor:
        return 0.5 * ((x.flatten(1) - self.mean) @ self.factor()).square().sum(1)

    def factor(self) -> Tensor:
        """:math:`L`, ``[D, D]``."""
        return self.below.tril(-1) + self.log_diagonal.exp().diag()

    def log_partition(self) -> Tensor:
        """:math:`\\log Z`, a scalar."""
        return 0.5 * self.shape.size * math.log(2.0 * math.pi) - self.log_diagonal.sum()


@component("mixture", example={"components": 3})
class Mixture(Energy):
    r"""Energy of a mixture of normals with learned weights, means and scales, none of them normalised.

    .. math:: U(x) = -\log \sum_{k=1}^K \exp\Bigl(a_k - \tfrac12 \sum_d \bigl((x_d - \mu_{kd})\,
       e^{-s_{kd}}\bigr)^2\Bigr)

    Its normalising constant is known, :math:`\log Z = \log \sum_k e^{a_k + \sum_d s_{kd}} + \tfrac D2 \log 2\pi`.

    Args:
        components: The number of normals, :math:`K`.
        spread: The standard deviation of the initial means.

    Shapes: ``[B, *shape] -> [B]``, in nats.

    >>> import torch, zoo
    >>> mixture = zoo.declare(zoo.Energy, {"type": "mixture", "components": 3})(zoo.Shape(2))
    >>> mixture(torch.zeros(4, 2)).shape
    torch.Size([4])
    """

    def __init__(self, shape: Shape, *, components: PositiveInt = 8, spread: PositiveFloat = 1.0) -> None:
        super().__init__(shape)
        self.log_weight = nn.Parameter(torch.zeros(components))
        self.mean = nn.Parameter(spread * torch.randn(components, *shape))
        self.log_scale = nn.Parameter(torch.zeros(components, *shape))

    def forward(self, x: Tensor) -> Tensor:
        epsilon = (x.unsqueeze(1) - self.mean) * (-self.log_scale).exp()  # [B, K, *shape]
        return -torch.logsumexp(self.log_weight - 0.5 * epsilon.square().flatten(2).sum(2), dim=1)

    def log_partition(self) -> Tensor:
        """:math:`\\log Z`, a scalar."""
        return (self.log_weight + sum_event(self.log_scale)).logsumexp(0) + 0.5 * self.shape.size * math.log(
            2.0 * math.pi
        )
