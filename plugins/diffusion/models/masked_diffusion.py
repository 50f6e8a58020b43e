"""Masked diffusion of data with levels: noise that masks, and a network that fills in."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator
from typing import Literal

import torch
from pydantic import PositiveInt
from torch import Tensor

from zoo import (
    Batch,
    Clock,
    Completes,
    Condition,
    Decodes,
    Event,
    Known,
    Model,
    Part,
    Sampler,
    Scores,
    Shape,
    Terms,
    Traces,
    advanced,
    component,
)

from ...shared.context import Context, check_context, vectors_of
from ...shared.events import evenly, levels_of
from ...shared.precision import lifted
from ..nets.base import Denoiser

Schedule = Literal["linear", "cosine"]


@component("masked_diffusion", example={"net": {"type": "time_mlp", "width": 8, "depth": 1}, "steps": 3})
class MaskedDiffusion(Model, Scores, Decodes, Completes, Traces):
    r"""Masked diffusion: noise masks the numbers of an example one by one, and a network predicts those behind it.

    .. math:: -\log p(x) \le \int_0^1 \frac{-\dot\alpha_t}{1 - \alpha_t}\, \mathrm{E}_{x_t} \Bigl[ \sum_{i : x_t^i = m}
       -\log p_\theta(x^i \mid x_t) \Bigr] dt
       = \mathrm{E}_{k, M} \Bigl[ \frac Dk \sum_{i \in M} -\log p_\theta(x^i \mid x_{\setminus M}) \Bigr]

    Each number is masked at time t with probability :math:`1 - \alpha_t`, independently, and stays so. The integral is
    the same for every :math:`\alpha`: given how many of the D numbers are masked, k, the set M of them is uniform, and
    integrated with its weight each k from 1 to D has mass 1 / k. So k is drawn uniformly, evenly over a batch, and M
    among the sets of its size, which has the mean of the published estimate and less variance. It is also the mean over
    all orders of an autoregressive model, and exact if the predictions agree for each order.

    An example is given to the network as unit vectors of its levels and of the mask, with k / D as the noise level. A
    draw starts with all numbers masked; each evaluation unmasks some of them, in random order, each drawn from its
    prediction. With D evaluations these are draws of an autoregressive model in a random order; with fewer, numbers
    that are unmasked together are independent. A completion begins with the known numbers unmasked.

    The latent of a draw is Gumbel noise for each level of each number, and uniform noise for the order.

    ValueError for continuous data, data with more than three axes, and a context that the network does not take.

    Args:
        net: The network, from unit vectors ``[C (L + 1), H, W]`` to logits ``[C L, H, W]``; a text of D symbols is an
            image of one row.
        steps: The number of evaluations of a draw; ``null`` for one for each number.
        schedule: How many numbers are unmasked at a time: ``linear`` for equally many, ``cosine`` for few at first.
        context: The conditioning on labels or features; ``null`` for none.

    References: Austin et al., Structured Denoising Diffusion Models in Discrete State-Spaces, 2021, arXiv:2107.03006,
    sec. 3.1 and app. A.3; Sahoo et al., Simple and Effective Masked Diffusion Language Models, 2024, arXiv:2406.07524,
    eq. 10; Shi et al., Simplified and Generalized Masked Diffusion for Discrete Data, 2024, arXiv:2406.04329, eq. 5;
    the sum over k: Hoogeboom et al., Autoregressive Diffusion Models, 2021, arXiv:2110.02037, eq. 2-3.

    Shapes: data ``[B, *event.shape]``, integers; ``log_prob`` ``[B]``, in nats; latents ``[n, D, L + 1]``.

    >>> import zoo
    >>> node = {"type": "masked_diffusion", "net": "time_mlp"}
    >>> model = zoo.declare(zoo.Model, node)(zoo.Event("bits", zoo.Shape(3), levels=2)).eval()
    >>> x = model.sample(5)
    >>> x.shape, model.log_prob(x).exp()
    (torch.Size([5, 3]), tensor([0.1250, 0.1250, 0.1250, 0.1250, 0.1250], grad_fn=<ExpBackward0>))
    """

    exact = False
    like: Tensor

    def __init__(
        self,
        event: Event,
        *,
        net: Part[Denoiser],
        steps: PositiveInt | None = 64,
        schedule: Schedule = "linear",
        context: Part[Context] | None = None,
    ) -> None:
        super().__init__(event)
        self.levels = levels_of(event)
        if len(event.shape) > 3:
            raise ValueError(f"needs data with up to three axes, got {event.shape}")
        C, H, W = self.sizes = (*[1] * (3 - len(event.shape)), *event.shape)
        self.net = net(Shape(C * (self.levels + 1), H, W), Shape(C * self.levels, H, W))
        self.steps, self.schedule = steps, schedule
        self.context = context(event) if context else None
        check_context(self.context, self.net)
        self.conditioned_on = self.context.sources if self.context else None
        # Noise and unit vectors have the dtype of this number; its value is of no account.
        self.register_buffer("like", torch.zeros(()), persistent=False)

    # -- the bound -----------------------------------------------------------------------------------------------------

    def forward(self, batch: Batch, clock: Clock) -> Terms:
        nll = -self.log_prob(batch[self.event.name], self.given(batch))
        return Terms(nll.mean(), {"nll": nll})

    def log_prob(self, x: Tensor, context: Condition | None = None) -> Tensor:
        x = x.long().reshape(x.shape[0], -1)
        masked = self._masks(x.shape[0])  # [B, D]
        log_p = self.log_probs(x.masked_fill(masked, self.levels), vectors_of(self.context, context))
        of_data = log_p.gather(2, x.unsqueeze(2)).squeeze(2)
        return x.shape[1] / masked.sum(1) * torch.where(masked, of_data, 0.0).sum(1)

    def log_probs(self, x: Tensor, c: Tensor | None = None) -> Tensor:
        r""":math:`\log p_\theta` of each level of each number, ``[B, D, L]``, from data ``[B, D]`` with L for the mask;
        ``c`` are the vectors of labels.
        """
        B, L = x.shape[0], self.levels
        vectors = torch.arange(L + 1, device=x.device).view(-1, 1, 1)
        units = (x.reshape(B, self.sizes[0], 1, *self.sizes[1:]) == vectors).to(self.like.dtype)  # [B, C, L + 1, H, W]
        share = (x == L).to(self.like.dtype).mean(1)
        logits = lifted(self.net(units.flatten(1, 2), 1000.0 * share, c))  # [B, C L, H, W]
        return torch.unflatten(logits, 1, (-1, L)).movedim(2, -1).flatten(1, 3).log_softmax(2)

    def _masks(self, n: int) -> Tensor:
        """Masks ``[n, D]`` whose numbers of masked places are spread evenly from 1 to D."""
        like, D = self.like, self.event.shape.size
        shift = torch.rand((), dtype=like.dtype, device=like.device)
        places = torch.randperm(n, device=like.device).to(like.dtype)
        k = (torch.remainder(shift + places / n, 1.0) * D).ceil().clamp(1, D).long()
        noise = torch.rand(n, D, dtype=like.dtype, device=like.device)
        return noise <= noise.sort(1).values.gather(1, k.unsqueeze(1) - 1)

    # -- draws ---------------------------------------------------------------------------------------------------------

    def draw_latent(self, n: int, context: Condition | None = None, temperature: float = 1.0) -> Tensor:
        D = self.event.shape.size
        exponential = torch.empty(n, D, self.levels, dtype=self.like.dtype, device=self.like.device).exponential_()
        order = torch.rand(n, D, 1, dtype=self.like.dtype, device=self.like.device)
        return torch.cat((-temperature * exponential.log(), order), dim=2)

    def decode(self, z: Tensor, context: Condition | None = None) -> Tensor:
        return self.unmasked(self._nothing(z.shape[0]), z, context)

    @torch.no_grad()
    def complete(self, known: Known, context: Condition | None = None, temperature: float = 1.0) -> Tensor:
        n = known.x.shape[0]
        x = torch.where(known.mask.reshape(n, -1), known.x.long().reshape(n, -1), self._nothing(n))
        return self.unmasked(x, self.draw_latent(n, context, temperature), context)

    def unseen(self, known: Tensor) -> Tensor:
        return torch.zeros(known.shape[0], dtype=torch.float64, device=known.device)

    def trace(self, n: int, frames: int, context: Condition | None = None, temperature: float = 1.0) -> Tensor:
        states = list(self.states(self._nothing(n), self.draw_latent(n, context, temperature), context))
        x = torch.stack([states[i] for i in evenly(len(states), frames)])  # [F, n, D]
        # What is masked is shown half way between the levels.
        unit = torch.where(x == self.levels, 0.5, x.to(self.like.dtype) / (self.levels - 1))
        return unit.reshape(*x.shape[:2], *self.event.shape)

    def unmasked(
        self,
        x: Tensor,
        z: Tensor,
        context: Condition | None = None,
        steps: int | None = None,
        schedule: Schedule | None = None,
    ) -> Tensor:
        """Data without masks, from data ``[n, D]`` with some and a latent; by default with the model's own steps."""
        (last,) = deque(self.states(x, z, context, steps, schedule), maxlen=1)
        return last.reshape(-1, *self.event.shape).to(self.event.dtype)

    def states(
        self,
        x: Tensor,
        z: Tensor,
        context: Condition | None = None,
        steps: int | None = None,
        schedule: Schedule | None = None,
    ) -> Iterator[Tensor]:
        """Data ``[n, D]`` with fewer and fewer masks: before each evaluation, and at the end."""
        c, D = vectors_of(self.context, context), x.shape[1]
        masked = x == self.levels
        total = masked.sum(1, keepdim=True)  # [n, 1]
        gumbel, order = z[..., :-1], z[..., -1].masked_fill(~masked, math.inf)
        rank = order.argsort(1).argsort(1)  # of what is masked: from 0 to total - 1
        count = min(steps or self.steps or D, D)
        yield x
        for i in range(count):
            done = (_share((i + 1) / count, schedule or self.schedule) * total).ceil()
            drawn = (self.log_probs(x, c) + gumbel).argmax(2)
            x = torch.where((x == self.levels) & (rank < done), drawn, x)
            if not torch.compiler.is_compiling():
                advanced(i + 1, count)
            yield x

    def _nothing(self, n: int) -> Tensor:
        """Data with all masked, ``[n, D]``."""
        return torch.full((n, self.event.shape.size), self.levels, dtype=torch.int64, device=self.like.device)


@component("unmasking")
class Unmasking(Sampler):
    """Draws of a masked diffusion model with another number of evaluations than its own.

    ValueError for another model.

    Args:
        steps: The number of evaluations; ``null`` for one for each number.
        schedule: How many numbers are unmasked at a time, as in `masked_diffusion`.
    """

    def __init__(self, model: Model, *, steps: PositiveInt | None = None, schedule: Schedule = "linear") -> None:
        super().__init__(model)
        if not isinstance(model, MaskedDiffusion):
            raise ValueError("needs a masked_diffusion model")
        self.masked: MaskedDiffusion = model
        self.steps, self.schedule = steps or model.event.shape.size, schedule

    @torch.no_grad()
    def sample(self, n: int, context: Condition | None = None, temperature: float = 1.0) -> Tensor:
        model = self.masked
        z = model.draw_latent(n, context, temperature)
        return model.unmasked(model._nothing(n), z, context, self.steps, self.schedule)


def _share(s: float, schedule: Schedule) -> float:
    """The share of the numbers that is unmasked after a share of the steps."""
    return s if schedule == "linear" else 1.0 - math.cos(0.5 * math.pi * s)
