"""Negative log-likelihood."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

from pydantic import PositiveInt

from zoo import Batch, Measurement, Metric, Model, component

from .likelihood import negative_log_likelihood, scores


@component("nll")
class NegativeLogLikelihood(Metric):
    r"""The mean negative log-likelihood of held-out data, in nats, summed over the event.

    .. math:: \mathrm{nll} = -\frac1N \sum_{i=1}^N \log p(x_i)

    A model that bounds or estimates its likelihood is evaluated ``draws`` times on each example, and the values are
    averaged. Where the model solves an equation in steps, as a continuous flow, ``nll.solver_error`` is how much
    :math:`\log p(x)` moves with steps of half the size, the mean of its absolute value in nats: the figure is exact up
    to 0.0005 nats of that for each number of an event, and an estimate beyond. Lower is better. Raises ValueError for a
    model without a likelihood.
    """

    def __init__(self, *, draws: PositiveInt = 1) -> None:
        self.draws = draws

    def check(self, model: Model) -> None:
        scores(model)

    def figures(self) -> Mapping[str, Literal["min", "max"] | None]:
        return {"nll": "min"}

    def measure(self, model: Model, batches: Iterable[Batch]) -> Mapping[str, Measurement]:
        return negative_log_likelihood(model, batches, self.draws)
