"""Metrics against models whose likelihood is known."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

import zoo

LEVELS = zoo.Event("image", zoo.Shape(1, 2, 2), levels=4)
REAL = zoo.Event("point", zoo.Shape(2))


class Known(zoo.Model, zoo.Scores):
    """Uniform over the levels, or standard normal; a bound adds noise of known mean to each evaluation."""

    def __init__(self, event: zoo.Event, noise: float = 0.0) -> None:
        super().__init__(event)
        self.noise = noise
        self.exact = noise == 0.0
        self.offset = torch.nn.Parameter(torch.zeros(()))
        self.seen = 0

    def forward(self, batch: zoo.Batch, clock: zoo.Clock) -> zoo.Terms:
        loss = -self.log_prob(batch[self.event.name]).mean()
        return zoo.Terms(loss, {"nll": loss})

    def log_prob(self, x: Tensor, context: zoo.Condition | None = None) -> Tensor:
        assert not torch.is_grad_enabled()
        self.seen += len(x)
        noise = self.noise * torch.randn(len(x))
        if self.event.levels is not None:
            return noise - self.offset - torch.full((len(x),), self.event.shape.size * math.log(self.event.levels))
        return noise + self.offset - 0.5 * x.square().sum(1) - 0.5 * x.shape[1] * math.log(2.0 * math.pi)


class Mute(zoo.Model):
    """A model without a likelihood."""

    def forward(self, batch: zoo.Batch, clock: zoo.Clock) -> zoo.Terms:
        return zoo.Terms(torch.zeros(()), {})


def metric(name: str, **values: int) -> zoo.Metric:
    built: zoo.Metric = zoo.declare(zoo.Metric, {"type": name, **values})()
    return built


def images(*sizes: int) -> list[dict[str, Tensor]]:
    return [LEVELS.example(n, "cpu") for n in sizes]


def test_a_uniform_model_needs_the_bits_of_its_levels() -> None:
    result = metric("bits_per_dim").measure(Known(LEVELS), images(5, 3))
    assert list(result) == ["bits_per_dim", "nll"]
    assert result["bits_per_dim"].value == pytest.approx(2.0, rel=1e-6)
    assert result["nll"].value == pytest.approx(4 * math.log(4.0), rel=1e-6)
    assert {(figure.n, figure.kind) for figure in result.values()} == {(8, "exact")}


def test_every_example_counts_equally_whatever_its_batch() -> None:
    points = torch.randn(7, 2, generator=torch.Generator().manual_seed(0))
    expected = 0.5 * points.square().sum(1).mean().item() + math.log(2.0 * math.pi)
    for cuts in ([7], [4, 3], [1, 1, 5]):
        batches = [{"point": chunk} for chunk in torch.split(points, cuts)]
        result = metric("nll").measure(Known(REAL), batches)["nll"]
        assert result.value == pytest.approx(expected, rel=1e-6)
        assert result.n == 7


def test_a_bound_is_averaged_over_its_draws() -> None:
    torch.manual_seed(0)
    model = Known(LEVELS, noise=1.0)
    result = metric("bits_per_dim", draws=400).measure(model, images(30, 20))
    assert model.seen == 400 * 50
    assert result["nll"].n == 50
    assert result["nll"].kind == result["bits_per_dim"].kind == "bound"
    assert result["nll"].value == pytest.approx(4 * math.log(4.0), abs=5 / math.sqrt(20_000))
    assert result["bits_per_dim"].value == pytest.approx(result["nll"].value / (4 * math.log(2.0)), rel=1e-12)


def test_the_stated_number_of_draws_is_the_default() -> None:
    model = Known(LEVELS, noise=1.0)
    metric("bits_per_dim").measure(model, images(3))
    assert model.seen == 30
    metric("nll").measure(model, images(3))
    assert model.seen == 33


def test_what_is_exact_is_evaluated_once() -> None:
    model = Known(LEVELS)
    metric("bits_per_dim", draws=10).measure(model, images(3))
    assert model.seen == 3


def test_averages_are_taken_in_float64() -> None:
    class Large(Known):
        def log_prob(self, x: Tensor, context: zoo.Condition | None = None) -> Tensor:
            return x[:, 0]

    x = torch.full((20_000, 2), 16_777_216.0)
    x[::2] += 2.0  # the sum of these is far beyond what float32 keeps exact
    result = metric("nll").measure(Large(REAL), [{"point": x}])
    assert result["nll"].value == -16_777_217.0


@pytest.mark.parametrize("name", ["nll", "bits_per_dim"])
def test_a_model_without_likelihood_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="Mute has no likelihood"):
        metric(name).check(Mute(LEVELS))
    metric(name).check(Known(LEVELS))


def test_bits_need_levels() -> None:
    with pytest.raises(ValueError, match="'point' is continuous; use 'nll'"):
        metric("bits_per_dim").check(Known(REAL))
    metric("nll").check(Known(REAL))


def test_no_examples_are_no_figure() -> None:
    with pytest.raises(zoo.DataError, match="no examples"):
        metric("nll").measure(Known(REAL), [])


def test_draws_are_positive() -> None:
    with pytest.raises(zoo.SpecError, match="draws"):
        metric("nll", draws=0)
