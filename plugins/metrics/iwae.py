"""The likelihood by importance sampling."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Literal

import torch
from pydantic import PositiveInt
from torch import Tensor

from zoo import Batch, Measurement, Metric, Model, VariationalBound, component

from .bounded import bounds
from .per_example import per_example

PAIRS = 5_000
"""How many latents are decoded at once, where ``chunk`` is no more."""


@component("iwae")
class ImportanceWeighted(Metric):
    r"""The mean negative log-likelihood of held-out data, in nats, by importance sampling from the posterior.

    .. math:: \mathrm{nll}_{\mathrm{iwae}} = -\frac1N \sum_{i=1}^N \log \frac1S \sum_{s=1}^S
       \frac{p(x_i, z_{is})}{q(z_{is} | x_i)}, \qquad z_{is} \sim q(z | x_i)

    over :math:`S` ``samples`` of each latent. It is an upper bound of the negative log-likelihood in expectation, the
    tighter the more samples, and itself below the negative evidence lower bound. ``chunk`` samples of an example are
    decoded at once: the sum is taken as it goes, so that memory does not grow with ``samples``. Raises ValueError for
    a model without a variational bound.

    References: Burda et al., Importance weighted autoencoders, 2016, arXiv:1509.00519, eq. 8.
    """

    def __init__(self, *, samples: PositiveInt = 5000, chunk: PositiveInt = 100) -> None:
        self.samples = samples
        self.chunk = chunk

    def check(self, model: Model) -> None:
        bounds(model)

    def figures(self) -> Mapping[str, Literal["min", "max"] | None]:
        return {"nll_iwae": "min"}

    def measure(self, model: Model, batches: Iterable[Batch]) -> Mapping[str, Measurement]:
        bounded = bounds(model)

        def estimates(batch: Batch) -> Tensor:
            x, context = batch[model.event.name], model.given(batch)
            rows = torch.split(torch.arange(x.shape[0], device=x.device), max(PAIRS // self.chunk, 1))
            return torch.cat([self._estimate(bounded, x[r], None if context is None else context[r]) for r in rows])

        nats = -per_example(batches, estimates)
        return {"nll_iwae": Measurement.mean_of(nats, "bound")}

    def _estimate(self, bounded: VariationalBound, x: Tensor, context: Tensor | None) -> Tensor:
        """``[B]``, in nats."""
        total, drawn = x.new_full((x.shape[0],), -math.inf, dtype=torch.get_default_dtype()), 0
        while drawn < self.samples:
            log_weights = bounded.log_weights(x, min(self.chunk, self.samples - drawn), context)
            total = torch.logaddexp(total, log_weights.logsumexp(0))
            drawn += log_weights.shape[0]
        return total - math.log(drawn)
