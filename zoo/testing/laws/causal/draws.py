"""The draws of a causal model: the same by every way, and as likely as it says."""

from __future__ import annotations

import torch
from torch import Tensor

from ....interfaces.boundary import Known
from ....interfaces.causal import Causal
from ....interfaces.model import Condition
from ...errors import LawBroken, require
from .data import all_data, context_for, event_of, expanded, levels_of, random_data, shown, uniforms

DRAWS = 4
MANY = 4000
COOL = 0.6
COLD = 1e-4
LEAST = 5.0
"""How many draws of a sort are expected at least, where it is compared on its own."""


@torch.no_grad()
def draws_agree(model: Causal) -> None:
    """``redraw`` number by number, ``unroll`` and ``draw`` make the same data from the same uniform numbers, at all
    temperatures and with known parts, which are unchanged.
    """
    u, context = uniforms(model, DRAWS), context_for(model, DRAWS)
    for temperature, known in ((1.0, None), (COOL, _known(model))):
        wanted = one_by_one(model, u, context, temperature, known)
        how = f"temperature {temperature:g}{', a part known' if known else ''}"
        for name, way in (("unroll", model.unroll), ("draw", model.draw)):
            drawn = way(u, context, temperature, known)
            _require_levels(model, drawn)
            _require_known(name, drawn, known, model)
            _require_same(name, drawn, wanted, how, model)


@torch.no_grad()
def temperature_has_effect(model: Causal) -> None:
    """A lower temperature makes other draws of the same uniform numbers; one of next to nothing makes the same draw of
    all uniform numbers, but for a few ties."""
    n = 16
    context = context_for(model, n)
    first, second = uniforms(model, n), uniforms(model, n, seed=1)
    warm, cool = (model.draw(first, context, t) for t in (1.0, COOL))
    require(
        not torch.equal(warm, cool), "a lower temperature gives the same draws: divide logits by it, scale deviations"
    )
    one, other = (model.draw(u, context, COLD) for u in (first, second))
    alike = float((one == other).double().mean())
    require(
        alike > 0.9,
        f"at a temperature of {COLD:g}, {1.0 - alike:.0%} of the draws are still random: scale all noise with it",
    )


@torch.no_grad()
def draws_follow(model: Causal) -> None:
    """The frequency of each sample is its probability, if the data is small enough to count, and so it is for
    completions given the known numbers before: within five standard errors in total.
    """
    every = all_data(model)
    if every is None:
        return
    given, x = context_for(model, 1), random_data(model, 1)
    context, of_every = (expanded(given, n) for n in (MANY, every.shape[0]))
    log_p = model.conditionals(every, of_every).gather(-1, every.long().unsqueeze(-1)).squeeze(-1).flatten(1)
    for known in (None, *(Known(x, mask.expand_as(x)) for mask in _masks(model))):
        drawn = torch.ones_like(log_p[0], dtype=torch.bool) if known is None else ~known.mask.flatten()
        agrees = (every.flatten(1) == x.flatten()).logical_or(drawn).all(1)
        p = torch.where(agrees, (log_p * drawn).sum(1).exp(), 0.0)
        many = None if known is None else Known(*(part.expand(MANY, *part.shape[1:]) for part in known))
        found = _counted(model.draw(uniforms(model, MANY), context, 1.0, many), levels_of(model), every.shape[0])
        off = deviation(found, MANY * p)
        what = "draws" if known is None else f"completions of data known at {_known_places(known, model)}"
        require(
            off <= 5.0,
            f"frequencies of {what} are {off:.1f} standard errors from the conditionals: draw with the "
            "probabilities that are scored, given the known numbers",
        )


def deviation(found: Tensor, expected: Tensor) -> float:
    r"""The deviation of counts from their expectations, in standard errors: Pearson's :math:`\chi^2`, normalised.

    What is expected too seldom to be compared counts together. What is never expected must not be there.

    References: Wilson and Hilferty, The Distribution of Chi-square, PNAS 17, 1931.

    >>> deviation(torch.tensor([48.0, 52.0]), torch.tensor([50.0, 50.0])) < 1.0
    True
    """
    if (found[expected == 0.0] > 0).any():
        return float("inf")
    often = expected >= LEAST
    cells = [(found[often], expected[often]), (found[~often].sum().unsqueeze(0), expected[~often].sum().unsqueeze(0))]
    squares = sum(float(((f - e).square() / e.clamp(min=1.0)).sum()) for f, e in cells)
    free = max(1, int(often.sum()) - int(expected[~often].sum() < LEAST))
    spread = 2.0 / (9.0 * free)
    return float(((squares / free) ** (1.0 / 3.0) - (1.0 - spread)) / spread**0.5)


def one_by_one(
    model: Causal, u: Tensor, context: Condition | None, temperature: float, known: Known | None = None
) -> Tensor:
    """The sample by as many full passes as there are ranks: slow, the reference for all others."""
    ranks = model.ranks().reshape(tuple(event_of(model).shape))
    x = torch.zeros_like(random_data(model, u.shape[0]))
    if known is not None:
        x = torch.where(known.mask, known.x.to(x.dtype), x)
    for rank in sorted(set(ranks.flatten().tolist())):
        now = (ranks == rank).expand_as(x)
        if known is not None:
            now = now & ~known.mask
        x = torch.where(now, model.redraw(x, u, context, temperature).to(x.dtype), x)
    return x


def _known(model: Causal) -> Known:
    """Data half of which is known, here and there."""
    x = random_data(model, DRAWS, seed=1)
    return Known(x, torch.rand(x.shape, generator=torch.Generator().manual_seed(1)) < 0.5)


def _masks(model: Causal) -> list[Tensor]:
    """Every second number in the order of the model, and the others."""
    even = (model.ranks() % 2 == 0).reshape(1, *event_of(model).shape)
    return [even, ~even]


def _require_levels(model: Causal, x: Tensor) -> None:
    levels = levels_of(model)
    wanted = torch.uint8 if levels <= 256 else torch.int64
    require(x.dtype == wanted, f"draws are {x.dtype}, expected {wanted} for {levels} levels")
    require((x.long() < levels).all() and (x.long() >= 0).all(), f"a draw is not one of the {levels} levels")


def _require_known(name: str, x: Tensor, known: Known | None, model: Causal) -> None:
    if known is None:
        return
    wrong = ((x != known.x) & known.mask).flatten(1).any(0)
    if wrong.any():
        first = shown(int(wrong.nonzero()[0]), event_of(model).shape)
        raise LawBroken(f"{name} changes the known number at {first}: return known numbers unchanged")


def _require_same(name: str, x: Tensor, wanted: Tensor, how: str, model: Causal) -> None:
    ranks = model.ranks()
    wrong = (x != wanted).flatten(1).any(0).nonzero().squeeze(1)
    if wrong.numel():
        first = int(wrong[ranks[wrong].argmin()])
        at = shown(first, event_of(model).shape)
        raise LawBroken(
            f"{name} and redraw, number by number, differ at {at} ({how}): compute the same as forward, and draw "
            "with the same uniform numbers"
        )


def _counted(x: Tensor, levels: int, of: int) -> Tensor:
    """The number of samples equal to each of `all_data`."""
    D = x.flatten(1).shape[1]
    powers = levels ** torch.arange(D - 1, -1, -1)
    return (x.flatten(1).long() @ powers).bincount(minlength=of).double()


def _known_places(known: Known, model: Causal) -> str:
    numbers = known.mask.flatten().nonzero().squeeze(1).tolist()
    return ", ".join(shown(number, event_of(model).shape) for number in numbers)
