"""Variational dequantisation: noise from a flow."""

from __future__ import annotations

import math
from typing import Annotated

import torch
from pydantic import Field, PositiveInt
from torch import Tensor
from torch.nn.functional import logsigmoid

from zoo import Bijection, Conditioner, Distribution, Event, Part, TakesContext, component, named, sum_event

from ..shared.dequantization import Dequantization
from ..shared.events import to_levels
from .bijections.chain import Chain


@component(
    "variational",
    example={
        "context": 4,
        "features": {"type": "convnet", "width": 8},
        "transforms": [
            {"type": "coupling", "mask": "checkerboard", "conditioner": {"type": "convnet", "width": 8, "context": 4}},
        ],
    },
)
class Variational(Dequantization):
    r"""Variational dequantisation: noise from a flow that is conditioned on the data.

    .. math:: v = (x + u) / \text{levels}, \qquad u = \sigma(f_c(\epsilon)), \quad \epsilon \sim p(\epsilon), \quad
       c = \text{features}(x)

    so that :math:`u` has a density :math:`q(u \mid x)` on the unit cube, and ``log_det`` is
    :math:`-\log q(u \mid x) - D \log \text{levels}` with

    .. math:: \log q(u \mid x) = \log p(\epsilon) - \log|\det J_{f_c}(\epsilon)|
       - \sum_j \log \sigma'(f_c(\epsilon)_j)

    Conditioners in :math:`f_c` get the features :math:`c` as their context and declare ``context`` with the same size.
    If the transforms start as the identity, logistic noise starts as the uniform dequantisation.

    Args:
        features: The network that computes the features :math:`c` of the data.
        context: The number of channels of the features.
        transforms: The bijections :math:`f_c`, from the noise to the logit of :math:`u`.
        noise: The distribution of :math:`\epsilon`; the paper has ``standard_normal``.

    References: Ho et al., Flow++, 2019, arXiv:1902.00275, sec. 3.1.

    Shapes: integers ``[B, *shape]`` to numbers in [0, 1] ``[B, *shape]``, ``log_det`` ``[B]``, in nats. The features
    are computed from the levels scaled to [-1, 1] and have ``context`` channels: ``[B, context, H, W]`` or ``[B,
    context]``. ValueError for transforms that change the shape, do not take the whole line, or take no features.

    >>> import torch, zoo
    >>> net = {"type": "convnet", "context": 4}
    >>> coupling = {"type": "coupling", "mask": "checkerboard", "conditioner": net}
    >>> node = {"type": "variational", "context": 4, "features": "convnet", "transforms": [coupling]}
    >>> variational = zoo.declare(Dequantization, node)(zoo.Event("image", zoo.Shape(1, 2, 2), levels=4))
    >>> x = torch.tensor([[[[0, 1], [2, 3]]]], dtype=torch.uint8)
    >>> v, log_det = variational(x)
    >>> torch.equal(variational.inverse(v), x), round(log_det.item(), 4)    # uniform, before training
    (True, -5.5452)
    """

    def __init__(
        self,
        event: Event,
        *,
        features: Part[Conditioner],
        context: PositiveInt,
        transforms: Annotated[list[Part[Bijection]], Field(min_length=1)],
        noise: Part[Distribution] = named("logistic"),
    ) -> None:
        super().__init__(event)
        self.features = features(event.shape, event.shape.with_channels(context))
        self.transforms = Chain(event.shape, of=transforms)
        if self.transforms.domain is not None or self.transforms.out_shape != event.shape:
            raise ValueError(f"needs transforms of the whole line that keep the shape {event.shape}")
        if not any(isinstance(part, TakesContext) and part.context for part in self.transforms.modules()):
            raise ValueError(f"no transform takes the features: declare 'context: {context}' on the conditioners")
        self.noise = noise(event.shape)
        self._log_volume = -event.shape.size * math.log(self.levels)
        self._half = 0.5 * max(self.levels - 1, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        epsilon = self.noise.sample(x.shape[0])
        context = self.features(x.to(epsilon.dtype) / self._half - 1.0)
        y, log_det = self.transforms(epsilon, context)
        # The slope of the sigmoid at y is the density of the standard logistic there.
        log_det = log_det + sum_event(logsigmoid(y) + logsigmoid(-y)) - self.noise.log_prob(epsilon)
        # Rounding must carry no number into the level above.
        u = torch.sigmoid(y).clamp(max=1.0 - self.levels * torch.finfo(y.dtype).eps)
        return (u + x) / self.levels, log_det + self._log_volume

    def inverse(self, v: Tensor) -> Tensor:
        return to_levels(v, self.levels)
