"""Distribution transformed by a flow."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from torch import Tensor

from zoo import Bijection, Distribution, Part, Shape, component, named

from .bijections.chain import Chain


@component(
    "transformed",
    example={
        "transforms": [{"type": "autoregressive", "net": {"type": "made", "width": 8, "activation": "tanh"}}],
    },
)
class Transformed(Distribution):
    r"""Distribution transformed by bijections: a normalizing flow, as a part of a model.

    .. math:: \log p(x) = \log p_Z(f(x)) + \log|\det \partial f(x) / \partial x|, \qquad f = f_n \circ \dots \circ f_1

    Sampling inverts the transforms. It can serve as a learned prior of a variational autoencoder: choose transforms
    with a fast inverse if sampling must be fast. A context is passed to the transforms and the base.

    Args:
        transforms: The bijections :math:`f_1, \dots, f_n`, from the event to the base, as in a `flow`.
        base: The base distribution :math:`p_Z`.

    References: Rezende and Mohamed, Variational Inference with Normalizing Flows, 2015, arXiv:1505.05770, eq. 5; as a
    prior: Chen et al., Variational Lossy Autoencoder, 2017, arXiv:1611.02731, sec. 3.2.

    Shapes: events ``[B, *shape]``, ``log_prob`` ``[B]`` in nats. The temperature is that of the base's draws.
    ValueError for transforms whose log-determinant is not exact.

    >>> import torch, zoo
    >>> node = {"type": "transformed", "transforms": ["act_norm"]}
    >>> prior = zoo.declare(zoo.Distribution, node)(zoo.Shape(2))
    >>> prior.log_prob(torch.zeros(1, 2))
    tensor([-1.8379], grad_fn=<AddBackward0>)
    >>> prior.sample(3).shape
    torch.Size([3, 2])
    """

    def __init__(
        self,
        shape: Shape,
        *,
        transforms: Annotated[list[Part[Bijection]], Field(min_length=1)],
        base: Part[Distribution] = named("standard_normal"),
    ) -> None:
        super().__init__(shape)
        self.transforms = Chain(shape, of=transforms)
        if not self.transforms.exact:
            raise ValueError("needs transforms with an exact log-determinant")
        self.base = base(self.transforms.out_shape)
        self.support = self.transforms.domain

    def log_prob(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        z, log_det = self.transforms(x, context)
        log_p: Tensor = self.base.log_prob(z, context) + log_det
        return log_p

    def sample(self, n: int, context: Tensor | None = None, temperature: float = 1.0) -> Tensor:
        return self.transforms.decode(self.base.sample(n, context, temperature), context)
