"""How long something takes in training: a number of steps, or a share of the horizon."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from torch import Tensor

Share = Annotated[float, Field(gt=0.0, le=1.0)]


class Span:
    """The first ``steps`` of training, or this ``share`` of the horizon; all of it where neither is given.

    ValueError where both are given.

    >>> import torch
    >>> Span(None, 0.5).passed(torch.tensor(10.0), 100)
    tensor(0.2000)
    """

    def __init__(self, steps: int | None, share: float | None) -> None:
        if steps is not None and share is not None:
            raise ValueError(f"it lasts {steps} steps or a share of {share} of the horizon: give one of the two")
        self.steps, self.share = steps, 1.0 if share is None else share

    def passed(self, step: Tensor, horizon: int) -> Tensor:
        """The part of the span before a step: 0 in the first, 1 at its end, and on from there."""
        return step / (self.share * horizon if self.steps is None else self.steps)
