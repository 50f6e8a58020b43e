"""Masked diffusion: its bound by enumeration of masks and orders, its draws and completions by their distribution."""

from __future__ import annotations

import itertools
import math
from importlib import import_module
from typing import Any

import pytest
import torch
from torch import Tensor

import zoo

Denoiser: Any = import_module("zoo.plugins.diffusion.nets.base").Denoiser
D = 3
BITS = zoo.Event("bits", zoo.Shape(D), levels=2)
ALL = torch.cartesian_prod(*[torch.arange(2)] * D)  # [8, 3]
TRUTH = torch.tensor([0.30, 0.02, 0.08, 0.15, 0.05, 0.20, 0.12, 0.08], dtype=torch.float64)
"""The probability of each row of `ALL`."""
NET = {"type": "time_mlp", "width": 8, "depth": 1}


class Optimal(Denoiser):  # type: ignore[misc]
    """The best network for data with the probabilities of `TRUTH`."""

    def __init__(self) -> None:
        super().__init__(zoo.Shape(3, 1, D), zoo.Shape(2, 1, D))

    def forward(self, x: Tensor, c: Tensor, context: Tensor | None = None) -> Tensor:
        tokens = x.squeeze(2).argmax(1)  # [B, D], 2 for the mask
        fits = ((tokens.unsqueeze(1) == ALL) | (tokens.unsqueeze(1) == 2)).all(2)  # [B, 8]
        weight = fits * TRUTH
        of_one = weight @ ALL.double() / weight.sum(1, keepdim=True)  # [B, D]
        return torch.stack((1.0 - of_one, of_one), 1).log().clamp(min=-50.0).unsqueeze(2)


def model_of(event: zoo.Event = BITS, **node: Any) -> Any:
    torch.manual_seed(0)
    model = zoo.declare(zoo.Model, {"type": "masked_diffusion", "net": NET, **node})(event).double().eval()
    for p in model.parameters():
        torch.nn.init.normal_(p, std=0.7)
    return model


def optimal(**node: Any) -> Any:
    model = model_of(**node)
    model.net = Optimal()
    return model


def by_masks(model: Any) -> Tensor:
    """The bound of all data as a sum over every set of masked places."""
    total = torch.zeros(len(ALL), dtype=torch.float64)
    for k in range(1, D + 1):
        sets = list(itertools.combinations(range(D), k))
        for places in map(list, sets):
            hidden = ALL.index_fill(1, torch.tensor(places), 2)
            log_p = model.log_probs(hidden).gather(2, ALL.unsqueeze(2)).squeeze(2)
            total += log_p[:, places].sum(1) / (k * len(sets))
    return total


def by_orders(model: Any) -> Tensor:
    """The mean over all orders of an autoregressive log-likelihood."""
    orders = list(itertools.permutations(range(D)))
    total = torch.zeros(len(ALL), dtype=torch.float64)
    for order in orders:
        x = torch.full_like(ALL, 2)
        for place in order:
            total += model.log_probs(x)[torch.arange(len(ALL)), place, ALL[:, place]]
            x[:, place] = ALL[:, place]
    return total / len(orders)


def by_time(model: Any, points: int = 400) -> Tensor:
    """The published integral, with each number masked at time t with probability t, by the midpoint rule."""
    total = torch.zeros(len(ALL), dtype=torch.float64)
    for t in (torch.arange(points, dtype=torch.float64) + 0.5) / points:
        for hidden in itertools.product((False, True), repeat=D):
            mask, k = torch.tensor(hidden), sum(hidden)
            log_p = model.log_probs(ALL.masked_fill(mask, 2)).gather(2, ALL.unsqueeze(2)).squeeze(2)
            total += t ** (k - 1) * (1.0 - t) ** (D - k) * (log_p * mask).sum(1) / points
    return total


def counted(x: Tensor) -> Tensor:
    """The share of each row of `ALL` among draws."""
    return torch.stack([(x == row).all(1).double().mean() for row in ALL])


@torch.no_grad()
def test_the_bound_is_the_published_integral_and_the_mean_over_orders() -> None:
    model = model_of()
    bound = by_masks(model)
    assert torch.allclose(bound, by_orders(model), atol=1e-10)
    assert torch.allclose(bound, by_time(model), atol=1e-4)


@torch.no_grad()
def test_log_prob_has_the_bound_as_its_mean() -> None:
    model, n = model_of(), 6000
    torch.manual_seed(1)
    x = ALL.repeat_interleave(n, 0)
    estimate = model.log_prob(x).view(len(ALL), n)
    assert (estimate.mean(1) - by_masks(model)).abs().max() <= 5.0 * float(estimate.std() / math.sqrt(n))
    assert not model.exact and not model.unbiased


@torch.no_grad()
def test_the_bound_of_the_optimal_network_is_the_likelihood() -> None:
    assert torch.allclose(by_masks(optimal()), TRUTH.log(), atol=1e-9)


@torch.no_grad()
def test_numbers_of_masked_places_are_spread_evenly() -> None:
    masks = model_of(zoo.Event("bits", zoo.Shape(8), levels=2))._masks(32)
    assert masks.sum(1).bincount().tolist() == [0, *[4] * 8]


