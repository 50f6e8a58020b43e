"""What the likelihood metrics share: the mean negative log-likelihood of held-out data."""

from __future__ import annotations

from collections.abc import Iterable

import torch

from zoo import Batch, DataError, Measurement, Model, Scores


def scores(model: Model) -> Scores:
    """The model as one with a likelihood; ValueError where it has none."""
    if not isinstance(model, Scores):
        raise ValueError(f"the model {type(model).__name__} has no likelihood to measure")
    return model


def negative_log_likelihood(model: Model, batches: Iterable[Batch], draws: int) -> Measurement:
    """The mean over examples, and over ``draws`` evaluations of each, of :math:`-\\log p(x)` in nats.

    The values stay on the device until all batches are done, and are averaged in float64.
    """
    scored = scores(model)
    values = []
    with torch.no_grad():
        for batch in batches:
            x = batch[model.event.name]
            values += [-scored.log_prob(x) for _ in range(draws)]
    if not values:
        raise DataError("there are no examples to measure on")
    nats = torch.cat(values).cpu().double()
    return Measurement(nats.mean().item(), len(nats) // draws, "exact" if scored.exact else "bound")
