"""Mixture of discretized logistic distributions."""

from __future__ import annotations

import math

import torch
from pydantic import PositiveInt
from torch import Tensor

from zoo import Event, Known, component

from ...shared.events import levels_of
from ...shared.logistic import as_logistic, drawn_level, in_levels, log_prob_of
from .base import Head


@component("discretized_logistic_mixture", example={"components": 2})
class DiscretizedLogisticMixture(Head):
    r"""Mixture of discretized logistic distributions; the channels of a pixel share the component.

    .. math:: p(x \mid h) = \sum_{k=1}^K \pi_k \prod_c \Bigl[\sigma\Bigl(\frac{x_c + \frac12 - \mu_{kc}}{s_{kc}}\Bigr)
       - \sigma\Bigl(\frac{x_c - \frac12 - \mu_{kc}}{s_{kc}}\Bigr)\Bigr], \qquad
       \mu_{kc} = m_{kc} + \sum_{c' < c} \tanh(\alpha_{kcc'})\, x_{c'}

    where the first level includes everything below it and the last everything above. Images of several channels are
    drawn a pixel at a time; other numbers have separate mixtures. :math:`h` is, for each component in turn, its logit,
    the channels' means and log scales, for levels that lie between -1 and 1, the latter soft-clipped at -7 from below,
    and the coefficients :math:`\alpha`. A different constant is added to each component's means, K of them spread over
    that range: a net starts at zero, and equal components would stay equal.

    A draw of channel c chooses a component by the posterior after the channels before it, whether these were drawn or
    known, and the level nearest to :math:`\mu_{kc} + s_{kc} \operatorname{logit}(u)`; the means of later channels
    depend on the level, not on the number before rounding. The temperature divides the logits and multiplies the
    scales.

    Args:
        components: The number of components, :math:`K`.

    References: Salimans et al., PixelCNN++, 2017, arXiv:1701.05517, eq. 1-3.

    Shapes: :math:`K (1 + 2C + C (C - 1) / 2)` parameters and 2C uniforms for each pixel. ValueError for continuous
    data.

    >>> import zoo
    >>> head = DiscretizedLogisticMixture(zoo.Event("image", zoo.Shape(3, 2, 2), levels=256), components=10)
    >>> head.count, head.together, head.uniforms
    (100, 3, 6)
    >>> x = head.draw(torch.zeros(5, 100), torch.rand(5, 6))
    >>> head.log_prob(x.view(5, 3, 1, 1).expand(5, 3, 2, 2), torch.zeros(5, 100, 1, 2, 2)).shape
    torch.Size([5, 3, 2, 2])
    """

    spread: Tensor
    later: Tensor
    earlier: Tensor

    def __init__(self, event: Event, *, components: PositiveInt = 10) -> None:
        super().__init__(event)
        self.levels = levels_of(event)
        self.components = components
        self.together = C = event.shape[0] if len(event.shape) > 1 else 1
        self._sizes = (1, C, C, C * (C - 1) // 2)
        self.count = components * sum(self._sizes)
        self.uniforms = 2 * C
        later, earlier = torch.tril_indices(C, C, -1)  # the channels that a coefficient is between
        self.register_buffer("later", later, persistent=False)
        self.register_buffer("earlier", earlier, persistent=False)
        self.register_buffer("spread", (2.0 * torch.arange(components) + 1.0) / components - 1.0, persistent=False)

    def log_prob(self, x: Tensor, h: Tensor) -> Tensor:
        log_weights, log_p, _, _ = self._of_components(x, h)
        return torch.logsumexp(log_weights + log_p, dim=1).reshape(x.shape)  # [B, K, C, *sites] -> [B, *shape]

    def log_probs(self, x: Tensor, h: Tensor) -> Tensor:
        log_weights, _, mean, log_scale = (part.unsqueeze(-1) for part in self._of_components(x, h))
        log_p = log_prob_of(torch.arange(self.levels, device=h.device), mean, log_scale, self.levels)
        return torch.logsumexp(log_weights + log_p, dim=1).reshape(*x.shape, self.levels)

    def draw(self, h: Tensor, u: Tensor, temperature: float = 1.0, known: Known | None = None) -> Tensor:
        logits, mean, log_scale, slopes = self._parts(h)
        C = self.together
        log_weights, log_scale = logits.squeeze(2) / temperature, log_scale + math.log(temperature)
        noise = as_logistic(u[:, C:])
        drawn: list[Tensor] = []
        before: list[Tensor] = []
        for c, of_c in enumerate(slopes.split_with_sizes(list(range(C)), 2)):
            moved = mean[:, :, c]
            if before:
                moved = moved + (of_c * self._from_middle(torch.cat(before, dim=1)).unsqueeze(1)).sum(2)
            k = _chosen(log_weights, u[:, c : c + 1])  # [N, 1]
            x = drawn_level(moved.gather(1, k), log_scale[:, :, c].gather(1, k), noise[:, c : c + 1], self.levels)
            drawn.append(x.long())
            given = x if known is None else torch.where(known.mask[:, c : c + 1], known.x[:, c : c + 1], x)
            before.append(given.to(h.dtype))
            if c + 1 < C:
                log_weights = log_weights + log_prob_of(given, moved, log_scale[:, :, c], self.levels)
        return torch.cat(drawn, dim=1)  # [N, C]

    def _of_components(self, x: Tensor, h: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Log weight, and log-probability, mean and log scale in units of levels, of each channel for each component.

        The weights are the posterior of the components after the channels before, so that each channel's
        probabilities sum to one however unlikely these were.

        All are ``[B, K, C, *sites]``. A channel is given the channels before it.
        """
        x = torch.unflatten(x, 1, (-1, self.together)).movedim(2, 1)  # [B, C, *sites]
        logits, mean, log_scale, slopes = self._parts(h)
        mean = mean.index_add(2, self.later, slopes * self._from_middle(x.to(h.dtype))[:, self.earlier].unsqueeze(1))
        log_p = log_prob_of(x.unsqueeze(1), mean, log_scale, self.levels)
        log_weights = torch.cat((logits, log_p[:, :, :-1]), dim=2).cumsum(2).log_softmax(1)
        return log_weights, log_p, mean, log_scale

    def _parts(self, h: Tensor) -> list[Tensor]:
        """Logits ``[B, K, 1, ...]``; means, log scales ``[B, K, C, ...]``, slopes ``[B, K, C (C - 1) / 2, ...]``."""
        of_each = torch.unflatten(h, 1, (self.components, -1))  # [B, K, 1 + 2C + C (C - 1) / 2, ...]
        logits, mean, log_scale, slopes = of_each.split_with_sizes(self._sizes, 2)
        spread = self.spread.to(h.dtype).view(-1, *(1,) * (h.dim() - 1))
        return [logits, *in_levels(mean + spread, log_scale, self.levels), slopes.tanh()]

    def _from_middle(self, x: Tensor) -> Tensor:
        """Levels minus the middle of their range, to be multiplied with coefficients."""
        return x - 0.5 * (self.levels - 1)


def _chosen(log_weights: Tensor, u: Tensor) -> Tensor:
    """The first component whose cumulative probability exceeds u: ``[N, 1]``."""
    up_to = log_weights.softmax(1).cumsum(1)[:, :-1]
    return (up_to <= u).sum(1, keepdim=True)
