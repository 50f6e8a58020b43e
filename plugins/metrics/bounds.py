"""Bounds on the likelihood: ELBO and importance-weighted."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from operator import itemgetter
from typing import Literal

import torch
from pydantic import PositiveInt
from torch import Tensor

from zoo import (
    Batch,
    Condition,
    DataError,
    Encodes,
    Measurement,
    Metric,
    Model,
    VariationalBound,
    advanced,
    component,
    counted,
    map_condition,
)

from .likelihood import bounds
from .spread import Spread


def per_example(batches: Iterable[Batch], figures: Callable[[Batch], Tensor]) -> Tensor:
    """The values of ``figures`` for all batches, ``[..., B]`` each: ``[..., N]``, in float64 on the CPU.

    The values stay on the device until all batches are done. Raises `zoo.DataError` without any batch.
    """
    with torch.no_grad():
        values = [figures(batch) for batch in batches]
    if not values:
        raise DataError("no examples to measure on")
    return torch.cat(values, dim=-1).cpu().double()


ACTIVE = 0.01
"""The variance over the data above which a dimension of the posterior mean counts as active."""


@component("elbo")
class EvidenceLowerBound(Metric):
    r"""Mean evidence lower bound of held-out data, in nats, summed over the event, and its terms.

    .. math:: \mathrm{ELBO}(x) = \mathrm E_{q(z|x)} \log p(x|z) - \mathrm{KL}(q(z|x) \,\|\, p(z)) \le \log p(x)

    independent of the weights in training. ``reconstruction`` is the first term with its sign changed, ``kl`` the
    second. If the divergence is a sum over the dimensions of the latent and the model encodes, ``active`` is the number
    of dimensions with :math:`\mathrm{Var}_x\, \mathrm E_{q(z|x)} z_l > 0.01`. Raises ValueError for a model without
    such a bound.

    Args:
        draws: The number of draws of each latent, over which all are means.

    References: Kingma and Welling, Auto-encoding variational Bayes, 2014, arXiv:1312.6114, eq. 3; Burda et al.,
    Importance weighted autoencoders, 2016, arXiv:1509.00519, section 5.2.
    """

    def __init__(self, *, draws: PositiveInt = 1) -> None:
        self.draws = draws

    def check(self, model: Model) -> None:
        bounds(model)

    def figures(self) -> Mapping[str, Literal["min", "max"] | None]:
        return {"elbo": "max", "reconstruction": "min", "kl": None, "active": None}

    def measure(self, model: Model, batches: Iterable[Batch]) -> Mapping[str, Measurement]:
        spread = Spread()
        parts = per_example(batches, lambda batch: self._parts(model, batch, spread))
        nll, kl = parts
        found = {"elbo": -(nll + kl), "reconstruction": nll, "kl": kl}
        means = {name: Measurement.mean_of(values) for name, values in found.items()}
        if spread.n:
            means["active"] = Measurement(float((spread.variance > ACTIVE).sum()), len(nll))
        lost = int((~parts.isfinite()).any(0).sum())
        return {name: replace(mean, not_finite=lost) for name, mean in means.items()}

    def _parts(self, model: Model, batch: Batch, spread: Spread) -> Tensor:
        """The two terms of the bound, ``[2, B]``; the codes are added to ``spread``."""
        x, context = batch[model.event.name], model.given(batch)
        terms = [bounds(model).terms(x, context) for _ in counted(range(self.draws), self.draws)]
        if isinstance(model, Encodes) and terms[0].kl_dim is not None:
            spread.add(model.encode(x, context).flatten(1))
        return torch.stack([torch.stack((each.nll, each.kl)) for each in terms]).mean(0)


PAIRS = 5_000
"""The number of latents that are decoded at once, unless ``chunk`` is larger."""


@component("iwae")
class ImportanceWeighted(Metric):
    r"""Mean negative log-likelihood of held-out data, in nats, by importance sampling from the posterior.

    .. math:: \mathrm{nll}_{\mathrm{iwae}} = -\frac1N \sum_{i=1}^N \log \frac1S \sum_{s=1}^S
       \frac{p(x_i, z_{is})}{q(z_{is} | x_i)}, \qquad z_{is} \sim q(z | x_i)

    It is an upper bound of the negative log-likelihood in expectation, tighter with more samples, and below the
    negative evidence lower bound. The sum is accumulated, so that memory does not grow with the number of samples.
    Raises ValueError for a model without a variational bound.

    Args:
        samples: The number of samples of each latent, :math:`S`.
        chunk: The number of samples of an example that are decoded at once.

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
            parts = [(x[r], map_condition(itemgetter(r), context)) for r in rows]
            return torch.cat([self._estimate(bounded, *part) for part in counted(parts, len(parts))])

        nats = -per_example(batches, estimates)
        return {"nll_iwae": Measurement.mean_of(nats, "bound")}

    def _estimate(self, bounded: VariationalBound, x: Tensor, context: Condition | None) -> Tensor:
        """``[B]``, in nats."""
        total, drawn = x.new_full((x.shape[0],), -math.inf, dtype=torch.get_default_dtype()), 0
        while drawn < self.samples:
            log_weights = bounded.log_weights(x, min(self.chunk, self.samples - drawn), context)
            total = torch.logaddexp(total, log_weights.logsumexp(0))
            drawn += log_weights.shape[0]
            advanced(min(drawn, self.samples), self.samples)
        return total - math.log(drawn)
