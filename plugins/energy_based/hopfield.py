"""Modern Hopfield network: an associative memory with an energy."""

from __future__ import annotations

import math

import torch
from pydantic import PositiveFloat, PositiveInt
from torch import Tensor, nn

from zoo import (
    Batch,
    Clock,
    Completes,
    Condition,
    Event,
    Known,
    Model,
    Samples,
    Terms,
    Unnormalised,
    component,
    sum_event,
)

from .scale import as_data, signed


@component("hopfield", example={"patterns": 16, "beta": 0.05})
class Hopfield(Model, Unnormalised, Samples, Completes):
    r"""Modern Hopfield network: it stores training examples and retrieves the one that a query is part of.

    .. math:: U(x) = -\log \sum_{i=1}^N e^{\beta\, x_i^\top x - \frac\beta2 \lVert x_i \rVert^2}
       + \tfrac\beta2 \lVert x \rVert^2, \qquad
       x \leftarrow \sum_i x_i \operatorname{softmax}_i\bigl(\beta\, x_i^\top x - \tfrac\beta2 \lVert x_i \rVert^2\bigr)

    The update is a step of the concave-convex procedure: it never raises the energy, and one or a few reach a minimum.
    With patterns of one norm this is the energy of the paper times :math:`\beta`; the norms' terms make it
    :math:`-\log \sum_i e^{-\beta \lVert x - x_i \rVert^2 / 2}`, whose density is a mixture of normals around the
    patterns.

    Training stores its first ``patterns`` examples, and learns :math:`\beta` by the likelihood of them with noise,
    :math:`L = U(x + \sigma \epsilon) + \log Z`: it becomes about :math:`1 / \sigma^2`, at which one update removes that
    noise best. It completes data by the update with the known numbers held, by which alone patterns are compared: what
    belongs to a stored pattern is restored.

    Logs ``nll``, in nats on the scale of [-1, 1], ``retrieval_error``, the squared error of a pattern that is retrieved
    from noise, ``stored``, their number, and ``beta``.

    Args:
        patterns: The number of stored patterns, :math:`N`.
        beta: The inverse temperature at the start, :math:`\beta`.
        noise: The standard deviation of the noise in training, :math:`\sigma`, on the scale of [-1, 1].
        updates: The number of updates of a retrieval.

    References: Ramsauer et al., Hopfield Networks is All You Need, 2021, arXiv:2008.02217, eq. 2 and 3.

    Shapes: data ``[B, *event.shape]``; ``energy`` ``[B]``.

    >>> import torch, zoo
    >>> memory = Hopfield(zoo.Event("bits", zoo.Shape(4), levels=2), patterns=2)
    >>> memory.remember(torch.tensor([[0, 0, 1, 1], [0, 1, 0, 1]]))
    >>> known = zoo.Known(torch.tensor([[0, 1, 0, 0]]), torch.tensor([[True, True, False, False]]))
    >>> memory.complete(known)
    tensor([[0, 1, 0, 1]], dtype=torch.uint8)
    """

    memory: Tensor
    stored: Tensor

    def __init__(
        self,
        event: Event,
        *,
        patterns: PositiveInt = 1000,
        beta: PositiveFloat = 8.0,
        noise: PositiveFloat = 0.3,
        updates: PositiveInt = 3,
    ) -> None:
        super().__init__(event)
        self.log_beta = nn.Parameter(torch.tensor(math.log(beta)))
        self.noise, self.updates = noise, updates
        self.register_buffer("memory", torch.zeros(patterns, event.shape.size))
        self.register_buffer("stored", torch.zeros((), dtype=torch.int64))

    def forward(self, batch: Batch, clock: Clock) -> Terms:
        data = batch[self.event.name]
        if self.training:
            self.remember(data)
        x = signed(data, self.event, self.log_beta).flatten(1)
        query = x + self.noise * torch.randn_like(x)
        error = (self._retrieve(query) - x).square().sum(1).detach()
        nll = self._energy(query) + self._log_partition()
        logs = {"nll": nll, "retrieval_error": error, "stored": self._count(), "beta": self._beta().detach()}
        return Terms(nll.mean(), logs)

    @torch.no_grad()
    def remember(self, x: Tensor) -> None:
        """Store examples ``[B, *shape]`` while there is room; the first call after training starts is the first."""
        new = signed(x, self.event, self.memory).flatten(1)
        rows = self.stored + torch.arange(len(new), device=new.device)
        there = rows < len(self.memory)
        # Without a look at the values: those beyond the end are written over what is there, with itself.
        at = rows.clamp(max=len(self.memory) - 1)
        places = torch.nn.functional.one_hot(at, len(self.memory)).to(new.dtype) * there.unsqueeze(1)  # [B, N]
        taken = places.sum(0).unsqueeze(1)
        self.memory.copy_(self.memory * (1.0 - taken) + places.T @ new)
        self.stored.add_(there.sum())

    def energy(self, x: Tensor, context: Condition | None = None) -> Tensor:
        return self._energy(signed(x, self.event, self.log_beta).flatten(1))

    def _energy(self, x: Tensor) -> Tensor:
        return 0.5 * self._beta() * sum_event(x.square()) - self._similarity(x).logsumexp(1)

    def _log_partition(self) -> Tensor:
        r""":math:`\log Z = \log N + \tfrac D2 \log (2 \pi / \beta)`, with the patterns stored so far."""
        D = self.memory.shape[1]
        return self._count().clamp(min=1.0).log() + 0.5 * D * (math.log(2.0 * math.pi) - self.log_beta)

    @torch.no_grad()
    def sample(self, n: int, context: Condition | None = None, temperature: float = 1.0) -> Tensor:
        weights = (torch.arange(len(self.memory), device=self.memory.device) < self.stored.clamp(min=1)).double()
        chosen = self.memory[torch.multinomial(weights, n, replacement=True)]
        x = chosen + (temperature / self._beta()).sqrt() * torch.randn_like(chosen)
        return as_data(x.view(n, *self.event.shape), self.event)

    @torch.no_grad()
    def complete(self, known: Known, context: Condition | None = None, temperature: float = 1.0) -> Tensor:
        mask = known.mask.flatten(1)
        given = signed(known.x, self.event, self.log_beta).flatten(1)
        x = torch.where(mask, given, self._retrieve(given * mask, mask))
        for _ in range(self.updates - 1):
            x = torch.where(mask, given, self._retrieve(x))
        return as_data(x.view(-1, *self.event.shape), self.event)

    def unseen(self, known: Tensor) -> Tensor:
        return torch.zeros(len(known), dtype=torch.float64, device=known.device)

    def retrieve(self, x: Tensor) -> Tensor:
        """Data after all updates, ``[B, *shape]``."""
        at = signed(x, self.event, self.log_beta).flatten(1)
        for _ in range(self.updates):
            at = self._retrieve(at)
        return as_data(at.view(-1, *self.event.shape), self.event)

    def _retrieve(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """One update, ``[B, D]``; with a mask patterns are compared by the known numbers alone."""
        return self._similarity(x, mask).softmax(1) @ self.memory

    def _similarity(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        r""":math:`\beta\, x_i^\top x - \tfrac\beta2 \lVert x_i \rVert^2`, ``[B, N]``; of the stored patterns alone."""
        squares = self.memory.square()
        norms = squares.sum(1) if mask is None else mask.to(x.dtype) @ squares.T
        similarity = self._beta() * (x @ self.memory.T - 0.5 * norms)
        empty = torch.arange(len(self.memory), device=x.device) >= self.stored.clamp(min=1)
        return similarity.masked_fill(empty, -math.inf)

    def _beta(self) -> Tensor:
        return self.log_beta.exp()

    def _count(self) -> Tensor:
        return self.stored.to(self.log_beta.dtype)
