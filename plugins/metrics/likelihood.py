"""What the likelihood metrics share: the mean negative log-likelihood of held-out data."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from zoo import Batch, DataError, Measurement, Model, Scores


def scores(model: Model) -> Scores:
    """The model as one with a likelihood; ValueError where it has none."""
    if not isinstance(model, Scores):
        raise ValueError(f"the model {type(model).__name__} has no likelihood to measure")
    return model


def log_likelihoods(model: Model, batches: Iterable[Batch], draws: int) -> Tensor:
    """:math:`\\log p(x)` of each example, in nats: ``[N]``, in float64.

    A bound or an estimate is the mean over ``draws`` evaluations; what is exact is the same at each, and takes one. The
    values stay on the device until all batches are done. Raises `zoo.DataError` where there are none.
    """
    scored = scores(model)
    evaluations = 1 if scored.exact else draws
    values = []
    with torch.no_grad():
        for batch in batches:
            x = batch[model.event.name]
            context = model.given(batch)
            values.append(torch.stack([scored.log_prob(x, context) for _ in range(evaluations)]))
    if not values:
        raise DataError("there are no examples to measure on")
    return torch.cat(values, dim=1).cpu().double().mean(0)


def negative_log_likelihood(model: Model, batches: Iterable[Batch], draws: int) -> Measurement:
    """The mean over examples, and over ``draws`` evaluations of each, of :math:`-\\log p(x)` in nats."""
    nats = -log_likelihoods(model, batches, draws)
    return Measurement.mean_of(nats, "exact" if scores(model).exact else "bound")
