"""Heads by what they draw, and mixtures of logistics against their definition."""

from __future__ import annotations

import math
from itertools import pairwise, product
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor
from torch.quasirandom import SobolEngine

import zoo
from zoo.interfaces.component import kind_of
from zoo.registry.part import example_of
from zoo.registry.registry import installed

if TYPE_CHECKING:
    from plugins.autoregressive.heads.base import Head
    from plugins.autoregressive.laws.head import LAWS as HEAD_LAWS
    from plugins.autoregressive.laws.head import LEVELS, SHAPES, answers
else:
    from zoo.plugins.autoregressive.heads.base import Head
    from zoo.plugins.autoregressive.laws.head import LAWS as HEAD_LAWS
    from zoo.plugins.autoregressive.laws.head import LEVELS, SHAPES, answers

NODES: dict[str, Any] = {
    name: {"type": name, **example_of(cls)}
    for (_, name), cls in installed().components().items()
    if kind_of(cls) is Head
} | {"one_logistic": {"type": "discretized_logistic_mixture", "components": 1}}


def built(node: Any, shape: zoo.Shape, levels: int | None) -> Head:
    head: Head = zoo.declare(Head, node)(zoo.Event("data", shape, levels=levels))
    return head


def taken() -> list[tuple[str, zoo.Shape, int]]:
    """What each head takes: all, but for the levels of one that has two."""
    every = product(NODES, SHAPES, LEVELS)
    return [(name, shape, levels) for name, shape, levels in every if name != "bernoulli" or levels == 2]


