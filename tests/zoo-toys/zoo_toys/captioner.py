"""Text generator, given an image."""

from __future__ import annotations

import torch
from pydantic import PositiveInt
from torch import Tensor, nn

from zoo import Batch, Clock, Condition, Event, Model, Samples, Scores, Terms, component


@component("captioner", example={"image": "label", "width": 8})
class Captioner(Model, Scores, Samples):
    r"""Autoregressive model of a text given another entry of the example.

    .. math:: p(t | x) = \prod_l \operatorname{softmax}(b_l + U_l x + W_{l, t_{l-1}})_{t_l}

    The likelihood is exact. ValueError if the text is continuous, or the example has no such entry.

    Args:
        image: Name of the entry that the text is given.
        width: Size of the embedding of a token.

    Shapes: text ``[B, L]``, integers; ``log_prob`` ``[B]``, in nats.
    """

    exact = True

    def __init__(self, event: Event, *, image: str = "image", width: PositiveInt = 16) -> None:
        super().__init__(event)
        if event.levels is None or image not in event.entries:
            raise ValueError(f"needs a text with levels and an entry '{image}', got {event}")
        self.conditioned_on = (image,)
        L, given = event.shape.size, event.entries[image]
        self.image = image
        self.embedding = nn.Embedding(event.levels + 1, width)  # the last one starts a text
        self.hidden = nn.Linear(width + given.shape.size, 4 * width)
        self.positions = nn.Parameter(0.1 * torch.randn(L, 4 * width))
        self.out = nn.Linear(4 * width, event.levels)

    def forward(self, batch: Batch, clock: Clock) -> Terms:
        nll = -self.log_prob(batch[self.event.name], self.given(batch))
        return Terms(nll.mean(), {"nll": nll})

    def log_prob(self, x: Tensor, context: Condition | None = None) -> Tensor:
        x = x.flatten(1).long()  # [B, L]
        log_p = self._logits(x, context).log_softmax(2)  # [B, L, levels]
        return log_p.gather(2, x.unsqueeze(2)).sum((1, 2))

    @torch.no_grad()
    def sample(self, n: int, context: Condition | None = None, temperature: float = 1.0) -> Tensor:
        x = torch.zeros(n, self.event.shape.size, dtype=torch.int64, device=self.out.weight.device)
        for at in range(x.shape[1]):
            p = (self._logits(x, context)[:, at] / temperature).softmax(1)  # [n, levels]
            x[:, at] = p.multinomial(1).squeeze(1)
        return x.reshape(n, *self.event.shape).to(self.event.dtype)

    def _logits(self, x: Tensor, context: Condition | None) -> Tensor:
        """``[B, L, levels]``, each position from those before it."""
        start = torch.full_like(x[:, :1], self.embedding.num_embeddings - 1)
        before = self.embedding(torch.cat([start, x[:, :-1]], 1))  # [B, L, width]
        dtype = self.out.weight.dtype
        given = (context or {})[self.image].reshape(len(x), 1, -1).to(dtype).expand(-1, x.shape[1], -1)  # [B, L, D]
        h = self.hidden(torch.cat([before, given], 2)) + self.positions
        logits: Tensor = self.out(h.relu())
        return logits
