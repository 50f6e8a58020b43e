"""Likelihood metrics: negative log-likelihood in nats, bits per dimension."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from typing import Literal, NamedTuple

import torch
from pydantic import PositiveInt
from torch import Tensor

from zoo import Batch, DataError, Measurement, Metric, Model, Scores, Solves, VariationalBound, component, counted


def bounds(model: Model) -> VariationalBound:
    """The model as one with a variational bound; ValueError if it has none."""
    if not isinstance(model, VariationalBound):
        raise ValueError(f"the model {type(model).__name__} has no variational bound to measure")
    return model


CLOSE = 5e-4
"""Nats for each number of an event: a likelihood that a finer solution changes by no more counts as exact."""


def scores(model: Model) -> Scores:
    """The model as one with a likelihood; ValueError if it has none."""
    if not isinstance(model, Scores):
        raise ValueError(f"the model {type(model).__name__} has no likelihood to measure")
    return model


class LogLikelihoods(NamedTuple):
    r""":math:`\log p(x)` of each example, in nats, ``[N]`` in float64 on the CPU, and its kind."""

    nats: Tensor
    kind: str
    """``exact``, a ``bound``, or an ``estimate``: random without bias, or with a larger solver error than `CLOSE`."""
    solver_error: float | None
    """By how much finer solutions change :math:`\\log p(x)`, the mean over examples; None without a solver."""

    def mean(self, of: Tensor) -> Measurement:
        """The mean of one value for each example, of the same kind."""
        return Measurement.mean_of(of, self.kind)

    def details(self, figure: str) -> Mapping[str, Measurement]:
        """The details of a figure: its ``solver_error`` in nats."""
        if self.solver_error is None:
            return {}
        return {f"{figure}.solver_error": Measurement(self.solver_error, len(self.nats))}


def log_likelihoods(model: Model, batches: Iterable[Batch], draws: int) -> LogLikelihoods:
    """The log-likelihoods of examples, and their kind.

    A bound or an estimate is the mean over ``draws`` evaluations; an exact value takes one. If a part `zoo.Solves` an
    equation, all is evaluated once more with finer solutions and the same noise. The values stay on the device until
    all batches are done. Raises `zoo.DataError` without any batch.
    """
    scored = scores(model)
    solvers = [part for part in model.modules() if isinstance(part, Solves)]
    evaluations = 1 if scored.exact else draws
    values, shifts = [], []
    with torch.no_grad():
        for batch in batches:
            log_prob = partial(scored.log_prob, batch[model.event.name], model.given(batch))
            turns = counted(range(evaluations), evaluations)
            fine, plain = zip(*(_both(log_prob, solvers) for _ in turns), strict=True)
            values.append(torch.stack(plain))  # [evaluations, B]
            shifts.append((torch.stack(fine) - values[-1]).abs())
    if not values:
        raise DataError("no examples to measure on")
    nats, error = (torch.cat(each, dim=1).cpu().double().mean(0) for each in (values, shifts))
    solver_error = error.mean().item() if solvers else None
    return LogLikelihoods(nats, _kind(model, solver_error), solver_error)


def _both(log_prob: Callable[[], Tensor], solvers: Sequence[Solves]) -> tuple[Tensor, Tensor]:
    """An evaluation with finer solutions, and one without, with the same noise; both are the same without solvers."""
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
    r"""The mean of :math:`-\log p(x)` in nats, as ``nll``, and the details of a figure that is computed from it."""
    found = log_likelihoods(model, batches, draws)
    return {"nll": found.mean(-found.nats), **found.details(figure)}


@component("nll")
class NegativeLogLikelihood(Metric):
    r"""Mean negative log-likelihood of held-out data, in nats, summed over the event.

    .. math:: \mathrm{nll} = -\frac1N \sum_{i=1}^N \log p(x_i)

    If the model solves an equation in steps, as a continuous flow does, ``nll.solver_error`` is the change of
    :math:`\log p(x)` with steps of half the size, the mean of its absolute value in nats: up to 0.0005 nats for each
    number of an event the figure counts as exact, beyond as an estimate. Lower is better. Raises ValueError for a model
    without a likelihood.

    Args:
        draws: The number of evaluations of each example that are averaged, for a model that bounds or estimates its
            likelihood.
    """

    def __init__(self, *, draws: PositiveInt = 1) -> None:
        self.draws = draws

    def check(self, model: Model) -> None:
        scores(model)

    def figures(self) -> Mapping[str, Literal["min", "max"] | None]:
        return {"nll": "min"}

    def measure(self, model: Model, batches: Iterable[Batch]) -> Mapping[str, Measurement]:
        return negative_log_likelihood(model, batches, self.draws)


@component("bits_per_dim")
class BitsPerDim(Metric):
    r"""Bits per dimension of held-out discrete data: the length of a code for it, per element.

    .. math:: \mathrm{bpd} = -\frac{1}{N D \ln 2} \sum_{i=1}^N \log P(x_i)

    of the integer levels of the data, however a model transforms them; :math:`D` is the size of the event. A model that
    adds noise to the levels gives a lower bound of :math:`\log P` that depends on the noise. ``nll`` is the same in
    nats for each event. Lower is better. Raises ValueError for continuous data and for a model without a likelihood.

    Args:
        draws: The number of evaluations of each example that are averaged, for a model that bounds or estimates its
            likelihood.

    References: Theis et al., A note on the evaluation of generative models, 2015, arXiv:1511.01844, section 3.1.
    """

    def __init__(self, *, draws: PositiveInt = 10) -> None:
        self.draws = draws

    def check(self, model: Model) -> None:
        scored = scores(model)
        if model.event.levels is None:
            raise ValueError(f"bits per dimension need discrete data: '{model.event.name}' is continuous; use 'nll'")
        if scored.density:
            raise ValueError("bits per dimension need a probability of levels, but this likelihood is a density")

    def figures(self) -> Mapping[str, Literal["min", "max"] | None]:
        return {"bits_per_dim": "min", "nll": "min"}

    def measure(self, model: Model, batches: Iterable[Batch]) -> Mapping[str, Measurement]:
        self.check(model)
        found = negative_log_likelihood(model, batches, self.draws, "bits_per_dim")
        nll = found["nll"]
        bits, error = model.event.bits_per_dim, nll.standard_error
        each = replace(nll, value=bits(nll.value), standard_error=None if error is None else bits(error))
        return {"bits_per_dim": each, **found}
