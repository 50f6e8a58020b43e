"""The evidence lower bound and its parts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

import torch
from pydantic import PositiveInt
from torch import Tensor

from zoo import Batch, Encodes, Measurement, Metric, Model, component

from .bounded import bounds
from .per_example import per_example
from .spread import Spread

ACTIVE = 0.01
"""The variance over the data above which a posterior mean counts as one that varies."""


@component("elbo")
class EvidenceLowerBound(Metric):
    r"""The mean evidence lower bound of held-out data, in nats, summed over the event, and its parts.

    .. math:: \mathrm{ELBO}(x) = \mathrm E_{q(z|x)} \log p(x|z) - \mathrm{KL}(q(z|x) \,\|\, p(z)) \le \log p(x)

    whatever weights a model is trained with. ``reconstruction`` is the first term with its sign changed, ``kl`` the
    second; all are means over ``draws`` of each latent. Where the divergence tells the dimensions of the latent apart
    and the model encodes, ``active`` is the number of dimensions with
    :math:`\mathrm{Var}_x\, \mathrm E_{q(z|x)} z_l > 0.01`. Raises ValueError for a model without such a bound.

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
        nll, kl = parts.mean(1).tolist()
        found = {"elbo": -(nll + kl), "reconstruction": nll, "kl": kl}
        if spread.n:
            found["active"] = float((spread.variance > ACTIVE).sum())
        lost = int((~parts.isfinite()).any(0).sum())
        return {name: Measurement(value, parts.shape[1], not_finite=lost) for name, value in found.items()}

    def _parts(self, model: Model, batch: Batch, spread: Spread) -> Tensor:
        """The two sides of the bound, ``[2, B]``; ``spread`` is told the codes."""
        x, context = batch[model.event.name], model.given(batch)
        terms = [bounds(model).terms(x, context) for _ in range(self.draws)]
        if isinstance(model, Encodes) and terms[0].kl_dim is not None:
            spread.add(model.encode(x, context).flatten(1))
        return torch.stack([torch.stack((each.nll, each.kl)) for each in terms]).mean(0)