def of_one_site(name: str, levels: int, n: int, sigma: float) -> tuple[Head, Tensor, Tensor, Tensor]:
    """A head of one pixel of three channels: ``h [n, count]``, all that a site can be, and its probabilities."""
    head = built(NODES[name], zoo.Shape(3, 1, 1), levels)
    h = sigma * torch.randn(n, head.count, 1, 1, 1, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    h = h.expand(n, *head.parameters_shape)
    outcomes = torch.tensor(list(product(range(levels), repeat=head.together)))
    x = outcomes.expand(n, -1, -1).flatten(0, 1)
    x = torch.nn.functional.pad(x, (0, 3 - head.together)).reshape(-1, 3, 1, 1)
    log_p = head.log_prob(x, h.repeat_interleave(outcomes.shape[0], 0))[:, : head.together]
    return head, h[:, :, 0, 0, 0], outcomes, log_p.sum((1, 2, 3)).exp().reshape(n, -1)


# As their examples are, tests/laws holds them.
@pytest.mark.parametrize(("shape", "levels"), list(product(SHAPES, LEVELS)), ids=str)
@pytest.mark.parametrize("law", HEAD_LAWS.by_name)
def test_law_of_one_component(law: str, shape: zoo.Shape, levels: int) -> None:
    HEAD_LAWS.by_name[law](built(NODES["one_logistic"], shape, levels))


@pytest.mark.parametrize("name", NODES)
def test_it_compiles_as_one_graph(name: str) -> None:
    head = built(NODES[name], SHAPES[-1], 2)
    x, h = answers(head, 1.0, torch.float32)
    of_data: Any = torch.compile(head.log_prob, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(of_data(x, h), head.log_prob(x, h))
    assert head.to("meta").log_prob(x.to("meta"), h.to("meta")).shape == x.shape


@pytest.mark.parametrize(("name", "levels"), sorted({(name, min(levels, 3)) for name, _, levels in taken()}))
def test_draws_follow_the_probabilities(name: str, levels: int) -> None:
    """Of a pixel as a whole; by points that are spread evenly over all uniforms."""
    head, h, outcomes, p = of_one_site(name, levels, n=3, sigma=1.0)
    size = 2**14
    u = SobolEngine(head.uniforms).draw(size, dtype=torch.float64)  # type: ignore[no-untyped-call]
    for row, wanted in zip(h, p, strict=True):
        x = head.draw(row.expand(size, -1), u)
        share = (x.unsqueeze(1) == outcomes).all(2).double().mean(0)
        # One uniform alone is a grid: each level has its share but for a point at either end.
        error = 2.0 / size if head.uniforms == 1 else 4e-3
        assert float((share - wanted).abs().max()) < error


@pytest.mark.parametrize(("name", "levels"), sorted({(name, min(levels, 5)) for name, _, levels in taken()}))
def test_cold_draws_are_the_mode(name: str, levels: int) -> None:
    """Where it has so much of the probability that no mean lies elsewhere."""
    head, h, outcomes, p = of_one_site(name, levels, n=400, sigma=3.0)
    most, mode = p.max(1)
    clear = most > 0.75
    assert int(clear.sum()) > 20
    u = torch.rand(400, head.uniforms, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert torch.equal(head.draw(h, u, temperature=1e-6)[clear], outcomes[mode][clear])


@pytest.mark.parametrize("name", NODES)
def test_colder_draws_are_nearer_to_the_mode(name: str) -> None:
    head, h, outcomes, p = of_one_site(name, 2, n=100, sigma=2.0)
    h, mode = h[p.amax(1) > 0.75], outcomes[p.argmax(1)][p.amax(1) > 0.75]
    u = SobolEngine(head.uniforms).draw(1024, dtype=torch.float64)  # type: ignore[no-untyped-call]
    shares = []
    for temperature in (2.0, 1.0, 0.5, 0.1):
        x = head.draw(h.repeat_interleave(1024, 0), u.repeat(h.shape[0], 1), temperature)
        shares.append(float((x == mode.repeat_interleave(1024, 0)).all(1).double().mean()))
    assert shares == sorted(shares)
    assert shares[1] < shares[2] - 0.01


@pytest.mark.parametrize("name", NODES)
def test_levels_are_needed(name: str) -> None:
    with pytest.raises(zoo.SpecError, match="needs levels, but 'data' is continuous"):
        built(NODES[name], zoo.Shape(3), None)
    with pytest.raises(zoo.SpecError, match="needs two levels or more, but 'data' has 1"):
        built(NODES[name], zoo.Shape(3), 1)


def test_two_levels_are_not_three() -> None:
    with pytest.raises(zoo.SpecError, match="takes up to 2 levels, but 'data' has 3"):
        built("bernoulli", zoo.Shape(3), 3)


# -- logistics ---------------------------------------------------------------------------------------------------------


def log_difference(x: Tensor, mean: Tensor, log_scale: Tensor, levels: int) -> Tensor:
    r""":math:`\log(\sigma(a) - \sigma(b))` in logarithms, of the tail that both lie in; levels lie in [-1, 1]."""
    half, at = 1.0 / (levels - 1), 2.0 * x / (levels - 1) - 1.0
    a = ((at + half - mean) / log_scale.exp()).masked_fill(x == levels - 1, math.inf)
    b = ((at - half - mean) / log_scale.exp()).masked_fill(x == 0, -math.inf)
    low, high = torch.where(a + b > 0, -a, b), torch.where(a + b > 0, -b, a)
    low, high = torch.nn.functional.logsigmoid(low), torch.nn.functional.logsigmoid(high)
    return high + (-torch.expm1(low - high)).log()


def common_formula(x: Tensor, mean: Tensor, log_scale: Tensor, levels: int) -> Tensor:
    """What implementations of PixelCNN++ compute: where the difference is small, the density at a level's middle."""
    half, at = 1.0 / (levels - 1), 2.0 * x / (levels - 1) - 1.0
    plus, minus = (at + half - mean) / log_scale.exp(), (at - half - mean) / log_scale.exp()
    middle = (at - mean) / log_scale.exp()
    difference = plus.sigmoid() - minus.sigmoid()
    density = middle - log_scale - 2.0 * torch.nn.functional.softplus(middle) - math.log((levels - 1) / 2)
    inner = torch.where(difference > 1e-5, difference.clamp(min=1e-12).log(), density)
    edges = torch.where(x == 0, torch.nn.functional.logsigmoid(plus), -torch.nn.functional.softplus(minus))
    return torch.where((x == 0) | (x == levels - 1), edges, inner)


def soft_clipped(log_scale: Tensor) -> Tensor:
    return torch.nn.functional.softplus(log_scale + 7.0) - 7.0


def grid() -> tuple[Tensor, Tensor]:
    """All levels of 256 under many means and scales: ``x [N, 1]``, ``h [N, 2, 1]``."""
    means, log_scales = torch.linspace(-1.1, 1.1, 41), torch.linspace(-12.0, 4.0, 33)
    x, mean, log_scale = torch.cartesian_prod(torch.arange(256.0), means, log_scales).unbind(1)
    return x.long().unsqueeze(1), torch.stack((mean, log_scale), dim=1).unsqueeze(2)


def test_single_precision_is_enough_for_a_logistic() -> None:
    """Where the common formula is off by whole nats."""
    head = built("discretized_logistic", zoo.Shape(1), 256)
    x, h = grid()
    mean, log_scale = h.double().unbind(1)
    wanted = log_difference(x, mean, soft_clipped(log_scale), 256)
    ours = (head.log_prob(x, h) - wanted).abs()
    common = (common_formula(x, h[:, 0], soft_clipped(h[:, 1]), 256) - wanted).abs()
    assert float(ours.max()) < 0.004
    assert 2.1 < float(common.max()) < 2.2


def test_gradients_of_a_logistic_are_those_of_the_definition() -> None:
    head = built("discretized_logistic", zoo.Shape(1), 256)
    x, h = grid()
    exact = h.double().requires_grad_()
    log_p = log_difference(x, exact[:, 0], soft_clipped(exact[:, 1]), 256)
    (wanted,) = torch.autograd.grad(log_p.sum(), exact)
    sound = wanted.isfinite()  # the reference loses its own gradient where a tail is no number
    (slope,) = torch.autograd.grad(head.log_prob(x, h.requires_grad_()).sum(), h)
    assert float(sound.double().mean()) > 0.98
    assert bool((slope[:, 0][wanted[:, 0].abs() > 1e-6] != 0).all())
    worst = ((slope - wanted).abs() / (1.0 + wanted.abs()))[sound].max()
    assert float(worst) < 1e-3


# -- mixtures ----------------------------------------------------------------------------------------------------------


def chance(x: int, mean: float, log_scale: float, levels: int) -> float:
    """A level's probability by the distribution function, in plain numbers."""

    def below(at: float) -> float:
        z = (at - mean) / math.exp(log_scale)
        return 1.0 / (1.0 + math.exp(-z)) if z > 0 else math.exp(z) / (1.0 + math.exp(z))

    at, half = 2.0 * x / (levels - 1) - 1.0, 1.0 / (levels - 1)
    upper = 1.0 if x == levels - 1 else below(at + half)
    return upper - (0.0 if x == 0 else below(at - half))


def joint(x: list[int], h: list[float], K: int, levels: int) -> float:
    """The probability of the first channels of a pixel, as the paper writes it."""
    C, of_one = 3, len(h) // K
    logits = [h[k * of_one] for k in range(K)]
    total = 0.0
    for k in range(K):
        means, log_scales = h[k * of_one + 1 :][:C], h[k * of_one + 1 + C :][:C]
        alpha, beta, gamma = (math.tanh(a) for a in h[k * of_one + 1 + 2 * C :][:3])
        start = (2 * k + 1) / K - 1
        r, g, _ = (2.0 * v / (levels - 1) - 1.0 for v in [*x, 0, 0, 0][:3])
        moved = (means[0], means[1] + alpha * r, means[2] + beta * r + gamma * g)
        p = math.exp(logits[k]) / sum(map(math.exp, logits))
        for c, value in enumerate(x):
            floor = math.log1p(math.exp(log_scales[c] + 7.0)) - 7.0
            p *= chance(value, moved[c] + start, floor, levels)
        total += p
    return total


@pytest.mark.parametrize("levels", [2, 17, 256])
def test_a_coupled_mixture_is_that_of_the_definition(levels: int) -> None:
    K, shape = 4, zoo.Shape(3, 2, 2)
    head = built({"type": "discretized_logistic_mixture", "components": K}, shape, levels)
    assert (head.count, head.together, head.uniforms) == (40, 3, 6)
    x, h = answers(head, 1.0, torch.float64, n=4)
    ours = head.log_prob(x, h).exp()
    for b, i, j in product(range(4), range(2), range(2)):
        pixel, parameters = x[b, :, i, j].tolist(), h[b, :, 0, i, j].tolist()
        joints = [joint(pixel[:c], parameters, K, levels) for c in range(4)]
        wanted = [after / before for before, after in pairwise(joints)]
        assert ours[b, :, i, j].tolist() == pytest.approx(wanted, rel=1e-9)


def test_ten_components_of_colours_are_a_hundred_numbers() -> None:
    counts = [
        built("discretized_logistic_mixture", shape, 256).count
        for shape in (zoo.Shape(3, 8, 8), zoo.Shape(1, 8, 8), zoo.Shape(64))
    ]
    assert counts == [100, 30, 30]


def test_a_draw_takes_the_level_that_was_drawn_before() -> None:
    """Not the number before rounding, 2.4, which would make the second 1.3."""
    head = built({"type": "discretized_logistic_mixture", "components": 1}, zoo.Shape(2, 1, 1), 5)
    h = torch.tensor([[0.0, 0.2, -0.15, -20.0, -20.0, -20.0]])  # logit, means, log scales, coefficient
    assert head.draw(h, torch.full((1, 4), 0.5)).tolist() == [[2, 2]]


def test_components_part_from_a_start_at_zero() -> None:
    head = built({"type": "discretized_logistic_mixture", "components": 4}, zoo.Shape(3, 2, 2), 256)
    x = answers(head, 1.0, torch.float32)[0]
    h = torch.zeros(8, *head.parameters_shape, requires_grad=True)
    (slope,) = torch.autograd.grad(head.log_prob(x, h).sum(), h)
    of_each = torch.unflatten(slope.sum((0, 2, 3, 4)), 0, (4, -1))
    assert torch.unique(of_each, dim=0).shape[0] == 4
