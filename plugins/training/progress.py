"""What the schedules share: a linear warm-up, and how far the run is after it."""

from __future__ import annotations


def warm_up(step: int, warmup: int) -> float:
    """The factor of a linear warm-up: ``1 / warmup`` at step 0, so that the first step moves, and 1 when it is over."""
    return min(1.0, (step + 1) / warmup) if warmup else 1.0


def progress(step: int, steps: int, warmup: int) -> float:
    """Between 0 at the end of the warm-up and 1 at ``steps``; 0 throughout a warm-up that fills the run."""
    return min(1.0, max(0, step - warmup) / max(1, steps - warmup))
