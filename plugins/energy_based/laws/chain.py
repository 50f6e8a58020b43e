"""Laws of Markov chains: what they leave as it is, by closed forms where there are some."""

from __future__ import annotations

import itertools
import math

import torch
from torch import Tensor

from zoo import Event, Shape, sum_event
from zoo.testing import Laws, require

from ..chains.base import Chain, Metropolis, Noise
from ..scale import level_values

N = 20_000
"""Chains of statistical laws."""
SIGMAS = 5.0
EXACT = 1e-10


def normal(x: Tensor) -> Tensor:
    """The energy of a standard normal, ``[B]``."""
    return 0.5 * sum_event(x.square())


def curved(x: Tensor) -> Tensor:
    """An energy that is not quadratic, and for which no two numbers are alike, ``[B]``."""
    x = x.flatten(1)
    weights = torch.linspace(0.5, 1.5, x.shape[1], dtype=x.dtype, device=x.device)
    return (weights * (0.3 * x.square() + torch.log1p((x - weights).square()))).sum(1) + 0.2 * x.sum(1).sin()


def points(chain: Chain, n: int) -> Tensor:
    """States in float64: normal, or the levels of the data where the chain moves between them."""
    noise = torch.Generator().manual_seed(0)
    shape = (n, *chain.event.shape)
    if chain.discrete and chain.event.levels is not None:
        values = level_values(chain.event.levels, torch.zeros((), dtype=torch.float64))
        return values[torch.randint(chain.event.levels, shape, generator=noise)]
    return torch.randn(shape, generator=noise, dtype=torch.float64)


