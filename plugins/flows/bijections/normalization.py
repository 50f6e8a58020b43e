"""Normalising bijections: activation and batch normalisation, standardisation."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import Field, PositiveFloat
from torch import Tensor, nn

from zoo import BatchStatistics, Bijection, DataDependent, RunningStatistics, Shape, component

from ...shared.moments import channel_moments, element_moments, places, spread
from ..numerics.per_sample import per_sample


@component("act_norm")
class ActNorm(DataDependent, Bijection):
    r"""Activation normalisation: a scale and a shift for each channel, initialised from the first batch.

    .. math:: z = x \odot \exp(s) + b

    so that :math:`\log|\det \partial z / \partial x| = H W \sum_c s_c`. The output of the first batch has mean zero and
    variance one; a channel that is constant in it keeps scale one. From then on both are ordinary parameters.

    References: Kingma and Dhariwal, Glow, 2018, arXiv:1807.03039, sec. 3.1.

    Shapes: ``[B, C, H, W]`` or ``[B, D]``, unchanged.

    >>> import torch, zoo
    >>> norm = zoo.declare(zoo.Bijection, "act_norm")(zoo.Shape(1))
    >>> x = torch.tensor([[1.0], [3.0]])
    >>> norm.initialize(x)
    >>> norm(x)[0].flatten().tolist()
    [-1.0, 1.0]
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__(shape)
        sizes = (shape[0],) + (1,) * (len(shape) - 1)
        self.log_scale = nn.Parameter(torch.zeros(sizes))
        self.bias = nn.Parameter(torch.zeros(sizes))
        self._places = places(shape)

    @torch.no_grad()
    def initialize(self, x: Tensor, context: Tensor | None = None) -> None:
        mean, var = channel_moments(x)
        std = spread(mean, var, x.dtype)
        self.log_scale.copy_(-std.log())
        self.bias.copy_(-mean / std)

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return torch.addcmul(self.bias, x, self.log_scale.exp()), self._log_det(x)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return (z - self.bias) * self.log_scale.neg().exp(), -self._log_det(z)

    def _log_det(self, x: Tensor) -> Tensor:
        return per_sample(self.log_scale.sum() * self._places, x)


