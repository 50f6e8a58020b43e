"""Numbers drawn from a mixture of normals, whose density is known."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

import zoo

N = 20_000
MIXTURE = {"weights": [1.0, 3.0], "means": [-2.0, 1.0], "scales": [0.5, 1.0]}


def numbers(split: Any = "train", **values: Any) -> Tensor:
    data: zoo.Dataset = zoo.declare(zoo.Dataset, {"type": "mixture1d", "size": N, "test_size": N, **values})()
    x = data.split(split).read(torch.arange(N))[data.event.name]
    assert x.shape == (N, *data.event.shape)
    assert x.dtype == torch.float32
    return x[:, 0].double()


def density(weights: list[float], means: list[float], scales: list[float]) -> torch.distributions.MixtureSameFamily:
    return torch.distributions.MixtureSameFamily(
        torch.distributions.Categorical(torch.tensor(weights).double()),
        torch.distributions.Normal(torch.tensor(means).double(), torch.tensor(scales).double()),
    )


def test_draws_follow_the_mixture() -> None:
    """By the test of Kolmogorov and Smirnov; weights need not sum to one."""
    x = numbers(**MIXTURE).sort().values
    cdf: Tensor = density(**MIXTURE).cdf(x)  # type: ignore[no-untyped-call]
    gap = (cdf - torch.arange(1, N + 1) / N).abs().max()
    assert gap < 2.0 / math.sqrt(N)


def test_the_entropy_that_the_documentation_names() -> None:
    p = density([0.3, 0.45, 0.25], [-2.0, 0.0, 2.5], [0.3, 0.6, 0.2])
    axis = torch.linspace(-10.0, 10.0, 200_001, dtype=torch.float64)
    log_p = p.log_prob(axis)  # type: ignore[no-untyped-call]
    entropy = -torch.trapezoid(log_p.exp() * log_p, axis).item()
    assert entropy == pytest.approx(1.4618, abs=5e-5)
    nats = -p.log_prob(numbers())  # type: ignore[no-untyped-call]
    assert nats.mean().item() == pytest.approx(entropy, abs=5.0 * nats.std().item() / math.sqrt(N))


def test_draws_are_a_function_of_the_parameters() -> None:
    assert torch.equal(numbers(), numbers())
    assert not torch.equal(numbers(), numbers("test"))
    assert not torch.equal(numbers(), numbers(seed=1))


@pytest.mark.parametrize("values", [{"weights": [1.0]}, {"means": [0.0] * 4}, {"scales": [1.0, 1.0]}], ids=str)
def test_every_component_has_three_numbers(values: dict[str, Any]) -> None:
    with pytest.raises(zoo.SpecError, match=r"weights, means and scales must have equal lengths, got \d, \d and \d"):
        numbers(**values)
