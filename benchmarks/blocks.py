"""What a block of steps is: training a flow, or drawing from it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle

import torch
from torch import Tensor

from .contender import Contender
from .harness import Block, Clock, timed

LEARNING_RATE = 1e-3


@dataclass(frozen=True)
class Training:
    """How a flow is trained: ``compiled`` is torch.compile of the objective, ``fused`` is Adam in one kernel."""

    compiled: bool = False
    fused: bool | None = None


EAGER = Training()
SHORT_RUN = Training(fused=True)
"""What `zoo train` does where compiling would not pay."""
DEFAULTS = Training(compiled=True, fused=True)
"""What it does in a longer run."""


def training(contender: Contender, data: Sequence[Tensor], how: Training, clock: Clock) -> Block:
    """Blocks of training steps: forward, backward, Adam, zero_grad."""
    adam = torch.optim.Adam(contender.module.parameters(), lr=LEARNING_RATE, fused=how.fused)
    loss = torch.compile(contender.loss, dynamic=False) if how.compiled else contender.loss
    batches: Iterator[Tensor] = cycle(data)

    def step() -> None:
        loss(next(batches)).backward()  # type: ignore[no-untyped-call]
        adam.step()
        adam.zero_grad()

    return timed(step, clock=clock)


def sampling(contender: Contender, n: int, clock: Clock) -> Block:
    """Blocks of draws of ``n`` points each."""

    def step() -> None:
        with torch.no_grad():
            contender.sample(n)

    return timed(step, clock=clock)
