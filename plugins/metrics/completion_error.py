"""Error of completed data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Literal

import torch
from pydantic import Field, PositiveInt
from torch import Tensor

from zoo import Batch, Completes, DataError, Known, Measurement, Metric, Model, component


@component("completion_error")
class CompletionError(Metric):
    r"""Mean squared error of the hidden half of data that a model completes, on the scale of `Event.unit`.

    .. math:: \frac1N \sum_{i=1}^N \frac{1}{|H|} \sum_{d \in H} (\hat x_{id} - x_{id})^2

    over the last numbers :math:`H` of each example: for images the lowest rows. ``completion_error.stored`` is the same
    of training examples: of a memory it is 0. Lower is better, but a model that samples what it cannot know is right to
    be wrong.

    ValueError for a model that does not complete data.

    Args:
        share: The share of the numbers that is hidden.
        n: The largest number of training examples.
    """

    def __init__(self, *, share: Annotated[float, Field(gt=0, lt=1)] = 0.5, n: PositiveInt = 1000) -> None:
        self.share, self.n = share, n
        self._stored: list[Batch] = []

    def check(self, model: Model) -> None:
        if not isinstance(model, Completes):
            raise ValueError(f"the model {type(model).__name__} does not complete data")

    def fit(self, model: Model, batches: Iterable[Batch]) -> None:
        self._stored = []
        seen = 0
        for batch in batches:
            self._stored.append(batch)
            seen += len(batch[model.event.name])
            if seen >= self.n:
                return

    def figures(self) -> Mapping[str, Literal["min", "max"] | None]:
        return {"completion_error": "min"}

    def measure(self, model: Model, batches: Iterable[Batch]) -> Mapping[str, Measurement]:
        self.check(model)
        found = {"completion_error": Measurement.mean_of(self._errors(model, batches))}
        if self._stored:
            found["completion_error.stored"] = Measurement.mean_of(self._errors(model, self._stored))
        return found

    @torch.no_grad()
    def _errors(self, model: Model, batches: Iterable[Batch]) -> Tensor:
        """The error of each example, ``[N]``."""
        errors = [self._error(model, batch).double().cpu() for batch in batches]
        if not errors:
            raise DataError("no examples to measure on")
        return torch.cat(errors)

    def _error(self, model: Model, batch: Batch) -> Tensor:
        if not isinstance(model, Completes):
            raise TypeError(f"{type(model).__name__} does not complete data")
        x = batch[model.event.name]
        D = model.event.shape.size
        mask = (torch.arange(D, device=x.device) < D - max(round(self.share * D), 1)).view(1, *model.event.shape)
        drawn = model.complete(Known(x, mask.expand_as(x)), model.given(batch))
        off = model.event.unit(drawn, torch.float64) - model.event.unit(x, torch.float64)
        hidden = ~mask.flatten(1)
        squares: Tensor = off.flatten(1).square() * hidden
        return squares.sum(1) / hidden.sum()
