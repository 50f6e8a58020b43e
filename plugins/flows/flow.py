"""Normalizing flow."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from zoo import (
    Batch,
    Bijection,
    Clock,
    Condition,
    Decodes,
    Distribution,
    Event,
    Model,
    Part,
    Reconstructs,
    Scores,
    Terms,
    component,
    named,
)

from ..shared.context import Context, check_context, vectors_of
from ..shared.dequantization import Dequantization
from .bijections.chain import Chain
from .objectives import Objective


@component(
    "flow",
    example={
        "base": "standard_normal",
        "transforms": [
            {"type": "affine_coupling", "mask": "checkerboard", "conditioner": {"type": "mlp", "width": 8}},
        ],
    },
)
class Flow(Model, Scores, Reconstructs, Decodes):
    r"""Normalizing flow: bijections from data to a base distribution.

    .. math:: \log p(x) = \log p_Z(f(x)) + \log|\det \partial f(x) / \partial x|, \qquad f = f_n \circ \dots \circ f_1

    Data with levels is dequantised first, and ``log_prob`` is then a stochastic lower bound; ValueError for such data
    without ``dequantize``, or other data with it.

    With ``recompute`` the memory of training does not grow with depth, for about twice the time. ValueError for layers
    with dropout, and others whose inverse does not invert their forward pass in training.

    With a ``context`` it models data given labels or features, :math:`p(x \mid c)`: couplings whose conditioners
    declare ``context: N`` get it, and so does a conditional base. ValueError if a context is declared and no part takes
    it, or the other way round.

    Args:
        base: The distribution of the latent, :math:`p_Z`.
        transforms: The bijections :math:`f_1, \dots, f_n`, from data to latent.
        dequantize: The dequantisation of data with levels; ``null`` for continuous data.
        context: The conditioning on labels or features; ``null`` for none.
        recompute: Recompute the activations of each layer from its output in the backward pass.
        objective: The training objective.

    References: Dinh et al., Density estimation using Real NVP, 2017, arXiv:1605.08803, eq. 2-3.

    Shapes: data ``[B, *event.shape]``, integers where the event has levels; ``log_prob`` ``[B]``, in nats. The context
    of ``log_prob`` and ``sample`` is what the batch has: labels ``[B]`` or features ``[B, N]``. Codes are latents,
    ``[B, *out_shape]`` of the transforms; those of data with levels include the noise of dequantisation.

    >>> import torch, zoo
    >>> node = {"type": "flow", "base": "standard_normal", "transforms": ["act_norm"]}
    >>> flow = zoo.declare(zoo.Model, node)(zoo.Event("point", zoo.Shape(2)))
    >>> flow.log_prob(torch.zeros(1, 2))
    tensor([-1.8379], grad_fn=<AddBackward0>)
    >>> flow.sample(3).shape
    torch.Size([3, 2])
    """

    like: Tensor

    def __init__(
        self,
        event: Event,
        *,
        base: Part[Distribution],
        transforms: Annotated[list[Part[Bijection]], Field(min_length=1)],
        dequantize: Part[Dequantization] | None = None,
        context: Part[Context] | None = None,
        recompute: bool = False,
        objective: Part[Objective] = named("max_likelihood"),
    ) -> None:
        super().__init__(event)
        if event.levels is not None and dequantize is None:
            raise ValueError(f"'{event.name}' has {event.levels} levels: declare dequantize, such as 'uniform'")
        if event.levels is None and dequantize is not None:
            raise ValueError(f"'{event.name}' is continuous: leave out dequantize")
        self.dequantize = dequantize(event) if dequantize else None
        self.transforms = Chain(event.shape, of=transforms)
        if recompute:
            self.transforms.keep_nothing()
        # Data is rounded to the dtype of this number, unless the first transform rounds; its value is of no account.
        self.register_buffer("like", torch.zeros(()), persistent=False)
        self.rounds = self.transforms.rounds
        self.exact = dequantize is None and self.transforms.exact
        self.unbiased = dequantize is None
        self.base = base(self.transforms.out_shape)
        self.context = context(event) if context else None
        check_context(self.context, nn.ModuleList([self.transforms, self.base]))
        self.conditioned_on = self.context.sources if self.context else None
        self.objective = objective(event, self.transforms)

    def forward(self, batch: Batch, clock: Clock) -> Terms:
        terms: Terms = self.objective(self, batch, clock)
        return terms

    def log_prob(self, x: Tensor, context: Condition | None = None) -> Tensor:
        c = self.condition(context)
        z, log_det = self._transform(x, c)
        return self.base.log_prob(z, c) + log_det

    def transform(self, x: Tensor, context: Condition | None = None) -> tuple[Tensor, Tensor]:
        """``x -> (z, log_det)``: the latent of data, dequantised if it has levels."""
        return self._transform(x, self.condition(context))

    def encode(self, x: Tensor, context: Condition | None = None) -> Tensor:
        return self.transform(x, context)[0]

    def expect(self, z: Tensor, context: Condition | None = None) -> Tensor:
        return self.event.unit(self.decode(z, context), z.dtype)

    def draw_latent(self, n: int, context: Condition | None = None, temperature: float = 1.0) -> Tensor:
        return self.base.sample(n, self.condition(context), temperature)

    def decode(self, z: Tensor, context: Condition | None = None) -> Tensor:
        x = self.transforms.decode(z, self.condition(context))
        return x if self.dequantize is None else self.dequantize.inverse(x)

    def condition(self, context: Condition | None) -> Tensor | None:
        """The context vector for the parts, ``[B, N]``, from the entry of the batch."""
        return vectors_of(self.context, context)

    def continuous(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """``x -> (v, log_det)``: dequantised data, as the transforms take it; the log-determinant is None for
        continuous data.
        """
        if self.dequantize is None:
            return x if self.rounds else x.to(self.like.dtype), None
        v, log_det = self.dequantize(x)
        return v, log_det

    def _transform(self, x: Tensor, c: Tensor | None) -> tuple[Tensor, Tensor]:
        v, noise_log_det = self.continuous(x)
        z, log_det = self.transforms(v, c)
        return z, log_det if noise_log_det is None else log_det + noise_log_det