@torch.no_grad()
@pytest.mark.parametrize("node", [{"steps": None}, {"steps": 64}, {"steps": None, "schedule": "cosine"}])
def test_draws_one_by_one_follow_the_distribution(node: dict[str, Any]) -> None:
    torch.manual_seed(0)
    assert (counted(optimal(**node).sample(20000)) - TRUTH).abs().max() <= 0.012


@torch.no_grad()
@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_a_temperature_sharpens_each_prediction(temperature: float) -> None:
    model = model_of(zoo.Event("number", zoo.Shape(1), levels=5))
    p = model.log_probs(torch.tensor([[5]]))[0, 0].div(temperature).softmax(0)
    torch.manual_seed(0)
    share = model.sample(20000, temperature=temperature).flatten().bincount(minlength=5) / 20000
    assert (share - p).abs().max() <= 0.015


@torch.no_grad()
def test_numbers_that_are_drawn_together_are_independent() -> None:
    torch.manual_seed(0)
    marginal = TRUTH @ ALL.double()
    product = torch.where(ALL.bool(), marginal, 1.0 - marginal).prod(1)
    model = optimal(steps=1)
    assert (counted(model.sample(20000)) - product).abs().max() <= 0.012
    one_by_one = zoo.declare(zoo.Sampler, "unmasking")(model)
    assert (counted(one_by_one.sample(20000)) - TRUTH).abs().max() <= 0.012


@torch.no_grad()
def test_completions_are_drawn_from_the_conditional() -> None:
    torch.manual_seed(0)
    n, model = 20000, optimal(steps=None)
    x = torch.tensor([1, 0, 1], dtype=torch.uint8).expand(n, D)
    for known in ((True, False, False), (False, True, True), (True, True, True)):
        mask = torch.tensor(known).expand(n, D)
        drawn = model.complete(zoo.Known(x, mask))
        assert torch.equal(drawn[mask], x[mask])
        fits = (ALL[:, list(known)] == x[0][list(known)]).all(1)
        assert (counted(drawn) - fits * TRUTH / TRUTH[fits].sum()).abs().max() <= 0.015


@torch.no_grad()
def test_unmasked_places_stay_and_each_row_is_drawn_alone() -> None:
    event = zoo.Event("image", zoo.Shape(1, 4, 4), levels=5)
    net = {"type": "unet", "width": 8, "multiply": [1, 2], "blocks": 1, "attention": [], "groups": 4}
    model = model_of(event, net=net, steps=5)
    step, seen = model.log_probs, list[Tensor]()

    def noted(x: Tensor, c: Tensor | None = None) -> Tensor:
        seen.append(x)
        log_p: Tensor = step(x, c)
        return log_p

    model.log_probs = noted
    z = model.draw_latent(6)
    x = model.decode(z)
    for before, after in itertools.pairwise([*seen, x.flatten(1).long()]):
        assert torch.equal(before[before < 5], after[before < 5])
        assert (after == 5).sum() < (before == 5).sum()
    assert len(seen) == 5 and (x < 5).all()
    assert torch.equal(model.decode(z[2:3]), x[2:3])


@torch.no_grad()
def test_the_way_of_a_draw_begins_with_masks_and_ends_with_the_draw() -> None:
    model = model_of(zoo.Event("image", zoo.Shape(1, 4, 4), levels=5), steps=8)
    torch.manual_seed(1)
    states = model.trace(3, 5)
    torch.manual_seed(1)
    assert states.shape == (5, 3, 1, 4, 4)
    assert torch.equal(states[-1], model.sample(3) / 4.0)
    assert (states[0] == 0.5).all()
    # Each two of the eight evaluations draw four of the sixteen numbers.
    changed = (states.diff(dim=0) != 0).flatten(1).sum(1)
    assert (changed <= 3 * 4).all() and changed.sum() > 0


@torch.no_grad()
def test_texts_are_images_of_one_row_and_labels_are_taken() -> None:
    event = zoo.Event("text", zoo.Shape(6), levels=4, classes=3)
    net = {"type": "dit", "width": 16, "depth": 1, "heads": 2, "patch": 1, "context": 3}
    model = model_of(event, net=net, context="one_hot", steps=None)
    z = model.draw_latent(40, torch.zeros(40))
    drawn = [model.decode(z, torch.full((40,), label)) for label in range(3)]
    assert drawn[0].shape == (40, 6) and not torch.equal(drawn[0], drawn[1])


@pytest.mark.parametrize(
    ("event", "node", "message"),
    [
        (zoo.Event("point", zoo.Shape(2)), {}, "needs levels, but 'point' is continuous"),
        (zoo.Event("clip", zoo.Shape(2, 1, 4, 4), levels=2), {}, "needs data with up to three axes"),
        (BITS, {"net": {**NET, "context": 3}}, "declare the model's 'context'"),
    ],
)
def test_what_does_not_fit_is_refused(event: zoo.Event, node: dict[str, Any], message: str) -> None:
    with pytest.raises(zoo.SpecError, match=message):
        model_of(event, **node)


def test_the_sampler_needs_a_masked_model() -> None:
    other = zoo.declare(zoo.Model, {"type": "diffusion", "net": NET})(zoo.Event("point", zoo.Shape(2)))
    with pytest.raises(zoo.SpecError, match="needs a masked_diffusion model"):
        zoo.declare(zoo.Sampler, "unmasking")(other)
