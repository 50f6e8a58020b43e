"""Training on data."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zoo import Batch, Clock, Terms, component

from .objective import Objective

if TYPE_CHECKING:
    from .flow import Flow


@component("max_likelihood")
class MaximumLikelihood(Objective):
    r"""Maximum likelihood: the mean negative log-likelihood of the data.

    .. math:: L = -\mathrm{E}_{x \sim p}[\log q(x)]

    Logs ``nll``, in nats.
    """

    def forward(self, flow: Flow, batch: Batch, clock: Clock) -> Terms:
        nll = -flow.log_prob(batch[flow.event.name], flow.given(batch))
        return Terms(nll.mean(), {"nll": nll})
