"""Passes of a draw: what is counted of each family, and that a model is left as it was."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import zoo
from zoo.data.batches import held_out

BITS = zoo.Event("image", zoo.Shape(1, 4, 4), levels=2, classes=3)


def passes(model: zoo.Model, batches: list[zoo.Batch] | None = None, **values: int) -> Mapping[str, zoo.Measurement]:
    metric: Any = zoo.declare(zoo.Metric, {"type": "passes_per_draw", **values})()
    found: Mapping[str, zoo.Measurement] = metric.measure(model, batches or [])
    return found


class Steps(zoo.Model, zoo.Samples):
    """Calls one layer three times, and another one once."""

    def __init__(self) -> None:
        super().__init__(BITS)
        self.often, self.once = nn.Linear(2, 2), nn.Linear(2, 2)

    def forward(self, batch: zoo.Batch, clock: zoo.Clock) -> zoo.Terms:
        return zoo.Terms(torch.zeros(()), {})

    def sample(self, n: int, context: zoo.Condition | None = None, temperature: float = 1.0) -> Tensor:
        z = torch.zeros(n, 2)
        for _ in range(3):
            z = self.often(z)
        self.once(z)
        return torch.zeros(n, 1, 4, 4, dtype=torch.uint8)


def test_the_layer_that_is_called_most_often_is_counted() -> None:
    found = passes(Steps(), draws=5)["passes_per_draw"]
    assert (found.value, found.n) == (3, 5)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("vae", 1), ("realnvp", 1), ("made", 64), ("pixelcnnpp", 64), ("gated-pixelcnn", 64), ("maf", 2)],
)
def test_passes_of_the_families(name: str, expected: int) -> None:
    """Numbers of 8x8 images, of points of two numbers."""
    spec = zoo.load_spec(name, small=True)
    model, source = zoo.build(spec).eval(), held_out(spec.data(), torch.device("cpu"))
    found = passes(model, list(source.in_order(100))[:1], draws=3)["passes_per_draw"]
    assert (found.value, found.n) == (expected, 3)


def test_an_iteration_counts_as_it_goes() -> None:
    """Without a cache the passes of all numbers, until nothing changes, are fewer than the numbers."""
    node = {"type": "order_ensemble", "orders": 2, "net": {"type": "made", "width": 8}, "head": "bernoulli"}
    torch.manual_seed(0)
    model = zoo.declare(zoo.Model, node)(BITS).eval()
    assert 1 <= passes(model, draws=3)["passes_per_draw"].value <= 17


def test_a_model_is_left_as_it_was() -> None:
    model = zoo.build(zoo.load_spec("made", small=True)).eval()
    before = [dict(vars(part)) for part in model.modules()]
    state = torch.get_rng_state()
    assert passes(model, draws=2) == passes(model, draws=2)
    assert [list(vars(part)) for part in model.modules()] == [list(each) for each in before]
    assert not any(part._forward_pre_hooks for part in model.modules())
    assert torch.equal(torch.get_rng_state(), state)


def test_draws_are_under_the_conditions_of_the_first_examples() -> None:
    spec = zoo.load_spec("gated-pixelcnn", small=True)
    source = held_out(spec.data(), torch.device("cpu"))
    found = passes(zoo.build(spec).eval(), list(source.in_order(4))[:2], draws=7)
    assert found["passes_per_draw"].n == 7
    with pytest.raises(zoo.DataError, match="no examples"):
        passes(zoo.build(spec))


def test_a_model_that_does_not_sample_is_refused() -> None:
    metric = zoo.declare(zoo.Metric, "passes_per_draw")()
    with pytest.raises(ValueError, match="does not sample"):
        metric.check(zoo.build(zoo.load_spec("digits-classifier", small=True)))
