"""Likelihood along the probability-flow equation."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Literal

import torch
from torch import Tensor, nn

from zoo import Event, Part, Settings, Solves, named, sum_event

from ...shared.derivatives import Noise, against, basis, draw
from ...shared.ode import OdeSolver, State
from ...shared.precision import full_precision
from ..paths.base import Path
from ..solvers.base import Predict
from ..solvers.grid import Grid

SMALL = 64
"""Up to how many numbers of an event the trace is computed exactly by default."""


class OdeLikelihood(Settings):
    """Declaration of the likelihood: the trace, the solver, and the grid whose :math:`s` is its time.

    ``divergence`` is ``exact`` (a derivative of the network for each number of the event), ``rademacher`` or ``normal``
    (one derivative, an unbiased estimate), or ``auto``: exact for up to 64 numbers, else ``rademacher``.
    """

    divergence: Literal["auto", "exact"] | Noise = "auto"
    solver: Part[OdeSolver] = named("rk4", steps=24)
    grid: Part[Grid] = named("karras")

    def built(self, event: Event) -> FlowLikelihood:
        """The parts, for an event."""
        if self.divergence != "auto":
            return FlowLikelihood(self.divergence, self.solver(), self.grid())
        return FlowLikelihood("exact" if event.shape.size <= SMALL else "rademacher", self.solver(), self.grid())


class FlowLikelihood(nn.Module, Solves):
    r"""Log-density of data as the flow of the probability-flow equation has it.

    .. math:: \log p(x_0) = \log \mathcal{N}(x_{t_1}; 0, n^2 I) + \int_{t_0}^{t_1}
       \operatorname{tr} \frac{\partial u}{\partial x}\, dt, \qquad u = \dot\alpha \hat x_0 + \dot\sigma \hat\epsilon

    References: Song et al., Score-Based Generative Modeling through SDEs, 2020, arXiv:2011.13456, eq. 39-40; the noise
    of the estimate: Hutchinson, 1989; Grathwohl et al., FFJORD, 2019, arXiv:1810.01367, eq. 8.
    """

    unbiased = True
    fills = True
    """Whether it is of continuous data: levels get a width."""

    def __init__(self, divergence: Literal["exact"] | Noise, solver: OdeSolver, grid: Grid) -> None:
        super().__init__()
        self.divergence: Literal["exact"] | Noise = divergence
        self.exact = divergence == "exact"
        self.solver, self.grid = solver, grid

    @contextmanager
    def refined(self) -> Iterator[None]:
        """Within this block, solutions have steps of half the size."""
        solver, self.solver = self.solver, self.solver.refined()
        try:
            yield
        finally:
            self.solver = solver

    def log_prob(self, predict: Predict, path: Path, data: Tensor, spread: float, depends: Sequence[Tensor]) -> Tensor:
        """The log-density of data ``[B, *shape]``, in nats, ``[B]``; ``depends`` are the parameters of the network."""
        with torch.no_grad():
            directions = basis(data) if self.exact else draw(self._noise, data).unsqueeze(0)  # [K, B, *shape]
        D = data[0].numel()

        def move(s: Tensor | float, state: State) -> State:
            t, rate = self.grid.moment(path, float(s))
            level = path.level(t)
            slopes: Tensor
            u, slopes = against(lambda x: rate * predict(x, t).velocity(level), state[0], directions)
            return u, (directions * slopes).flatten(2).sum((0, 2))  # [B, *shape], [B]

        alpha = path.level(path.start).alpha
        start: State = (alpha * data, data.new_zeros(data.shape[0]))
        with full_precision(data):
            # Without values all evaluations are alike: one shows whether the parts fit.
            x, traces = move(1.0, start) if data.is_meta else self.solver(move, start, 1.0, 0.0, depends)
        log_prior = -0.5 * sum_event((x / spread).square()) - D * (0.5 * math.log(2.0 * math.pi) + math.log(spread))
        log_p: Tensor = log_prior + traces + D * math.log(alpha)
        return log_p

    @property
    def _noise(self) -> Noise:
        return "rademacher" if self.divergence == "exact" else self.divergence
