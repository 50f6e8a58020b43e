"""Posterior by a normalizing flow."""

from __future__ import annotations

from typing import Annotated, cast

import torch
from pydantic import Field, NonNegativeInt
from torch import Tensor, nn

from zoo import Bijection, Part, Shape, TakesContext, component

from ...shared.precision import lifted
from .base import Draws, Posterior
from .normal import DiagonalNormal


@component(
    "flow",
    example={
        "transforms": [{"type": "autoregressive", "net": {"type": "made", "width": 8, "activation": "tanh"}}],
    },
)
class FlowPosterior(Posterior):
    r"""Flow posterior: bijections transform a diagonal normal to the latent.

    .. math:: z_0 = \mu + \sigma \epsilon, \qquad z = f_c(z_0), \qquad
       \log q(z \mid x) = \log \mathcal N(z_0 \mid \mu, \sigma^2) - \log|\det \partial f_c(z_0) / \partial z_0|

    An `autoregressive` layer is inverse autoregressive flow (IAF) here, and a draw takes one pass of its net. The
    density of given latents takes the inverse. The encoder computes :math:`h = (\mu, \log \sigma^2, c)`, where c is
    passed to the transforms as their context; conditioners declare ``context`` with the same size.

    The code of ``x`` is :math:`f_c(\mu)`. The divergence has no closed form.

    Args:
        transforms: The bijections from :math:`z_0` to :math:`z`, in order.
        context: The channels of the context c; 0 for none.

    References: Kingma et al., Improving Variational Inference with Inverse Autoregressive Flow, 2016,
    arXiv:1606.04934, algorithm 1; Rezende and Mohamed, Variational Inference with Normalizing Flows, 2015,
    arXiv:1505.05770.

    Shapes: ``h`` is ``[B, 2 C + context, ...]`` for a latent ``[C, ...]``, and the context ``[B, context, ...]``.
    ValueError for transforms that change the shape, do not take the whole line or have no exact log-determinant, and
    for a context that no transform takes, or the other way round.

    >>> import zoo
    >>> layer = {"type": "autoregressive", "net": {"type": "made", "context": 4}}
    >>> posterior = zoo.declare(Posterior, {"type": "flow", "context": 4, "transforms": [layer, "reverse"]})(Shape(3))
    >>> posterior.encoded, posterior.draw(torch.zeros(5, 10), 2).z.shape
    (Shape(10), torch.Size([2, 5, 3]))
    """

    def __init__(
        self,
        latent: Shape,
        *,
        transforms: Annotated[list[Part[Bijection]], Field(min_length=1)],
        context: NonNegativeInt = 0,
    ) -> None:
        super().__init__(latent)
        self.base = DiagonalNormal(latent)
        self.encoded = latent.with_channels(2 * latent[0] + context)
        self.dimensions = latent.size
        self.transforms = nn.ModuleList(_keeping(part, latent) for part in transforms)
        self.context = context
        _check_context(context, self.transforms)
        self._channels = -len(latent)

    def draw(self, h: Tensor, n: int) -> Draws:
        h0, c = self._split(h)
        z0, log_q0, log_weight = self.base.draw(h0, n)
        z, log_det = self._forward(z0.flatten(0, 1), None if c is None else c.expand(n, *c.shape).flatten(0, 1))
        return Draws(torch.unflatten(z, 0, z0.shape[:2]), log_q0 - log_det.reshape(log_q0.shape), log_weight)

    def log_prob(self, z: Tensor, h: Tensor) -> Tensor:
        h0, c = self._split(h)
        sizes = z.shape[: self._channels], h.shape[: self._channels]
        batch: torch.Size = torch.broadcast_shapes(*sizes)  # type: ignore[no-untyped-call]
        x, context = self._flat(z, batch), None if c is None else self._flat(c, batch)
        log_dets = []
        for bijection in reversed(self.transforms):
            x, log_det = cast(Bijection, bijection).inverse(x, context)
            log_dets.append(log_det)
        z0 = x.reshape(*batch, *self.latent)  # [..., *latent]
        return self.base.log_prob(z0, h0) + torch.stack(log_dets).sum(0).reshape(batch)

    def mean(self, h: Tensor) -> Tensor:
        h0, c = self._split(h)
        return self._forward(self.base.mean(h0), c)[0]

    def _forward(self, z: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
        log_dets = []
        for bijection in self.transforms:
            z, log_det = bijection(z, context)
            log_dets.append(log_det)
        return z, torch.stack(log_dets).sum(0)

    def _split(self, h: Tensor) -> tuple[Tensor, Tensor | None]:
        """The parameters of the normal, and the context of the transforms."""
        if not self.context:
            return h, None
        h0, c = torch.split(lifted(h), [2 * self.latent[0], self.context], dim=self._channels)
        return h0, c

    def _flat(self, x: Tensor, batch: torch.Size) -> Tensor:
        """``[..., C, ...] -> [B, C, ...]``, expanded to the sizes of ``batch``."""
        event = x.shape[self._channels :]
        return x.expand(*batch, *event).reshape(-1, *event)


def _keeping(part: Part[Bijection], latent: Shape) -> Bijection:
    """The bijection, built for the latent's shape, which it must preserve."""
    bijection = part(latent)
    if bijection.domain is not None or bijection.out_shape != latent:
        raise ValueError(f"needs transforms of the whole line that keep the shape {latent}, unlike '{part.name}'")
    if not bijection.exact:
        raise ValueError(f"needs transforms with an exact log-determinant, but that of '{part.name}' is random")
    return bijection


def _check_context(context: int, transforms: nn.Module) -> None:
    taking = [part for part in transforms.modules() if isinstance(part, TakesContext) and part.context]
    if context and not taking:
        raise ValueError(f"no transform takes the context: declare 'context: {context}' on the conditioners")
    wrong = [part for part in taking if part.context != context]
    if wrong:
        size, name = wrong[0].context, type(wrong[0]).__name__
        raise ValueError(f"its {name} takes a context of {size} numbers, got {context}: declare 'context: {size}'")
