"""Restricted Boltzmann machine."""

from __future__ import annotations

import torch
from pydantic import PositiveInt
from torch import Tensor, nn
from torch.nn.functional import softplus

from zoo import (
    Batch,
    Clock,
    Completes,
    Condition,
    DataDependent,
    Event,
    Known,
    Model,
    Part,
    Samples,
    Terms,
    Unnormalised,
    component,
    named,
)

from .starts import Start

ENUMERABLE = 20
"""Units of the smaller side up to which the partition function is a sum."""
AT_ONCE = 1 << 14
"""Configurations that are summed at once."""
CLIPPED = 0.02
"""How close to 0 and 1 the means of the data may be where biases start from them."""


class VisibleBias(nn.Module, DataDependent):
    """The biases of the visible units, which start at the log-odds of the first batch."""

    def __init__(self, D: int) -> None:
        super().__init__()
        self.b = nn.Parameter(torch.zeros(D))

    @torch.no_grad()
    def initialize(self, x: Tensor, context: Tensor | None = None) -> None:
        self.b.copy_(x.mean(0).clamp(CLIPPED, 1.0 - CLIPPED).logit())

    def forward(self, v: Tensor) -> Tensor:
        return v @ self.b


@component("rbm", example={"hidden": 6, "sweeps": 3, "start": {"type": "persistent", "size": 16}})
class RBM(Model, Unnormalised, Samples, Completes):
    r"""Restricted Boltzmann machine of binary data.

    .. math:: p(v) = \frac1Z \sum_h e^{b^\top v + c^\top h + v^\top W h} = \frac{e^{-F(v)}}{Z}, \qquad
       F(v) = -b^\top v - \sum_j \log\bigl(1 + e^{c_j + v^\top W_j}\bigr)

    trained by contrastive divergence,

    .. math:: L = \mathrm E_{v \sim \mathrm{data}}\, F(v) - \mathrm E_{v \sim \mathrm{chains}}\, F(v)

    where the chains sample all hidden units given the visible ones, and the other way round, ``k`` times: CD-k where
    they start from data, PCD from a persistent buffer. Its likelihood is estimated by the metric ``ais``, exactly where
    one side has at most 20 units. It completes data by the same chain, in which what is known stays as it is.

    Logs ``data_energy``, ``chain_energy`` and ``gap``, of free energies. ValueError unless the data has two levels.

    Args:
        hidden: The number of hidden units.
        k: The number of sweeps of a chain in a training step.
        start: The start of the chains in training.
        sweeps: The number of sweeps of a draw, from random bits.

    References: Hinton, Training products of experts by minimizing contrastive divergence, 2002; Tieleman, Training
    restricted Boltzmann machines using approximations to the likelihood gradient, 2008; Salakhutdinov and Murray, On
    the quantitative analysis of deep belief networks, 2008.

    Shapes: data ``[B, *event.shape]`` of bits; ``energy``, the free energy, ``[B]``, in nats.

    >>> import torch, zoo
    >>> rbm = zoo.declare(zoo.Model, {"type": "rbm", "hidden": 4})(zoo.Event("bits", zoo.Shape(3), levels=2))
    >>> rbm.sample(5).shape, rbm.log_partition().shape
    (torch.Size([5, 3]), torch.Size([]))
    """

    def __init__(
        self,
        event: Event,
        *,
        hidden: PositiveInt = 500,
        k: PositiveInt = 1,
        start: Part[Start] = named("persistent"),
        sweeps: PositiveInt = 1000,
    ) -> None:
        super().__init__(event)
        if event.levels != 2:
            found = "is continuous" if event.levels is None else f"has {event.levels} levels"
            raise ValueError(f"needs two levels, but '{event.name}' {found}: use the data set 'binarised'")
        self.visible = VisibleBias(event.shape.size)
        self.c = nn.Parameter(torch.zeros(hidden))
        self.W = nn.Parameter(0.01 * torch.randn(event.shape.size, hidden))
        self.start = start(event)
        self.k, self.sweeps = k, sweeps

    @property
    def b(self) -> Tensor:
        """The biases of the visible units, ``[D]``."""
        return self.visible.b

    def forward(self, batch: Batch, clock: Clock) -> Terms:
        v = self._bits(batch[self.event.name])
        started = self.start((2.0 * v - 1.0).view(-1, *self.event.shape))
        with torch.no_grad():
            fake = (started.x.flatten(1) > 0).to(v.dtype)
            for _ in range(self.k):
                fake = self.sweep(fake)
            self.start.store(started, (2.0 * fake - 1.0).view_as(started.x))
        data, chains = self.free_energy(v), self.free_energy(fake)
        gap = data.mean() - chains.mean()
        return Terms(gap, {"data_energy": data, "chain_energy": chains, "gap": gap})

    def energy(self, x: Tensor, context: Condition | None = None) -> Tensor:
        return self.free_energy(self._bits(x))

    def free_energy(self, v: Tensor) -> Tensor:
        """:math:`F(v)`, ``[B, D] -> [B]``."""
        visible: Tensor = self.visible(v)
        return -visible - softplus(self.c + v @ self.W).sum(1)

    def sweep(self, v: Tensor, temperature: float = 1.0) -> Tensor:
        """Visible units after all hidden ones and then all visible ones are drawn, ``[B, D]``."""
        h = drawn(((self.c + v @ self.W) / temperature).sigmoid())
        return drawn(((self.b + h @ self.W.T) / temperature).sigmoid())

    @torch.no_grad()
    def sample(self, n: int, context: Condition | None = None, temperature: float = 1.0) -> Tensor:
        v = torch.rand(n, *self.b.shape, dtype=self.b.dtype, device=self.b.device).round()
        for _ in range(self.sweeps):
            v = self.sweep(v, temperature)
        return self._data(v)

    @torch.no_grad()
    def complete(self, known: Known, context: Condition | None = None, temperature: float = 1.0) -> Tensor:
        bits, mask = self._bits(known.x), known.mask.flatten(1)
        v = torch.where(mask, bits, torch.rand_like(bits).round())
        for _ in range(self.sweeps):
            v = torch.where(mask, bits, self.sweep(v, temperature))
        return self._data(v)

    def unseen(self, known: Tensor) -> Tensor:
        return torch.zeros(len(known), dtype=torch.float64, device=known.device)

    @torch.no_grad()
    def log_partition(self) -> Tensor:
        """:math:`\\log Z`, a sum over all states of the smaller side; ValueError with more than 20 units there."""
        D, H = self.W.shape
        if min(D, H) > ENUMERABLE:
            raise ValueError(f"its smaller side has {min(D, H)} units: log Z is a sum up to {ENUMERABLE}; use 'ais'")
        b, c, W = (self.b, self.c, self.W) if D <= H else (self.c, self.b, self.W.T)
        parts = [s @ b + softplus(c + s @ W).sum(1) for s in states(len(b), b)]
        return torch.cat(parts).logsumexp(0)

    def _bits(self, x: Tensor) -> Tensor:
        """Data as numbers 0 and 1, ``[B, D]``."""
        return x.flatten(1).to(self.W.dtype)

    def _data(self, v: Tensor) -> Tensor:
        return v.to(torch.uint8).view(-1, *self.event.shape)


def drawn(p: Tensor) -> Tensor:
    """Bits with these probabilities, as floating point numbers."""
    return (torch.rand_like(p) < p).to(p.dtype)


def states(units: int, like: Tensor) -> list[Tensor]:
    """All states of a number of units, in parts ``[N, units]``.

    >>> [part.tolist() for part in states(2, torch.zeros(()))]
    [[[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]]
    """
    number = torch.arange(1 << units, device=like.device)
    place = torch.arange(units - 1, -1, -1, device=like.device)
    bits = (number.unsqueeze(1) >> place) & 1
    return [*torch.split(bits.to(like.dtype), AT_ONCE)]
