"""Bits per dimension."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Literal

from pydantic import PositiveInt

from zoo import Batch, Measurement, Metric, Model, component

from .likelihood import negative_log_likelihood, scores


@component("bits_per_dim")
class BitsPerDim(Metric):
    r"""Bits per dimension of held-out discrete data: the length of a code for it, per element.

    .. math:: \mathrm{bpd} = -\frac{1}{N D \ln 2} \sum_{i=1}^N \log P(x_i)

    of the integer levels that the data came with, whatever a model does to them inside; :math:`D` is the size of the
    event. A model that adds noise to the levels gives a lower bound of :math:`\log P` that depends on the draw: the
    figure is the mean over ``draws`` of each example. ``nll`` beside it is the same in nats for each event. Lower is
    better. Raises ValueError for continuous data and for a model without a likelihood.

    References: Theis et al., A note on the evaluation of generative models, 2015, arXiv:1511.01844, section 3.1.
    """

    def __init__(self, *, draws: PositiveInt = 10) -> None:
        self.draws = draws

    def check(self, model: Model) -> None:
        scored = scores(model)
        if model.event.levels is None:
            raise ValueError(f"bits per dimension need discrete data: '{model.event.name}' is continuous; use 'nll'")
        if scored.density:
            raise ValueError(
                "bits per dimension need a probability of levels, and this likelihood is a density of them"
            )

    def figures(self) -> Mapping[str, Literal["min", "max"] | None]:
        return {"bits_per_dim": "min", "nll": "min"}

    def measure(self, model: Model, batches: Iterable[Batch]) -> Mapping[str, Measurement]:
        self.check(model)
        found = negative_log_likelihood(model, batches, self.draws, "bits_per_dim")
        nll = found["nll"]
        return {"bits_per_dim": replace(nll, value=model.event.bits_per_dim(nll.value)), **found}