@component("batch_norm")
class BatchNorm(BatchStatistics, RunningStatistics, Bijection):
    r"""Batch normalisation of each channel, as a bijection.

    .. math:: z = \frac{x - \mu}{\sqrt{\sigma^2 + \epsilon}}, \qquad
       \log\Bigl|\det \frac{\partial z}{\partial x}\Bigr| = -\frac{HW}{2} \sum_c \log(\sigma_c^2 + \epsilon)

    In training mode :math:`\mu, \sigma^2` are those of the batch, gradients flow through them, and ``log_det`` is that
    of the map with these statistics held fixed. Each such pass updates the running averages. In evaluation mode the
    averages are used. ``inverse`` uses the averages in both modes: only with them is it the inverse of ``forward``. The
    batch's moments are computed in float64; an average that the buffer's precision cannot hold stays at the largest
    number that it can.

    Args:
        momentum: The weight of a batch in the running averages; one over the number of batches since `reset` while
            that is larger.
        eps: The :math:`\epsilon` that bounds the scale of a channel that hardly varies.

    References: Dinh et al., Density estimation using Real NVP, 2017, arXiv:1605.08803, sec. 3.7.

    Shapes: ``[B, C, H, W]`` or ``[B, D]``, unchanged.

    >>> import torch, zoo
    >>> norm = zoo.declare(zoo.Bijection, "batch_norm")(zoo.Shape(1))
    >>> x = torch.tensor([[1.0], [3.0]])
    >>> norm(x)[0].round(decimals=4).flatten().tolist()
    [-1.0, 1.0]
    >>> norm.mean.item(), norm.var.item()    # of the population: the variance is unbiased
    (2.0, 2.0)
    """

    mean: Tensor
    var: Tensor
    count: Tensor

    def __init__(
        self,
        shape: Shape,
        *,
        momentum: Annotated[float, Field(gt=0, lt=1)] = 0.1,
        eps: PositiveFloat = 1e-5,
    ) -> None:
        super().__init__(shape)
        sizes = (shape[0],) + (1,) * (len(shape) - 1)
        self.register_buffer("mean", torch.zeros(sizes))
        self.register_buffer("var", torch.ones(sizes))
        self.register_buffer("count", torch.zeros((), dtype=torch.int64))
        self.momentum, self.eps = momentum, eps
        self._places = places(shape)

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        mean, var = self._of_batch(x) if self.training else (self.mean, self.var)
        z = (x - mean.to(x.dtype)) * (var + self.eps).rsqrt().to(x.dtype)
        return z, self._log_det(var, x)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return z * (self.var + self.eps).sqrt() + self.mean, -self._log_det(self.var, z)

    @torch.no_grad()
    def reset(self) -> None:
        self.mean.zero_()
        self.var.fill_(1.0)
        self.count.zero_()

    def _of_batch(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mean, var = channel_moments(x)
        n = len(x) * self._places
        with torch.no_grad():
            self.count.add_(1)
            weight = self.count.to(self.mean.dtype).reciprocal().clamp(min=self.momentum)
            self.mean.lerp_(mean.to(self.mean.dtype), weight)
            unbiased = (var * (n / max(n - 1, 1))).clamp(max=torch.finfo(self.var.dtype).max)
            self.var.lerp_(unbiased.to(self.var.dtype), weight)
        return mean, var

    def _log_det(self, var: Tensor, x: Tensor) -> Tensor:
        return per_sample(((var + self.eps).log().sum() * (-0.5 * self._places)).to(x.dtype), x)


@component("standardize")
class Standardize(DataDependent, Bijection):
    r"""Standardisation: mean zero and variance one, by the statistics of the first batch.

    .. math:: z = (x - \mu) / \sigma

    so that :math:`\log|\det \partial z / \partial x| = -\sum_j \log \sigma_j`. The statistics are buffers and are not
    trained. They are computed in float64. Elements that are constant in the first batch keep scale one. Data in float64
    is rounded to the dtype of the statistics after the mean is subtracted.

    Args:
        per: ``element`` for a mean and a variance of each element, ``channel`` for those of each channel over all
            its places.

    Shapes: ``[B, *shape]``, unchanged.

    >>> import torch, zoo
    >>> standardize = zoo.declare(zoo.Bijection, "standardize")(zoo.Shape(2))
    >>> x = torch.tensor([[1.0, 5.0], [3.0, 5.0]])
    >>> standardize.initialize(x)
    >>> standardize(x)[0].tolist()
    [[-1.0, 0.0], [1.0, 0.0]]
    """

    rounds = True
    mean: Tensor
    std: Tensor

    def __init__(self, shape: Shape, *, per: Literal["element", "channel"] = "element") -> None:
        super().__init__(shape)
        self.per = per
        sizes = tuple(shape) if per == "element" else (shape[0],) + (1,) * (len(shape) - 1)
        self.register_buffer("mean", torch.zeros(sizes))
        self.register_buffer("std", torch.ones(sizes))
        self._places = shape.size // self.mean.numel()

    @torch.no_grad()
    def initialize(self, x: Tensor, context: Tensor | None = None) -> None:
        mean, var = channel_moments(x) if self.per == "channel" else element_moments(x)
        self.mean.copy_(mean)
        self.std.copy_(spread(mean, var, x.dtype))

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        z = ((x - self.mean) / self.std).to(self.mean.dtype)
        return z, -self._log_scale(z)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return z * self.std + self.mean, self._log_scale(z)

    def _log_scale(self, x: Tensor) -> Tensor:
        return per_sample(self.std.log().sum() * self._places, x)
