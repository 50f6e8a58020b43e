"""Evidence lower bound with its divergence decomposed into three terms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import torch
from pydantic import NonNegativeFloat, PositiveInt
from torch import Tensor

from zoo import NOT_A_SIZE, Batch, BatchStatistics, Clock, Terms, UsageError, component

from ..posteriors.base import factorised
from .base import VariationalObjective, check_unweighted

if TYPE_CHECKING:
    from ..vae import VAE


@component("tc", example={"data_size": 1000})
class TC(BatchStatistics, VariationalObjective):
    r"""beta-TCVAE: mutual information, total correlation and dimension-wise divergence, each with a weight.

    .. math:: L = R + \alpha\, \mathrm{KL}(q(z, n) \,\|\, q(z) p(n)) + \beta\, \mathrm{KL}(q(z) \,\|\, \prod_j q(z_j))
       + \gamma \sum_j \mathrm{KL}(q(z_j) \,\|\, p(z_j))

    If all weights are 1 the three sum to the divergence of the evidence lower bound. :math:`q(z)` is the mean of
    :math:`q(z \mid n)` over all examples; `stratified` estimates it, and each :math:`q(z_j)`, by the batch.

    ValueError for a model with a weighting other than ``beta`` with 1, and for a posterior without independent
    dimensions; `zoo.UsageError` for a batch of one example, or of more than ``data_size``.

    Logs ``nll``, ``kl``, ``elbo``, ``mi``, ``tc`` and ``dim_kl``, in nats, each unweighted. The estimates of the last
    three may be negative.

    Args:
        data_size: The number of training examples.
        alpha: The weight :math:`\alpha` of the mutual information.
        beta: The weight :math:`\beta` of the total correlation.
        gamma: The weight :math:`\gamma` of the dimension-wise divergence.

    References: Chen et al., Isolating Sources of Disentanglement in Variational Autoencoders, 2018, arXiv:1802.04942,
    eq. 2 and 4, appendix C.2.
    """

    def __init__(
        self,
        latent_size: int,
        *,
        data_size: Annotated[PositiveInt, NOT_A_SIZE],
        alpha: NonNegativeFloat = 1.0,
        beta: NonNegativeFloat = 6.0,
        gamma: NonNegativeFloat = 1.0,
    ) -> None:
        super().__init__(latent_size)
        self.data_size = data_size
        self.alpha, self.beta, self.gamma = alpha, beta, gamma

    def check(self, vae: VAE) -> None:
        check_unweighted(vae, "the three parts of the divergence have separate weights")
        factorised(vae.posterior)

    def forward(self, vae: VAE, batch: Batch, clock: Clock) -> Terms:
        x = batch[vae.event.name]
        h = vae.answer(x)
        draws = vae.posterior.draw(h, 1)
        terms = vae.terms_of(x, h, draws)
        z = draws.z[0]
        # Of each latent under each example of the batch, [B, B, L].
        log_q = factorised(vae.posterior).log_prob_dim(z.unsqueeze(1), h.unsqueeze(0)).flatten(2)
        log_weight = stratified(z.shape[0], self.data_size).to(log_q).log()
        log_q_z = (log_weight + log_q.sum(2)).logsumexp(1)  # [B]
        log_q_dims = (log_weight.unsqueeze(2) + log_q).logsumexp(1).sum(1)  # [B]
        mi = draws.log_q[0] - log_q_z
        tc = log_q_z - log_q_dims
        dim_kl = log_q_dims - vae.log_prior(draws.z)[0]
        loss = (terms.nll + self.alpha * mi + self.beta * tc + self.gamma * dim_kl).mean()
        logs = {"nll": terms.nll, "kl": terms.kl, "elbo": -(terms.nll + terms.kl), "mi": mi, "tc": tc, "dim_kl": dim_kl}
        weights = {"alpha": self.alpha, "beta": self.beta, "gamma": self.gamma}
        return Terms(loss, logs, {name: loss.new_tensor(weight) for name, weight in weights.items()})


def stratified(batch: int, data_size: int) -> Tensor:
    r"""The weights of a batch's examples in the estimate of :math:`q(z^i)`, ``[B, B]``, in float64: each row sums to
    one.

    .. math:: q(z) \approx \frac1N q(z \mid n^*) + \frac1M \sum_{m=1}^{M-1} q(z \mid n_m)
       + \frac{N - M}{NM} q(z \mid n_M), \qquad M = B - 1

    where :math:`z` was drawn for the example :math:`n^*`, and the :math:`n_m` are the others, drawn from the :math:`N`
    without replacement. :math:`q(z \mid n^*)` is not a typical term but by far the largest, and has the weight of one
    of :math:`N`: the diagonal. The estimate is unbiased, its logarithm is not.

    >>> stratified(3, 10)
    tensor([[0.1000, 0.5000, 0.4000],
            [0.4000, 0.1000, 0.5000],
            [0.5000, 0.4000, 0.1000]], dtype=torch.float64)
    """
    others = batch - 1
    if not 0 < others < data_size:
        raise UsageError(
            f"total correlation is estimated by batches of 2 to data_size ({data_size}) examples, got {batch}"
        )
    weights = torch.full((batch, batch), 1.0 / others, dtype=torch.float64)
    weights.diagonal().fill_(1.0 / data_size)
    rows = torch.arange(batch)
    weights[rows, rows - 1] = (data_size - others) / (data_size * others)
    return weights
