"""Annealed importance sampling of restricted Boltzmann machines, forwards and backwards."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Annotated, Literal

import torch
from pydantic import Field, PositiveInt
from torch import Tensor
from torch.nn.functional import softplus

from zoo import Batch, DataError, Measurement, Metric, Model, component, counted

from .rbm import ENUMERABLE, RBM, drawn


@component("ais")
class AnnealedImportanceSampling(Metric):
    r"""Negative log-likelihood of a restricted Boltzmann machine, in nats, between estimates from both sides.

    Between a machine without weights, of which the visible biases :math:`a` fit the data, and the model itself lie

    .. math:: f_\beta(v) = e^{(1 - \beta)\, a^\top v + \beta\, b^\top v} \prod_j \bigl(1 + e^{\beta (c_j + v^\top
       W_j)}\bigr), \qquad 0 = \beta_0 < \dots < \beta_K = 1

    ``nll_ais`` runs chains from the first to the last, :math:`\hat Z = Z_0\, \mathrm{mean} \prod_k
    f_{\beta_k}(v_k) / f_{\beta_{k-1}}(v_k)`. Its mean is :math:`Z`, so that :math:`\log \hat Z` is rather too
    small, and the figure optimistic.

    ``nll_raise`` runs the chains backwards, from each example, and needs no :math:`Z`: it is a bound, in expectation
    not below the negative log-likelihood of the model that draws by the forward chain. The truth lies between the two
    where that model is as good as the machine. Where one side has at most 20 units, ``nll_ais.exact`` is exact.
    ``nll_ais.log_z`` is the estimate of :math:`\log Z`. Lower is better.

    ValueError for other models.

    Args:
        chains: The number of chains from the first to the last distribution.
        temperatures: The number of steps, :math:`K`.
        backwards: The number of examples, chosen at random, for ``nll_raise``.

    References: Neal, Annealed importance sampling, 2001; Salakhutdinov and Murray, On the quantitative analysis of
    deep belief networks, 2008, sec. 4.1; Burda et al., Accurate and conservative estimates of MRF log-likelihood using
    reverse annealing, 2015, arXiv:1412.8566, algorithm 2.
    """

    def __init__(
        self,
        *,
        chains: PositiveInt = 100,
        temperatures: Annotated[int, Field(ge=2)] = 10_000,
        backwards: PositiveInt = 100,
    ) -> None:
        self.chains, self.temperatures, self.backwards = chains, temperatures, backwards

    def check(self, model: Model) -> None:
        if not isinstance(model, RBM):
            raise ValueError(f"needs a restricted Boltzmann machine, got {type(model).__name__}")

    def figures(self) -> Mapping[str, Literal["min", "max"] | None]:
        return {"nll_ais": "min", "nll_raise": "min"}

    @torch.no_grad()
    def measure(self, model: Model, batches: Iterable[Batch]) -> Mapping[str, Measurement]:
        if not isinstance(model, RBM):
            raise ValueError(f"needs a restricted Boltzmann machine, got {type(model).__name__}")
        data = [batch[model.event.name] for batch in batches]
        if not data:
            raise DataError("no examples to measure on")
        v = torch.cat(data).flatten(1).to(model.W.dtype)
        annealed = Annealed(model, v, self.temperatures)
        log_z = annealed.log_partition(self.chains)
        free = model.free_energy(v).double().cpu()
        order = torch.randperm(len(v), generator=torch.Generator().manual_seed(0))[: self.backwards].to(v.device)
        bounds = annealed.log_prob(v[order]).double().cpu()
        found = {
            "nll_ais": Measurement.mean_of(free + log_z, "estimate"),
            "nll_raise": Measurement.mean_of(-bounds, "bound"),
            "nll_ais.log_z": Measurement(log_z, self.chains, "estimate"),
        }
        if min(model.W.shape) <= ENUMERABLE:
            found["nll_ais.exact"] = Measurement.mean_of(free + model.log_partition().item())
        return found


class Annealed:
    r"""The distributions :math:`f_\beta` between the first and a model, and chains along them."""

    def __init__(self, rbm: RBM, data: Tensor, steps: int) -> None:
        self.rbm = rbm
        mean = (data.sum(0) + 1.0) / (len(data) + 2.0)
        self.a = mean.logit()
        self.betas = torch.linspace(0.0, 1.0, steps + 1, dtype=torch.float64).tolist()

    @torch.no_grad()
    def log_partition(self, chains: int) -> float:
        """An estimate of :math:`\\log Z` by forward chains, its exponential unbiased."""
        v = drawn(self.a.sigmoid().expand(chains, -1))
        log_w = v.new_zeros(chains, dtype=torch.float64)
        for before, beta in counted(zip(self.betas, self.betas[1:], strict=False), len(self.betas) - 1):
            log_w += self._log_ratio(v, beta, before)
            v = self._step(v, beta)
        first = softplus(self.a).sum().double() + self.rbm.W.shape[1] * math.log(2.0)
        return float(first + log_w.logsumexp(0) - math.log(chains))

    def log_prob(self, v: Tensor) -> Tensor:
        r"""A lower bound, in expectation, of the log-likelihood of points ``[N, D]`` under the forward chain, ``[N]``.

        .. math:: \log p_0(v_0) + \sum_{k=1}^K \log \frac{f_{\beta_k}(v_k)}{f_{\beta_k}(v_{k-1})}

        from :math:`v_K = v` backwards; each step is reversible.
        """
        log_p = v.new_zeros(len(v), dtype=torch.float64)
        for beta in counted(reversed(self.betas[1:]), len(self.betas) - 1):
            before = self._step(v, beta)
            log_p += self._log_f(v, beta) - self._log_f(before, beta)
            v = before
        return log_p + (v @ self.a - softplus(self.a).sum())

    def _log_f(self, v: Tensor, beta: float) -> Tensor:
        """:math:`\\log f_\\beta(v)`, ``[N]``."""
        hidden = softplus(beta * (self.rbm.c + v @ self.rbm.W)).sum(1)
        return (1.0 - beta) * (v @ self.a) + beta * (v @ self.rbm.b) + hidden

    def _log_ratio(self, v: Tensor, after: float, before: float) -> Tensor:
        """:math:`\\log f_{after}(v) - \\log f_{before}(v)`, ``[N]``, with one product of matrices."""
        active = self.rbm.c + v @ self.rbm.W
        hidden = (softplus(after * active) - softplus(before * active)).sum(1)
        return (after - before) * (v @ self.rbm.b - v @ self.a) + hidden

    def _step(self, v: Tensor, beta: float) -> Tensor:
        """A sweep that leaves :math:`f_\\beta` as it is."""
        h = drawn((beta * (self.rbm.c + v @ self.rbm.W)).sigmoid())
        return drawn(((1.0 - beta) * self.a + beta * (self.rbm.b + h @ self.rbm.W.T)).sigmoid())
