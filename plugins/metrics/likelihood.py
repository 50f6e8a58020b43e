"""What the likelihood metrics share: the mean negative log-likelihood of held-out data."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from zoo import Batch, DataError, Measurement, Model, Scores, Solves

CLOSE = 5e-4
"""Nats for each number of an event: a likelihood that a finer solution moves by no more counts as exact."""


def scores(model: Model) -> Scores:
    """The model as one with a likelihood; ValueError where it has none."""
    if not isinstance(model, Scores):
        raise ValueError(f"the model {type(model).__name__} has no likelihood to measure")
    return model


class LogLikelihoods(NamedTuple):
    """:math:`\\log p(x)` of each example, in nats, ``[N]`` in float64 on the CPU, and how they are to be read."""

    nats: Tensor
    kind: str
    """``exact``, a ``bound``, or an ``estimate``: of what is random without bias, or solved no closer than `CLOSE`."""
    solver_error: float | None
    """By how much finer solutions move :math:`\\log p(x)`, the mean over examples; None where nothing is solved."""

    def mean(self, of: Tensor) -> Measurement:
        """The mean of one value an example, of the same kind."""
        return Measurement.mean_of(of, self.kind)

    def details(self, figure: str) -> Mapping[str, Measurement]:
        """What is reported of a figure besides it: the ``solver_error`` in nats."""
        if self.solver_error is None:
            return {}
        return {f"{figure}.solver_error": Measurement(self.solver_error, len(self.nats))}


def log_likelihoods(model: Model, batches: Iterable[Batch], draws: int) -> LogLikelihoods:
    """The log-likelihoods of examples, and how they are to be read.

    A bound or an estimate is the mean over ``draws`` evaluations; what is exact is the same at each, and takes one.
    Where a part `zoo.Solves` an equation all is evaluated once more with finer solutions and the same noise. The values
    stay on the device until all batches are done. Raises `zoo.DataError` where there are none.
    """
    scored = scores(model)
    solvers = [part for part in model.modules() if isinstance(part, Solves)]
    evaluations = 1 if scored.exact else draws
    values, shifts = [], []
    with torch.no_grad():
        for batch in batches:
            log_prob = partial(scored.log_prob, batch[model.event.name], model.given(batch))
            fine, plain = zip(*(_both(log_prob, solvers) for _ in range(evaluations)), strict=True)
            values.append(torch.stack(plain))
            shifts.append((torch.stack(fine) - values[-1]).abs())
    if not values:
        raise DataError("there are no examples to measure on")
    nats, error = (torch.cat(each, dim=1).cpu().double().mean(0) for each in (values, shifts))
    solver_error = error.mean().item() if solvers else None
    return LogLikelihoods(nats, _kind(model, solver_error), solver_error)


def _both(log_prob: Callable[[], Tensor], solvers: Sequence[Solves]) -> tuple[Tensor, Tensor]:
    """An evaluation with finer solutions, and as it is, with the same noise: one of both where nothing is solved."""
    if not solvers:
        return (plain := log_prob()), plain
    with torch.random.fork_rng(), ExitStack() as finer:
        for part in solvers:
            finer.enter_context(part.refined())
        fine = log_prob()
    return fine, log_prob()


def _kind(model: Model, solver_error: float | None) -> str:
    scored = scores(model)
    if not scored.exact:
        return "estimate" if scored.unbiased else "bound"
    # Where the error is NaN, so is the figure.
    return "exact" if solver_error is None or solver_error <= CLOSE * model.event.shape.size else "estimate"


def negative_log_likelihood(
    model: Model, batches: Iterable[Batch], draws: int, figure: str = "nll"
) -> Mapping[str, Measurement]:
    """The mean over examples, and over ``draws`` evaluations of each, of :math:`-\\log p(x)` in nats, as ``nll``; and
    the details of a figure that is made of it."""
    found = log_likelihoods(model, batches, draws)
    return {"nll": found.mean(-found.nats), **found.details(figure)}