def noise_at(chain: Chain, x: Tensor, seed: int = 1) -> Noise:
    """The randomness of a step, by a seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return chain.noise(x)


def steps_have_form(chain: Chain) -> None:
    """A run gives finite points of the shape and dtype of its start, without a graph; the start is left as it is."""
    for dtype in (torch.float32, torch.float64):
        x = points(chain, 4).to(dtype)
        before = x.clone()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            y = chain(normal, x.requires_grad_(not chain.discrete))
        require(y.shape == x.shape and y.dtype == dtype, f"a run gives {list(y.shape)} in {y.dtype}, expected "
                f"{list(x.shape)} in {dtype}")  # fmt: skip
        require(y.isfinite().all(), "a run on a standard normal gives points that are not finite")
        require(not y.requires_grad, "a run must be without gradients: they would go through all of its steps")
        require(torch.equal(before, x), "a run changes the points that it started from")


def rows_are_alone(chain: Chain) -> None:
    """A step of a row depends on its own point and its own noise alone."""
    x = points(chain, 8)
    noise = noise_at(chain, x)
    together = chain.step(curved, x, noise)
    alone = torch.cat([chain.step(curved, x[i : i + 1], tuple(each[i : i + 1] for each in noise)) for i in range(8)])
    require((together - alone).abs().max() < 1e-12, "a step of a row depends on the rest of its batch")


def settles_at_its_variance(chain: Chain) -> None:
    r"""For :math:`U = x^2 / 2` the variance settles at `Chain.stationary_variance`.

    A step that is affine in point and noise, :math:`x' = a x + b \epsilon`, gives it without sampling:
    :math:`b^2 / (1 - a^2)`. Any other must leave the second and the fourth moment of exact draws as they are.
    """
    wanted = chain.stationary_variance()
    if chain.discrete or wanted is None:
        return
    if isinstance(chain, Metropolis) or wanted == 1.0:
        _leaves_the_moments(chain)
        return
    x = points(chain, 4)
    noise = noise_at(chain, x)
    still = tuple(torch.zeros_like(each) for each in noise)
    a = chain.step(normal, torch.ones_like(x), still)
    b = chain.step(normal, torch.zeros_like(x), tuple(torch.ones_like(each) for each in noise))
    found = b.square() / (1.0 - a.square())
    off = float((found - wanted).abs().max())
    require(off < EXACT, f"on a standard normal the variance is {off:.2g} off stationary_variance(), {wanted:.6g}")


def _leaves_the_moments(chain: Chain) -> None:
    x = points(chain, max(N // chain.event.shape.size, 1))
    with torch.no_grad():
        y = chain.step(normal, x, noise_at(chain, x))
    require(not torch.equal(x, y), "a step moves no point")
    for power in (1, 2, 4):
        # Before and after are dependent: the difference has less variance than either.
        change = (y**power - x**power).flatten(1).mean(1)
        error = change.std() / math.sqrt(len(change))
        off = float(change.mean().abs())
        require(off <= SIGMAS * float(error), f"a step changes the mean of x^{power} of exact draws by {off:.2g}")


def balance_is_detailed(chain: Chain) -> None:
    """Of a chain with proposals: the map of point and momentum is its own inverse, preserves volume, and its ratio is
    that of the densities at both ends, pointwise.
    """
    if not isinstance(chain, Metropolis):
        return
    x = 0.5 * points(chain, 4)
    v = points(chain, 8)[4:]
    there = chain.propose(curved, x, v)
    back = chain.propose(curved, there.x, there.momentum)
    off = max(float((back.x - x).abs().max()), float((back.momentum - v).abs().max()))
    require(off < EXACT, f"a proposal is not reversible: there and back it is {off:.1e} off")
    before, after = (curved(at) + normal(p) for at, p in ((x, v), (there.x, there.momentum)))
    off = float((there.log_ratio - (before - after)).abs().max())
    require(off < EXACT, f"the acceptance ratio is {off:.1e} off that of the densities")
    off = float((there.log_ratio + back.log_ratio).abs().max())
    require(off < EXACT, f"the ratios there and back do not cancel: {off:.1e}")
    _preserves_volume(chain, x[:1], v[:1])


def _preserves_volume(chain: Metropolis, x: Tensor, v: Tensor) -> None:
    D = x.numel()

    def map_of(both: Tensor) -> Tensor:
        there = chain.propose(curved, both[:D].view_as(x), both[D:].view_as(v))
        return torch.cat([there.x.flatten(), there.momentum.flatten()])

    jacobian = torch.func.jacrev(map_of)(torch.cat([x.flatten(), v.flatten()]))
    volume = float(torch.linalg.slogdet(jacobian).logabsdet)
    require(abs(volume) < 1e-8, f"a proposal changes volume: log|det| is {volume:.1e}")


def accepts_by_the_ratio(chain: Chain) -> None:
    """Of a chain with proposals: a step is the proposal or the point itself, accepted as often as the ratio says."""
    if not isinstance(chain, Metropolis):
        return
    x = 2.0 * points(chain, 2000)
    noise = noise_at(chain, x)
    y = chain.step(curved, x, noise)
    there = chain.propose(curved, x, noise[0])
    moved = (y != x).flatten(1).any(1)
    require(torch.equal(y[moved], there.x[moved]), "an accepted point is not the proposed one")
    expected = there.log_ratio.exp().clamp(max=1.0)
    error = (expected * (1.0 - expected)).mean().sqrt() / math.sqrt(len(x))
    off = float((moved.to(expected.dtype) - expected).mean().abs())
    require(off <= SIGMAS * float(error) + 1e-12, f"the share of accepted points is {off:.2g} off that of the ratios")


def leaves_the_counted_distribution(chain: Chain) -> None:
    """Of a chain between levels: a step leaves the distribution over all data as it is, where that can be counted."""
    levels, D = chain.event.levels, chain.event.shape.size
    if not chain.discrete or levels is None or levels**D > 100:
        return
    values = level_values(levels, torch.zeros((), dtype=torch.float64))
    every = torch.stack([values[[*code]] for code in itertools.product(range(levels), repeat=D)])
    p = (-curved(every)).softmax(0)
    noise = torch.Generator().manual_seed(0)
    start = torch.multinomial(p, N, replacement=True, generator=noise)
    y = chain.step(curved, every[start].view(-1, *chain.event.shape), noise_at(chain, every[start])).flatten(1)
    ends = torch.cdist(y, every).argmin(1)
    require(torch.cdist(y, every).amin(1).max() < 1e-9, "a step leads to numbers that are not levels")
    require(not torch.equal(start, ends), "a step moves no point")
    change = torch.bincount(ends, minlength=len(p)) / N - p
    error = (p * (1.0 - p) / N).sqrt()
    worst = float((change.abs() / error).max())
    require(worst < SIGMAS, f"a step changes the distribution: a state is {worst:.1f} standard errors off")


def temperature_cools(chain: Chain) -> None:
    """A run at a temperature is one on the energy divided by it."""
    x = points(chain, 4)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        cold = chain(curved, x, 0.5)
        torch.manual_seed(0)
        same = chain(lambda at: 2.0 * curved(at), x)
    require((cold - same).abs().max() < 1e-9, "temperature 0.5 is not the energy divided by 0.5")


def compiles(chain: Chain) -> None:
    """A step is one graph without breaks, and gives the same points."""
    x = points(chain, 4)
    noise = noise_at(chain, x)
    torch._dynamo.reset()
    compiled = torch.compile(lambda x, noise: chain.step(curved, x, noise), fullgraph=True, backend="eager")
    with torch.no_grad():
        off = float((compiled(x, noise) - chain.step(curved, x, noise)).abs().max())
    require(off < 1e-9, f"compiled, a step is {off:.1e} off")


LAWS = Laws.of(
    steps_have_form,
    rows_are_alone,
    settles_at_its_variance,
    balance_is_detailed,
    accepts_by_the_ratio,
    leaves_the_counted_distribution,
    temperature_cools,
    compiles,
    given=[
        (Event("point", Shape(2)),),
        (Event("row", Shape(5)),),
        (Event("bits", Shape(4), levels=2),),
        (Event("image", Shape(1, 2, 2), levels=3),),
    ],
)
