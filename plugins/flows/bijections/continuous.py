"""Continuous normalizing flow."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Literal

import torch
from pydantic import PositiveFloat
from torch import Tensor

from zoo import Bijection, Conditioner, Part, Shape, Solves, component, named

from ...shared.derivatives import Noise, against, basis, draw
from ...shared.ode import Dynamics, OdeSolver, State
from ...shared.precision import full_precision


@component(
    "continuous",
    example={
        "velocity": {"type": "mlp", "width": 8, "depth": 1, "activation": "tanh"},
        "solver": {"type": "rk4", "steps": 4},
        "time": 0.125,
    },
)
class Continuous(Solves, Bijection):
    r"""Continuous flow: points move along a velocity field that a network gives, from time 0 to T.

    .. math:: \frac{d x}{d t} = v(x, t), \quad z = x(T), \qquad
       \log\Bigl|\det \frac{\partial z}{\partial x}\Bigr| = \int_0^T \operatorname{tr}\frac{\partial v}{\partial x}\, dt

    The inverse solves back in time, as closely as the solver solves. A velocity without kinks, such as an mlp with
    ``tanh``, needs fewer steps. The Lipschitz constant of v is not bounded, so that training may outrun the solver:
    metrics of the likelihood measure by how much, as ``nll.solver_error``.

    Args:
        velocity: The network :math:`v`, which gets the time as one more channel.
        divergence: How the trace is computed. ``exact`` takes one derivative of the network for each number of the
            event. ``rademacher`` and ``normal`` are the noise of Hutchinson's estimate :math:`\epsilon^\top
            (\partial v / \partial x)\, \epsilon`, which takes one derivative, with noise drawn once for a solution
            (FFJORD); the log-likelihood of the flow is then an unbiased estimate too.
        solver: The solver of the differential equation.
        time: The end time T.

    References: Chen et al., Neural Ordinary Differential Equations, 2018, arXiv:1806.07366, thm. 1; Grathwohl et al.,
    FFJORD, 2019, arXiv:1810.01367, eq. 4-8.

    Shapes: ``[B, *shape]``, unchanged; any shape that the velocity takes.

    >>> import torch, zoo
    >>> flow = zoo.declare(zoo.Bijection, "continuous")(zoo.Shape(2))
    >>> x = torch.tensor([[0.5, -1.0]])
    >>> z, log_det = flow(x)
    >>> torch.equal(z, x), log_det.tolist()    # the identity, before training
    (True, [0.0])
    """

    differentiates = True

    def __init__(
        self,
        shape: Shape,
        *,
        velocity: Part[Conditioner] = named("mlp", activation="tanh"),
        divergence: Literal["exact"] | Noise = "exact",
        solver: Part[OdeSolver] = named("rk4"),
        time: PositiveFloat = 1.0,
    ) -> None:
        super().__init__(shape)
        self.velocity = velocity(shape.with_channels(shape[0] + 1), shape)
        self.divergence = divergence
        self.solver = solver()
        self.time = time
        self.exact = divergence == "exact"

    @contextmanager
    def refined(self) -> Iterator[None]:
        solver, self.solver = self.solver, self.solver.refined()
        try:
            yield
        finally:
            self.solver = solver

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return self._transport(x, 0.0, self.time, context)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return self._transport(z, self.time, 0.0, context)

    def decode(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        def move(t: Tensor | float, state: State) -> State:
            return (self.velocity_at(state[0], t, context),)

        return self._solved(move, (z,), self.time, 0.0, context)[0]

    def _transport(self, x: Tensor, start: float, end: float, context: Tensor | None) -> tuple[Tensor, Tensor]:
        with torch.no_grad():
            directions = basis(x) if self.divergence == "exact" else draw(self.divergence, x).unsqueeze(0)

        def move(t: Tensor | float, state: State) -> State:
            v, slopes = against(partial(self.velocity_at, t=t, context=context), state[0], directions)  # [K, B, *shape]
            return v, (directions * slopes).flatten(2).sum((0, 2))  # [B, *shape], [B]

        x, log_det = self._solved(move, (x, x.new_zeros(x.shape[0])), start, end, context)
        return x, log_det

    def _solved(self, f: Dynamics, y: State, start: float, end: float, context: Tensor | None) -> State:
        depends = [*self.velocity.parameters(), *([] if context is None else [context])]
        with full_precision(y[0]):
            solved: State = self.solver(f, y, start, end, depends)
            return solved

    def velocity_at(self, x: Tensor, t: Tensor | float, context: Tensor | None = None) -> Tensor:
        """:math:`v(x, t)`; the time is a number, or a tensor that broadcasts to ``[B, 1, ...]``."""
        clock = torch.ones_like(x[:, :1]) * t  # [B, 1, ...]
        v: Tensor = self.velocity(torch.cat((x, clock), dim=1), context)
        return v
