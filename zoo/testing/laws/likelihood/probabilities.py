"""Likelihoods are of probabilities, and know their means and bounds."""

from __future__ import annotations

import copy

import torch
from torch import Tensor

from ....interfaces.likelihood import Likelihood
from ...errors import distance, require, require_event, require_per_sample
from .outputs import answers, answers_each, density_on, drawn, level_axis, line, ordinary, probabilities


@torch.no_grad()
def scores_each_sample_alone(likelihood: Likelihood) -> None:
    """In evaluation mode ``log_prob`` is one number for each sample, and each sample gets the same result as alone,
    also of ``mean`` and ``draw``.
    """
    h, x = answers(likelihood, 4), ordinary(likelihood, 4)
    log_p, mean = likelihood.log_prob(x, h), likelihood.mean(h)
    require_per_sample("log_prob", log_p, 4)
    require_event("the mean", mean, 4, likelihood.event.shape)
    noise = likelihood.noise(4)
    draw = likelihood.draw(h, noise)
    for i in range(4):
        one = slice(i, i + 1)
        alone = {
            "log_prob": (likelihood.log_prob(x[one], h[one]), log_p[one]),
            "mean": (likelihood.mean(h[one]), mean[one]),
            "draw": (likelihood.draw(h[one], noise[one]).double(), draw[one].double()),
        }
        for name, (ours, theirs) in alone.items():
            require(distance(ours, theirs) <= 1e-9, f"{name} of a sample depends on the rest of the batch")


@torch.no_grad()
def probabilities_normalise(likelihood: Likelihood) -> None:
    """For data of one number: probabilities of all levels sum to one, to 1e-9 in float64 and 1e-6 in float32, for
    extreme answers too; a density over continuous data integrates to one, to 1e-6."""
    axis = level_axis(likelihood)
    if axis is not None and not likelihood.density:
        single = copy.deepcopy(likelihood).float()
        for h in (*answers_each(likelihood, 8), *answers_each(likelihood, 8, 30.0)):
            _require_one("probabilities", probabilities(likelihood, axis, h).sum(), 1e-9)
            _require_one("float32 probabilities", probabilities(single, axis, h.float()).double().sum(), 1e-6)
    points = line(likelihood)
    if points is not None:
        for h in answers_each(likelihood, 8, 0.5):
            _require_one("densities", torch.trapezoid(density_on(likelihood, points, h), points), 1e-6)


def _require_one(what: str, total: Tensor, within: float) -> None:
    require(
        abs(float(total) - 1.0) <= within,
        f"{what} sum to {float(total):.9g}, expected 1: check the normalising constant, and that neighbouring levels "
        "share their edge",
    )


@torch.no_grad()
def mean_is_expectation(likelihood: Likelihood) -> None:
    """For data of one number: ``mean`` is the mean under ``log_prob``, on the scale of ``Event.unit``, to 1e-6."""
    axis, points = level_axis(likelihood), line(likelihood)
    for h in answers_each(likelihood, 8, 0.5):
        if axis is not None and not likelihood.density:
            unit = likelihood.event.unit(axis, torch.float64).flatten()
            wanted = (probabilities(likelihood, axis, h) * unit).sum()
        elif points is not None:
            wanted = torch.trapezoid(density_on(likelihood, points, h) * points, points)
        else:
            return
        error = abs(float(likelihood.mean(h)) - float(wanted))
        require(error <= 1e-6, f"the mean is {error:.3g} away from that of log_prob: is it on the scale of Event.unit?")


@torch.no_grad()
def bound_is_kept(likelihood: Likelihood) -> None:
    """If ``bounded``, no ``log_prob`` is above zero, not even that of the likeliest data."""
    if not likelihood.bounded:
        return
    for scale in (0.5, 30.0):
        h = answers(likelihood, 8, scale)
        for x in (ordinary(likelihood, 8), drawn(likelihood, h), drawn(likelihood, h, temperature=0.0)):
            highest = float(likelihood.log_prob(x, h).max())
            require(highest <= 1e-9, f"a log_prob is {highest:.3g}, but 'bounded' declares that none is above zero")
