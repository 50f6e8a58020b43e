"""Normalizing flow."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from torch import Tensor

from zoo import Batch, Bijection, Clock, Decodes, Distribution, Event, Model, Part, Scores, Terms, component

from .chain import Chain
from .dequantization import Dequantization


@component(
    "flow",
    example={
        "base": "standard_normal",
        "transforms": [
            {"type": "affine_coupling", "mask": "checkerboard", "conditioner": {"type": "mlp", "width": 8}},
        ],
    },
)
class Flow(Model, Scores, Decodes):
    r"""Normalizing flow: bijections from data to a base distribution, trained by maximum likelihood.

    .. math:: \log p(x) = \log p_Z(f(x)) + \log|\det \partial f(x) / \partial x|, \qquad f = f_n \circ \dots \circ f_1

    ``transforms`` run from data to latent. Data with levels is dequantised first, and ``log_prob`` is then a
    stochastic lower bound; ValueError where such data comes without ``dequantize``, or other data with it.

    References: Dinh et al., Density estimation using Real NVP, 2017, arXiv:1605.08803, eq. 2-3.

    Shapes: data ``[B, *event.shape]``, integers where the event has levels; ``log_prob`` ``[B]``, in nats.

    >>> import torch, zoo
    >>> node = {"type": "flow", "base": "standard_normal", "transforms": ["act_norm"]}
    >>> flow = zoo.declare(zoo.Model, node)(zoo.Event("point", zoo.Shape(2)))
    >>> flow.log_prob(torch.zeros(1, 2))
    tensor([-1.8379], grad_fn=<AddBackward0>)
    >>> flow.sample(3).shape
    torch.Size([3, 2])
    """

    def __init__(
        self,
        event: Event,
        *,
        base: Part[Distribution],
        transforms: Annotated[list[Part[Bijection]], Field(min_length=1)],
        dequantize: Part[Dequantization] | None = None,
    ) -> None:
        super().__init__(event)
        if event.levels is not None and dequantize is None:
            raise ValueError(f"'{event.name}' has {event.levels} levels: declare dequantize, such as 'uniform'")
        if event.levels is None and dequantize is not None:
            raise ValueError(f"'{event.name}' is continuous: leave out dequantize")
        self.exact = dequantize is None
        self.dequantize = dequantize(event) if dequantize else None
        self.transforms = Chain(event.shape, of=transforms)
        self.base = base(self.transforms.out_shape)

    def forward(self, batch: Batch, clock: Clock) -> Terms:
        nll = -self.log_prob(batch[self.event.name])
        return Terms(nll.mean(), {"nll": nll})

    def log_prob(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        z, log_det = self.encode(x, context)
        return self.base.log_prob(z, context) + log_det

    def encode(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """``x -> (z, log_det)``: the latent of data, dequantised where it is discrete."""
        if self.dequantize is None:
            z, log_det = self.transforms(x, context)
            return z, log_det
        v, noise_log_det = self.dequantize(x)
        z, log_det = self.transforms(v, context)
        return z, log_det + noise_log_det

    def draw_latent(self, n: int, context: Tensor | None = None, temperature: float = 1.0) -> Tensor:
        return self.base.sample(n, context, temperature)

    def decode(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        x = self.transforms.decode(z, context)
        return x if self.dequantize is None else self.dequantize.inverse(x)
