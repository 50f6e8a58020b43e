"""CPU seconds of a draw."""

from __future__ import annotations

import time

from ..inference.conditions import placeholder
from ..inference.sample import sample
from ..interfaces import Model, Samples

DRAWS = 64
"""Draws of a batch that is timed."""
LONG = 1.0
"""CPU seconds after which no other batch is timed."""
MOST = 20
"""Batches that are timed at most."""


def seconds_per_draw(model: Model) -> float | None:
    """The CPU seconds of a draw in a batch of 64 on the CPU, of all threads; None for a model that does not sample.

    The first batch, which may prepare something, is not counted. Other programs on the same machine change CPU seconds
    little, unlike the time of a clock.
    """
    if not isinstance(model, Samples):
        return None
    context = placeholder(model, DRAWS)
    took: list[float] = []
    while len(took) <= MOST and sum(took[1:]) < LONG:
        began = time.process_time()
        sample(model, DRAWS, temperature=1.0, seed=0, context=context, batch=DRAWS)
        took.append(time.process_time() - began)
    return sum(took[1:]) / (DRAWS * len(took[1:]))
