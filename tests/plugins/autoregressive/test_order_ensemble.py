"""Several orders in one model: a mixture of them, whose draws and completions are what it scores."""

from __future__ import annotations

import math
from importlib import import_module
from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor

import zoo
from zoo import Known
from zoo.testing.perturb import perturb

order_ensemble: Any = import_module("zoo.plugins.autoregressive.models.order_ensemble")


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


def follow(model: Any, drawn: Tensor, given: Tensor, mask: Tensor) -> float:
    """How likely completions are to be as far from the ensemble's conditional, by enumeration: that of chi-square."""
    x, D = every(given.shape[0]), given.shape[0]
    alike = (x[:, mask] == given[mask]).all(1)
    p = torch.where(alike, model.log_prob(x.view(-1, *model.event.shape)).exp(), 0.0)
    expected = len(drawn) * p / p.sum()
    count = (drawn.flatten(1).long() @ 2 ** torch.arange(D - 1, -1, -1)).bincount(minlength=2**D)
    assert count[~alike].sum() == 0
    if alike.sum() == 1:
        return 1.0
    chi_square = ((count - expected).square() / expected)[alike].sum()
    return float(torch.special.gammaincc((alike.sum() - 1).double() / 2, chi_square.double() / 2))


PATTERNS = [(0,), (5,), (0, 5), (1, 2), (0, 1, 2), (3, 4, 5), (0, 1, 2, 3, 4), (0, 1, 2, 3, 4, 5), ()]


@torch.no_grad()
@pytest.mark.parametrize("places", PATTERNS, ids=str)
def test_completions_follow_the_ensembles_own_conditional(places: tuple[int, ...]) -> None:
    """On 2x3 bits, whatever is known, whichever orders see it."""
    model, n = ensemble(zoo.Shape(1, 2, 3)), 20000
    perturb(model, seed=3, scale=1.0)
    given, mask = torch.tensor([1, 0, 1, 1, 0, 1]), torch.zeros(6, dtype=torch.bool)
    mask[list(places)] = True
    torch.manual_seed(2)
    known = Known(given.byte().view(1, 1, 2, 3).expand(n, -1, -1, -1), mask.view(1, 1, 2, 3).expand(n, -1, -1, -1))
    drawn = model.complete(known)
    assert drawn.dtype == torch.uint8
    assert torch.equal(drawn.view(n, 6)[:, mask].long(), given[mask].expand(n, -1))
    assert follow(model, drawn, given, mask) > 0.001
    assert float(model.unseen(known.mask[:1])) == 0.0


@torch.no_grad()
def test_where_all_orders_see_what_is_known_their_weights_are_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(order_ensemble, "COUNTED", 0)
    model, n = ensemble(zoo.Shape(1, 2, 3)), 20000
    perturb(model, seed=3, scale=2.0)
    model.ranks.copy_(torch.tensor([[0, 1, 2, 3, 4, 5], [2, 1, 0, 5, 4, 3], [1, 0, 2, 4, 3, 5]]))
    mask, x = torch.tensor([True] * 3 + [False] * 3), every(6)
    found = torch.stack(
        [model.log_prob_in(x.view(-1, 1, 2, 3), ranks).view(8, 8).logsumexp(1) for ranks in model.ranks]
    )
    given = x[8 * int((found.amax(0) - found.amin(0)).argmax())]  # where the orders agree least on what is known
    torch.manual_seed(2)
    drawn = model.complete(
        Known(given.view(1, 1, 2, 3).expand(n, -1, -1, -1), mask.view(1, 1, 2, 3).expand(n, -1, -1, -1))
    )
    assert follow(model, drawn, given, mask) > 0.001


@torch.no_grad()
def test_where_orders_see_it_late_many_candidates_come_close(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nearer to the conditional than the order that sees most of it alone."""
    monkeypatch.setattr(order_ensemble, "COUNTED", 0)
    model, n = ensemble(zoo.Shape(1, 2, 3), orders=24), 20000
    perturb(model, seed=3, scale=1.0)
    given, mask = torch.tensor([1, 0, 1, 1, 0, 1]), torch.tensor([True, False] * 3)
    x = every(6)
    alike = (x[:, mask] == given[mask]).all(1)

    def distance(p: Tensor) -> float:
        exact = model.log_prob(x[alike].view(-1, 1, 2, 3)).softmax(0)
        return float((p / p.sum() - exact).abs().sum()) / 2

    torch.manual_seed(2)
    drawn = model.complete(
        Known(given.view(1, 1, 2, 3).expand(n, -1, -1, -1), mask.view(1, 1, 2, 3).expand(n, -1, -1, -1))
    )
    count = (drawn.flatten(1).long() @ 2 ** torch.arange(5, -1, -1)).bincount(minlength=64)[alike]
    unseen = torch.stack([zoo.unseen_share(mask.view(1, -1), ranks) for ranks in model.ranks])
    alone = model.log_prob_in(x[alike].view(-1, 1, 2, 3), model.ranks[int(unseen.argmin())]).exp()
    assert distance(count.double()) < 0.05
    assert distance(count.double()) < distance(alone)


@torch.no_grad()
def test_an_ensemble_tells_what_its_best_order_does_not_see() -> None:
    model = ensemble(zoo.Shape(9))
    mask = torch.tensor([[True, False] * 4 + [False], [True] + [False] * 8]) & (torch.arange(9) < 3)
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
        ({"net": {"type": "nade", "hidden": 4}}, "needs a net for any order, such as 'made', but 'nade' has one order"),
        ({"net": {"type": "made", "width": 4, "context": 3}}, "takes a context of 3 numbers"),
        ({"classes": 2, "context": {"type": "embedding", "size": 3}}, "no part takes its context"),
        ({"context": {"type": "embedding", "size": 3}}, "has no labels"),
        ({"orders": 0}, "orders"),
    ],
)
def test_an_ensemble_refuses(values: dict[str, Any], message: str) -> None:
    with pytest.raises(zoo.SpecError, match=message):
        ensemble(zoo.Shape(5), **values)
