"""Mixture model of several entries at once."""

from __future__ import annotations

import torch
from pydantic import PositiveInt
from torch import Tensor, nn

from zoo import Batch, Clock, Condition, Event, Model, SamplesEntries, Terms, component


@component("pair", example={"components": 3})
class Pair(Model, SamplesEntries):
    r"""Mixture of independent categorical distributions over all discrete entries of an example: image and text.

    .. math:: p(x, t) = \sum_k \pi_k \prod_d p(x_d | k) \prod_l p(t_l | k)

    A draw has one component for all entries, so that its text is that of its image. Logs ``nll`` in nats. ValueError if
    the modelled entry is continuous; other continuous entries are not modelled.

    Args:
        components: Number :math:`K` of components.

    >>> from zoo import Shape
    >>> event = Event("image", Shape(1, 2, 2), levels=2, also=(Event("text", Shape(3), levels=5),))
    >>> {name: tuple(x.shape) for name, x in Pair(event, components=2).sample_entries(4).items()}
    {'image': (4, 1, 2, 2), 'text': (4, 3)}
    """

    def __init__(self, event: Event, *, components: PositiveInt = 16) -> None:
        super().__init__(event)
        if event.levels is None:
            raise ValueError(f"'{event.name}' is continuous: a categorical distribution needs levels")
        self.modelled = {name: entry for name, entry in event.entries.items() if entry.levels and name != "label"}
        levels = {name: entry.levels or 0 for name, entry in self.modelled.items()}
        self.mixture = nn.Parameter(torch.zeros(components))
        sizes = {name: (components, entry.shape.size, levels[name]) for name, entry in self.modelled.items()}
        self.logits = nn.ParameterDict({name: nn.Parameter(torch.randn(size)) for name, size in sizes.items()})

    @property
    def drawn(self) -> tuple[str, ...]:
        return tuple(self.modelled)

    def forward(self, batch: Batch, clock: Clock) -> Terms:
        log_p = self.mixture.log_softmax(0)  # [K]
        for name in self.modelled:
            x = batch[name].flatten(1).long()  # [B, D]
            each = self.logits[name].log_softmax(2)  # [K, D, levels]
            log_p = log_p + each[:, torch.arange(x.shape[1], device=x.device), x].sum(2).t()  # [B, K]
        nll = -log_p.logsumexp(1)
        return Terms(nll.mean(), {"nll": nll})

    @torch.no_grad()
    def sample_entries(self, n: int, context: Condition | None = None, temperature: float = 1.0) -> Batch:
        k = (self.mixture / temperature).softmax(0).multinomial(n, replacement=True)  # [n]
        found: dict[str, Tensor] = {}
        for name, entry in self.modelled.items():
            p = (self.logits[name][k] / temperature).softmax(2)  # [n, D, levels]
            x = p.flatten(0, 1).multinomial(1)  # [n * D, 1]
            found[name] = x.reshape(n, *entry.shape).to(entry.dtype)
        return found
