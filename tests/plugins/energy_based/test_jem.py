"""Joint energy-based models, the networks of published recipes, and completions."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

import zoo
from zoo.spec import load_spec

EVENT = zoo.Event("image", zoo.Shape(1, 4, 4), levels=17, classes=3)
CD: dict[str, Any] = {
    "type": "contrastive_divergence",
    "chain": {"type": "langevin", "steps": 2},
    "start": {"type": "persistent", "size": 16},
}


def jem(**values: Any) -> Any:
    torch.manual_seed(0)
    net = {"type": "mlp", "width": 8, "activation": "silu"}
    return zoo.declare(zoo.Model, {"type": "jem", "net": net, "objective": CD, **values})(EVENT)


def batch() -> dict[str, Tensor]:
    return EVENT.example(6, "cpu")


def test_the_energy_is_that_of_the_logits() -> None:
    model, x = jem().eval(), batch()["image"]
    assert torch.allclose(model.energy(x), -model.predict(x).exp().sum(1).log(), atol=1e-5)


def test_the_loss_is_cross_entropy_and_the_objective() -> None:
    clock = zoo.Clock(torch.tensor(0), 10)
    for weight in (0.0, 0.5):
        torch.manual_seed(0)
        terms = jem(weight=weight).train()(batch(), clock)
        gap = terms.logs["gap"] if weight else 0.0
        assert torch.allclose(terms.loss, terms.logs["cross_entropy"].mean() + weight * gap)


def test_it_needs_labels() -> None:
    with pytest.raises(zoo.SpecError, match="has no labels"):
        zoo.declare(zoo.Model, {"type": "jem", "net": "mlp"})(zoo.Event("row", zoo.Shape(3)))


def test_the_published_network_has_as_many_parameters() -> None:
    with torch.device("meta"):
        model: Any = load_spec("jem-cifar10").model(zoo.Event("image", zoo.Shape(3, 32, 32), levels=256, classes=10))
    net = model.U.net
    assert sum(p.numel() for p in net.parameters()) == 36_471_338
    assert sum(p.numel() for p in net.head.parameters()) == 6_410


def test_depths_and_data_of_a_wide_resnet() -> None:
    with pytest.raises(zoo.SpecError, match="6n \\+ 4"):
        zoo.declare(zoo.Encoder, {"type": "wide_resnet", "depth": 12})(zoo.Shape(1, 8, 8), zoo.Shape(1))
    with pytest.raises(zoo.SpecError, match="needs images"):
        zoo.declare(zoo.Encoder, "wide_resnet")(zoo.Shape(8), zoo.Shape(1))


def test_the_error_of_completions_is_that_of_the_hidden_numbers() -> None:
    """Of training examples as well: a memory has none of theirs."""
    event = zoo.Event("image", zoo.Shape(1, 4, 4), levels=17)
    memory: Any = zoo.declare(zoo.Model, {"type": "hopfield", "patterns": 20})(event).eval()
    x, other = torch.randint(17, (2, 20, 1, 4, 4), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    memory.remember(x)
    metric = zoo.declare(zoo.Metric, "completion_error")()
    metric.check(memory)
    metric.fit(memory, [{"image": x}])
    found = metric.measure(memory, [{"image": other}])
    assert found["completion_error.stored"].value == 0.0
    mask = torch.zeros(1, 4, 4, dtype=torch.bool)
    mask[:, :2] = True
    drawn = memory.complete(zoo.Known(other, mask.expand_as(other)))
    wanted = ((drawn[:, :, 2:].double() - other[:, :, 2:].double()) / 16.0).square().mean()
    assert found["completion_error"].value == pytest.approx(float(wanted))
    with pytest.raises(ValueError, match="does not complete data"):
        metric.check(jem())
