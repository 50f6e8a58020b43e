"""Causal models in another order, and what an order that is none is told."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
import torch

import zoo

INNER = {"type": "autoregressive", "net": {"type": "nade", "hidden": 8}, "head": "categorical", "inputs": "unit"}
EVENT = zoo.Event("image", zoo.Shape(1, 2, 3), levels=2)


def reordered(order: Any, event: zoo.Event = EVENT, **more: Any) -> Any:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        node = {"type": "reordered", "order": order, "model": INNER, **more}
        built = zoo.declare(zoo.Model, node)(event).double()
        for parameter in built.parameters():
            torch.nn.init.normal_(parameter, std=0.5)
    return built


@pytest.mark.parametrize(
    ("order", "ranks"),
    [
        ("rows", [3, 4, 5, 0, 1, 2]),
        ("columns", [2, 1, 0, 5, 4, 3]),
        ("both", [5, 4, 3, 2, 1, 0]),
        ([4, 0, 1, 2, 5, 3], [1, 2, 3, 5, 0, 4]),
    ],
)
def test_the_order_is_the_one_that_was_asked_for(order: Any, ranks: list[int]) -> None:
    of = reordered(order)
    assert of.ranks().tolist() == ranks
    first = ranks.index(0)
    x = torch.tensor(list(product([0, 1], repeat=6))).reshape(-1, *EVENT.shape)
    p = of.conditionals(x).exp().flatten(1, -2)[:, :, 1]
    assert p[:, first].unique().shape[0] == 1
    # The last one hears of everything.
    assert p[:, ranks.index(5)].unique().shape[0] == 32
    assert float(of.log_prob(x).detach().exp().sum()) == pytest.approx(1.0, abs=1e-12)


def test_shuffling_is_a_function_of_the_seed() -> None:
    ranks = [reordered("shuffled", seed=seed).ranks() for seed in (1, 1, 2)]
    assert torch.equal(ranks[0], ranks[1])
    assert not torch.equal(ranks[0], ranks[2])
    assert sorted(ranks[0].tolist()) == list(range(6))


def test_the_lower_half_is_seen_where_rows_are_turned_around() -> None:
    known = torch.zeros(1, 1, 2, 3, dtype=torch.bool)
    known[:, :, 1:] = True
    plain = zoo.declare(zoo.Model, INNER)(EVENT)
    assert plain.unseen(known).tolist() == [1.0]
    assert reordered("rows").unseen(known).tolist() == [0.0]
    assert plain.unseen(~known).tolist() == [0.0]
    between = torch.tensor([[[[1, 0, 0], [0, 1, 0]]]], dtype=torch.bool)
    assert plain.unseen(between).tolist() == [3 / 8]  # of two known and four drawn, three pairs in the wrong order


@pytest.mark.parametrize(
    ("order", "more", "message"),
    [
        ([0, 1, 2, 3, 4, 4], {}, "'order' is not a permutation: expected each of 0 to 5 once"),
        ([0, 1, 2], {}, "'order' is not a permutation: expected each of 0 to 5 once"),
        ("rows", {"seed": 1}, "'seed' requires 'order: shuffled'"),
        ("rows", {"event": zoo.Event("row", zoo.Shape(6), levels=2)}, "applies to images, got data of shape 6"),
    ],
)
def test_what_is_no_order_is_refused(order: Any, more: dict[str, Any], message: str) -> None:
    with pytest.raises(zoo.SpecError, match=message):
        reordered(order, **more)


def test_a_model_without_an_order_is_refused() -> None:
    vae = {"type": "vae", "latent": 2, "encoder": "mlp", "decoder": "mlp", "likelihood": "bernoulli"}
    with pytest.raises(zoo.SpecError, match="needs an autoregressive model, got 'vae'"):
        zoo.declare(zoo.Model, {"type": "reordered", "order": "rows", "model": vae})(EVENT)
