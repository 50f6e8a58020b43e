"""Several orders in one model: a mixture of them, whose draws and completions are what it scores."""

from __future__ import annotations

import math
from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor

import zoo
from zoo.testing.liven import perturb


def ensemble(shape: zoo.Shape, classes: int | None = None, **values: Any) -> Any:
    torch.manual_seed(0)
    node = {"type": "order_ensemble", "net": {"type": "made", "width": 12}, "head": "bernoulli", "orders": 3, **values}
    event = zoo.Event("bits", shape, levels=2, classes=classes)
    model = zoo.declare(zoo.Model, node)(event).double().eval()
    perturb(model, seed=0)
    return model


def every(D: int) -> Tensor:
    return torch.tensor(list(product((0, 1), repeat=D)))


@torch.no_grad()
def test_an_ensemble_is_a_mixture_of_its_orders() -> None:
    model, x = ensemble(zoo.Shape(5)), every(5)
    assert float(model.log_prob(x).exp().sum()) == pytest.approx(1.0)
    p = [model.log_prob_in(x, ranks).exp() for ranks in model.ranks]
    assert all(float(of_one.sum()) == pytest.approx(1.0) for of_one in p)
    assert not torch.allclose(p[0], p[1])
    torch.testing.assert_close(model.log_prob(x).exp(), torch.stack(p).mean(0))


@torch.no_grad()
def test_an_ensemble_draws_what_it_scores() -> None:
    model, n = ensemble(zoo.Shape(1, 2, 2)), 20000
    x = model.sample(n)
    assert (x.dtype, tuple(x.shape)) == (torch.uint8, (n, 1, 2, 2))
    count = (x.flatten(1).long() @ torch.tensor([8, 4, 2, 1])).bincount(minlength=16)
    expected = n * model.log_prob(every(4).view(-1, 1, 2, 2)).exp()
    assert float(((count - expected).square() / expected).sum()) < 37.7  # a thousandth of chi-square(15)


@torch.no_grad()
@pytest.mark.parametrize("k", [0, 1, 2])
def test_an_ensemble_completes_in_the_order_that_sees_what_is_known(k: int) -> None:
    model, x, n = ensemble(zoo.Shape(5)), every(5), 20000
    mask = (model.ranks[k] < 3).expand(n, -1)
    ranks = next(ranks for ranks in model.ranks if float(zoo.unseen_share(mask[:1], ranks)) == 0.0)
    given = x[torch.randint(32, (1,))].expand(n, -1)
    assert float(model.unseen(mask[:1])) == 0.0
    drawn = model.complete(zoo.Known(given.byte(), mask))
    assert torch.equal(drawn[mask].long(), given[mask])
    alike = (x[:, mask[0]] == given[0, mask[0]]).all(1)
    p = torch.where(alike, model.log_prob_in(x, ranks).exp(), 0.0)
    expected = n * p / p.sum()
    count = (drawn.long() @ torch.tensor([16, 8, 4, 2, 1])).bincount(minlength=32)
    assert float(((count - expected).square() / expected)[alike].sum()) < 16.3  # a thousandth of chi-square(3)


@torch.no_grad()
def test_an_ensemble_tells_what_its_best_order_does_not_see() -> None:
    model = ensemble(zoo.Shape(5))
    mask = torch.tensor([[True, False, False, False, True], [True, True, False, True, False]])
    of_each = torch.stack([zoo.unseen_share(mask, ranks) for ranks in model.ranks])
    assert torch.equal(model.unseen(mask), of_each.amin(0))


@torch.no_grad()
def test_an_ensemble_of_labelled_data() -> None:
    node = {"net": {"type": "made", "width": 12, "context": 4}, "context": {"type": "embedding", "size": 4}}
    model, x = ensemble(zoo.Shape(4), classes=3, **node), every(4)
    p = torch.stack([model.log_prob(x, torch.full((16,), label)).exp() for label in range(3)])
    torch.testing.assert_close(p.sum(1), torch.ones(3, dtype=p.dtype))
    assert not torch.allclose(p[0], p[1])
    n = 20000
    drawn = model.sample(n, torch.full((n,), 2))
    count = (drawn.long() @ torch.tensor([8, 4, 2, 1])).bincount(minlength=16)
    assert float(((count - n * p[2]).square() / (n * p[2])).sum()) < 37.7  # a thousandth of chi-square(15)
    terms = model({"bits": x, "label": torch.full((16,), 1)}, zoo.Clock(torch.tensor(0), 1))
    assert math.isfinite(float(terms.loss))
    with pytest.raises(zoo.UsageError, match="context is missing"):
        model.sample(2)


def test_a_step_of_an_ensemble_takes_one_order() -> None:
    model, x = ensemble(zoo.Shape(5)), every(5)
    with torch.no_grad():
        of_each = [-float(model.log_prob_in(x, ranks).mean()) for ranks in model.ranks]
        mixture = -float(model.log_prob(x).mean())
    found = []
    for seed in range(12):
        torch.manual_seed(seed)
        found.append(float(model({"bits": x}, zoo.Clock(torch.tensor(0), 1)).loss.detach()))
    assert {round(loss, 9) for loss in found} == {round(loss, 9) for loss in of_each}
    assert sum(of_each) / 3 > mixture


def test_orders_are_a_function_of_their_seed() -> None:
    one, again, other = (ensemble(zoo.Shape(9), seed=seed).ranks for seed in (1, 1, 2))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)
    assert torch.equal(one.sort(1).values, torch.arange(9).expand(3, -1))
    assert torch.unique(one, dim=0).shape[0] == 3


def test_an_ensemble_compiles_as_one_graph() -> None:
    model = ensemble(zoo.Shape(5)).float()
    objective: Any = torch.compile(model, fullgraph=True, backend="aot_eager")
    objective({"bits": every(5)}, zoo.Clock(torch.tensor(0), 1)).loss.backward()
    assert math.isfinite(float(model.net.first.linear.weight.grad.sum()))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"net": {"type": "nade", "hidden": 4}}, "takes nets of any order, and 'nade' has one"),
        ({"net": {"type": "made", "width": 4, "context": 3}}, "takes a context of 3 numbers"),
        ({"classes": 2, "context": {"type": "embedding", "size": 3}}, "no part takes its context"),
        ({"context": {"type": "embedding", "size": 3}}, "comes without labels"),
        ({"orders": 0}, "orders"),
    ],
)
def test_an_ensemble_refuses(values: dict[str, Any], message: str) -> None:
    with pytest.raises(zoo.SpecError, match=message):
        ensemble(zoo.Shape(5), **values)
