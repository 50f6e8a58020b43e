"""Multi-scale autoregressive model."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Annotated, ClassVar, cast

import torch
from pydantic import Field, PositiveInt
from torch import Tensor, nn
from torch.nn.functional import relu

from zoo import Batch, Causal, Clock, Condition, Event, Known, Model, Part, Shape, Terms, component, named, sum_event

from ...nets.masked.net import AutoregressiveNet
from ...shared.context import Context
from ..heads.base import Head
from ..inputs import Inputs
from .autoregressive import Autoregressive

PART = "small image"
"""The name of the small image in the condition of the large one."""


class Upsampled(nn.Module):
    r"""Upsampling of a small image to a map of the size of the large one: a convolution, and a transposed one.

    .. math:: a = W * x_s, \qquad m = U *^T \max(0, a) + V \bar a

    Through the mean :math:`\bar a`, which the reference does not have, each place depends on all of the small image,
    however few layers there are.

    References: van den Oord et al., Pixel Recurrent Neural Networks, 2016, arXiv:1601.06759, sec. 3.6.

    Shapes: levels ``[B, C, h, w]``, under the name ``PART``, to ``[B, size, H, W]``, where a pixel becomes ``scale``
    times as many each way, and what is over is cut off.
    """

    sources: ClassVar[tuple[str, ...]] = (PART,)

    def __init__(self, inputs: Part[Inputs], scale: int, size: int, event: Event) -> None:
        super().__init__()
        self.size = size
        self.inputs = inputs(every(event, scale))
        self.conv = nn.Conv2d(self.inputs.features * event.shape[0], size, 3, padding=1)
        self.up = nn.ConvTranspose2d(size, size, scale, stride=scale)
        self.everywhere = nn.Linear(size, size, bias=False)
        self.sizes = tuple(event.shape)[1:]

    def forward(self, given: Condition) -> Tensor:
        H, W = self.sizes
        a = self.conv(self.inputs(given[PART], self.conv.weight.dtype))  # [B, size, h, w]
        large: Tensor = self.up(relu(a))[:, :, :H, :W]
        everywhere: Tensor = self.everywhere(a.mean((2, 3)))
        return large + everywhere[..., None, None]


def every(event: Event, scale: int) -> Event:
    """Every ``scale``-th pixel of every ``scale``-th row, from the first; ValueError for data that are not images.

    >>> every(Event("image", Shape(1, 5, 4), levels=2), 2).shape
    Shape(1, 3, 2)
    """
    if len(event.shape) != 3:
        raise ValueError(f"a small image is a part of an image [C, H, W], got shape {event.shape}")
    C, H, W = event.shape
    if scale > max(H, W):
        raise ValueError(f"of {event.shape} every {scale}th pixel is a single one: use a smaller scale")
    return replace(event, shape=Shape(C, -(-H // scale), -(-W // scale)))


SMALL = {"type": "autoregressive", "net": {"type": "made", "width": 8}, "head": "categorical"}
LARGE = {"type": "causal_stack", "width": 6, "layers": [{"type": "gated", "context": 2}], "context": 2}


@component("multi_scale", example={"small": SMALL, "net": LARGE, "head": "categorical", "context": 2})
class MultiScale(Model, Causal):
    r"""Multi-scale autoregressive model: a small image first, then the large one that contains it.

    .. math:: p(x) = p(x_s) \prod_{i \notin s} p(x_i \mid x_{<i}, x_s), \qquad x_s = (x_{ks, ls})_{kl}

    with :math:`x_s` every ``scale``-th pixel of every ``scale``-th row. A convolution and a transposed one upsample
    :math:`x_s` to a map of the image's size, for the layers that declare a context. The likelihood is exact: the pixels
    of :math:`x_s` are pixels of :math:`x`, and the large model scores only the others, each given all of :math:`x_s`.

    A condition of the model is passed to the small one. ValueError for a small model that is not causal, for data that
    are not images, for a scale above their size, and if no part of the net takes the map.

    Args:
        small: The model of the small image, any autoregressive one.
        net: The autoregressive network of the large image.
        head: The distribution of a number, or of the channels of a pixel, of the large image.
        inputs: The encoding of levels as input of the net.
        scale: The number of pixels between two pixels of the small image.
        context: The channels of the upsampled map.

    References: van den Oord et al., Pixel Recurrent Neural Networks, 2016, arXiv:1601.06759, sec. 3.6.

    Shapes: data ``[B, C, H, W]``, integers; ``log_prob`` ``[B]``, in nats; uniforms ``[n, numbers]``.
    """

    drawn_first: Tensor

    def __init__(
        self,
        event: Event,
        *,
        small: Part[Model],
        net: Part[AutoregressiveNet],
        head: Part[Head],
        inputs: Part[Inputs] = named("centred"),
        scale: Annotated[int, Field(ge=2)] = 2,
        context: PositiveInt = 16,
    ) -> None:
        super().__init__(event)
        self.scale = scale
        first = small(every(event, scale))
        if not isinstance(first, Causal):
            raise ValueError(f"the small model must be autoregressive, got '{small.name}'")
        self.small = first
        self.conditioned_on = first.conditioned_on
        upsampled = cast("Part[Context]", partial(Upsampled, inputs, scale, context))
        self.large = Autoregressive(event, net=net, head=head, inputs=inputs, context=upsampled)
        mask = torch.zeros(tuple(event.shape), dtype=torch.bool)
        mask[:, ::scale, ::scale] = True
        self.register_buffer("drawn_first", mask, persistent=False)

    @property
    def kept(self) -> bool:  # type: ignore[override]
        """Whether both models cache what they have computed."""
        return self.small.kept and self.large.kept

    def forward(self, batch: Batch, clock: Clock) -> Terms:
        nll = -self.log_prob(batch[self.event.name], self.given(batch))
        return Terms(nll.mean(), {"nll": nll})

    def after_step(self, clock: Clock) -> None:
        self.small.after_step(clock)

    def log_prob(self, x: Tensor, context: Condition | None = None) -> Tensor:
        part = self._part(x)
        log_p = self.large.head.log_prob(x, self.large.answer(x, {PART: part}))
        return self.small.log_prob(part, context) + sum_event(log_p.masked_fill(self.drawn_first, 0.0))

    # -- the order, and the conditionals ----------------------------------------------------------------------------

    def ranks(self) -> Tensor:
        first, rest = self._places()
        before, after = self.small.ranks(), self.large.ranks()[rest]
        ranks = torch.empty(self.event.shape.size, dtype=torch.int64, device="cpu")
        ranks[first] = before
        ranks[rest] = before.max() + 1 + torch.unique(after, return_inverse=True)[1]
        return ranks

    def sees(self) -> Tensor:
        first, _ = self._places()
        seen = self.large.sees()
        seen[:, first] = True
        seen[first] = False
        seen[first.unsqueeze(1), first] = self.small.sees()
        return seen

    def conditionals(self, x: Tensor, context: Condition | None = None) -> Tensor:
        part = self._part(x)
        return self._with(self.large.conditionals(x, {PART: part}), self.small.conditionals(part, context))

    # -- draws ------------------------------------------------------------------------------------------------------

    def uniforms(self, n: int) -> Tensor:
        return torch.cat([self.small.uniforms(n).flatten(1), self.large.uniforms(n).flatten(1)], dim=1)

    @torch.no_grad()
    def redraw(self, x: Tensor, u: Tensor, context: Condition | None = None, temperature: float = 1.0) -> Tensor:
        first, rest = self._split(u)
        part = self._part(x)
        large = self.large.redraw(x, rest, {PART: part}, temperature)
        return self._with(large, self.small.redraw(part, first, context, temperature))

    @torch.no_grad()
    def unroll(
        self, u: Tensor, context: Condition | None = None, temperature: float = 1.0, known: Known | None = None
    ) -> Tensor:
        first, rest = self._split(u)
        part = self.small.unroll(first, context, temperature, self._known_part(known))
        return self.large.unroll(rest, {PART: part}, temperature, self._known(part, known))

    @torch.no_grad()
    def draw(
        self, u: Tensor, context: Condition | None = None, temperature: float = 1.0, known: Known | None = None
    ) -> Tensor:
        first, rest = self._split(u)
        part = self.small.draw(first, context, temperature, self._known_part(known))
        return self.large.draw(rest, {PART: part}, temperature, self._known(part, known))

    # -- the small image and the large one --------------------------------------------------------------------------

    def _part(self, x: Tensor) -> Tensor:
        return x[:, :, :: self.scale, :: self.scale]

    def _with(self, x: Tensor, part: Tensor) -> Tensor:
        """``x`` ``[n, C, H, W, ...]`` with the small image in its places."""
        x = x.clone()
        x[:, :, :: self.scale, :: self.scale] = part
        return x

    def _known(self, part: Tensor, known: Known | None) -> Known:
        """The known part of the large image once the small one is generated."""
        if known is None:
            x, mask = part.new_zeros(part.shape[0], *self.event.shape), self.drawn_first
            return Known(self._with(x, part), mask.expand_as(x))
        return Known(self._with(known.x, part.to(known.x.dtype)), known.mask | self.drawn_first)

    def _known_part(self, known: Known | None) -> Known | None:
        return None if known is None else Known(self._part(known.x), self._part(known.mask))

    def _split(self, u: Tensor) -> tuple[Tensor, Tensor]:
        """The uniforms of the small image and those of the large one."""
        sizes = [model.uniforms(0).shape[1:] for model in (self.small, self.large)]
        first, rest = u.split_with_sizes([size.numel() for size in sizes], dim=1)
        return first.reshape(-1, *sizes[0]), rest.reshape(-1, *sizes[1])

    def _places(self) -> tuple[Tensor, Tensor]:
        """The places of the small image's numbers, and those of the others, in memory."""
        places = torch.arange(self.event.shape.size, device="cpu").reshape(1, *self.event.shape)
        first = self._part(places).flatten()
        rest = torch.ones(self.event.shape.size, dtype=torch.bool, device="cpu").index_fill(0, first, False)
        return first, rest.nonzero().squeeze(1)
