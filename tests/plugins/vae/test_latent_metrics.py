"""Bounds, reconstructions and predictions of models for which they are known."""

from __future__ import annotations

import math
from importlib import import_module
from typing import Any

import pytest
import torch
from torch import Tensor

import zoo

Spread: Any = import_module("zoo.plugins.metrics.spread").Spread
POINT = zoo.Event("point", zoo.Shape(3))
SCALE = 0.6


def normal(x: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """The logarithm of the density of independent normals, summed over the last axis."""
    return (-0.5 * ((x - mean) / std).square() - std.log() - 0.5 * math.log(2 * math.pi)).sum(-1)


class LinearGaussian(zoo.Model, zoo.VariationalBound, zoo.Reconstructs):
    """x = W z + 0.6 noise with orthogonal columns, so the exact posterior is diagonal; ``stretch`` makes another."""

    def __init__(self, event: zoo.Event = POINT, stretch: float = 1.0, surplus: int = 0) -> None:
        super().__init__(event)
        self.columns = torch.tensor([[1.0, 0.0], [2.0, 0.0], [-2.0, 0.0]], dtype=torch.float64)
        self.precision = 1.0 + self.columns.square().sum(0) / SCALE**2
        self.std = stretch * self.precision.rsqrt()
        self.surplus = surplus
        self.asked: list[int] = []

    def forward(self, batch: zoo.Batch, clock: zoo.Clock) -> zoo.Terms:
        return zoo.Terms(torch.zeros(()), {})

    def encode(self, x: Tensor, context: zoo.Condition | None = None) -> Tensor:
        return x @ self.columns / SCALE**2 / self.precision

    def expect(self, z: Tensor, context: zoo.Condition | None = None) -> Tensor:
        return z @ self.columns.T

    def terms(self, x: Tensor, context: zoo.Condition | None = None) -> zoo.LatentTerms:
        mean = self.encode(x)
        error = (x - self.expect(mean)).square().sum(1) + (self.columns.square().sum(0) * self.std**2).sum()
        nll = 0.5 * error / SCALE**2 + 1.5 * math.log(2 * math.pi * SCALE**2)
        kl = 0.5 * (mean.square() + self.std**2 - 1.0) - self.std.log()
        return zoo.LatentTerms(nll, kl.sum(1), kl, 3)

    def log_weights(self, x: Tensor, n: int, context: zoo.Condition | None = None) -> Tensor:
        assert not torch.is_grad_enabled()
        self.asked.append(n * x.shape[0])
        mean = self.encode(x)
        z = mean + self.std * torch.randn(n + self.surplus, *mean.shape, dtype=x.dtype)
        zero, one = x.new_zeros(()), x.new_ones(())
        return normal(z, zero, one) + normal(x, self.expect(z), one * SCALE) - normal(z, mean, self.std)

    def log_likelihood(self, x: Tensor) -> Tensor:
        covariance = self.columns @ self.columns.T + SCALE**2 * torch.eye(3, dtype=torch.float64)
        distance = (x @ covariance.inverse() * x).sum(1)
        return -0.5 * (distance + covariance.logdet() + 3 * math.log(2 * math.pi))


class Mute(zoo.Model):
    """A model that can do nothing."""

    def forward(self, batch: zoo.Batch, clock: zoo.Clock) -> zoo.Terms:
        return zoo.Terms(torch.zeros(()), {})


def metric(name: str, **values: int) -> zoo.Metric:
    built: zoo.Metric = zoo.declare(zoo.Metric, {"type": name, **values})()
    return built


def points(n: int) -> Tensor:
    return torch.randn(n, 3, generator=torch.Generator().manual_seed(0)).double()


def measured(name: str, model: zoo.Model, x: Tensor, **values: int) -> dict[str, float]:
    torch.manual_seed(0)
    built = metric(name, **values)
    built.check(model)
    found = built.measure(model, [{"point": part} for part in torch.split(x, max(7, len(x) // 3))])
    assert {figure.n for figure in found.values()} == {x.shape[0]}
    return {key: figure.value for key, figure in found.items()}


def test_the_bound_of_the_exact_posterior_is_the_likelihood() -> None:
    model, x = LinearGaussian(), points(20)
    exact = model.log_likelihood(x).mean().item()
    found = measured("elbo", model, x)
    assert list(found) == ["elbo", "reconstruction", "kl", "active"]
    assert found["elbo"] == pytest.approx(exact, rel=1e-12)
    assert found["elbo"] == pytest.approx(-found["reconstruction"] - found["kl"], rel=1e-12)
    assert found["kl"] == pytest.approx(model.terms(x).kl.mean().item(), rel=1e-12)
    assert measured("iwae", model, x, samples=3)["nll_iwae"] == pytest.approx(-exact, rel=1e-12)


def test_importance_sampling_closes_the_gap_of_another_posterior() -> None:
    model, x = LinearGaussian(stretch=1.4), points(20)
    exact = -model.log_likelihood(x).mean().item()
    bound = -measured("elbo", model, x)["elbo"]
    gap = 1.4**2 - 1.0 - 2 * math.log(1.4)  # of the two dimensions, half of it each
    assert bound - exact == pytest.approx(gap, rel=1e-9)
    effort = ((200, 1), (50, 4), (5, 2000))
    one, some, many = (measured("iwae", model, x.repeat(n, 1), samples=s)["nll_iwae"] for n, s in effort)
    assert one == pytest.approx(bound, abs=0.05)
    assert exact + 0.02 < some < bound - 0.05
    assert many == pytest.approx(exact, abs=0.003)


class Listed(LinearGaussian):
    """Its weights are read from a list, in order."""

    def __init__(self, weights: Tensor) -> None:
        super().__init__()
        self.weights = weights
        self.read = 0

    def log_weights(self, x: Tensor, n: int, context: zoo.Condition | None = None) -> Tensor:
        self.read += n
        return self.weights[self.read - n : self.read, None].expand(n, x.shape[0])


@pytest.mark.parametrize("chunk", [1, 3, 4, 10, 11])
def test_sums_in_chunks_are_the_sum(chunk: int) -> None:
    offsets = torch.tensor([-2000.0, -1.0, 5.0, -1000.0, 0.0, 3.0, 2.5, 2.5, -7.0, 1.0, 99.0], dtype=torch.float64)
    weights = offsets - 1000.0  # none of them has an exponential
    model = Listed(weights)
    found = measured("iwae", model, points(5), samples=10, chunk=chunk)["nll_iwae"]
    assert found == pytest.approx(1000.0 - offsets[:10].exp().mean().log().item(), rel=1e-12)
    assert model.read == 10


def test_samples_beyond_those_asked_for_count() -> None:
    model, x = LinearGaussian(surplus=5), points(4)
    assert measured("iwae", model, x, samples=3)["nll_iwae"] == pytest.approx(-model.log_likelihood(x).mean().item())


def test_memory_does_not_grow_with_the_samples() -> None:
    model, x = LinearGaussian(), points(600)
    metric("iwae", samples=250, chunk=100).measure(model, [{"point": x}])
    assert max(model.asked) <= 5000
    assert sum(model.asked) == 600 * 250
    metric("iwae").measure(model := LinearGaussian(), [{"point": x[:2]}])
    assert model.asked == [200] * 50


def test_dimensions_whose_means_stand_still_are_not_active() -> None:
    model = LinearGaussian()
    assert measured("elbo", model, points(20))["active"] == 1.0
    model.columns[:, 1] = torch.tensor([0.0, 1.0, 1.0])
    model.precision = 1.0 + model.columns.square().sum(0) / SCALE**2
    assert measured("elbo", model, points(20))["active"] == 2.0
    # a mean that is far from zero and the same for all data is not active either
    assert measured("elbo", model, points(1).repeat(20, 1))["active"] == 0.0


def test_the_variance_of_batches_is_that_of_all() -> None:
    x = torch.randn(100, 4, generator=torch.Generator().manual_seed(0)).double() * 0.1 + 1e4
    spread = Spread()
    for part in torch.split(x, [1, 60, 39]):
        spread.add(part)
    torch.testing.assert_close(spread.variance, x.var(0, correction=0), rtol=1e-8, atol=0.0)


def test_parts_that_are_not_told_apart_have_no_active_ones() -> None:
    class Whole(LinearGaussian):
        def terms(self, x: Tensor, context: zoo.Condition | None = None) -> zoo.LatentTerms:
            return super().terms(x, context)._replace(kl_dim=None)

    assert list(measured("elbo", Whole(), points(9))) == ["elbo", "reconstruction", "kl"]


def test_only_the_bounds_of_a_likelihood_are_called_so() -> None:
    model, batches = LinearGaussian(), [{"point": points(3)}]
    assert {figure.kind for figure in metric("elbo").measure(model, batches).values()} == {"exact"}
    assert metric("iwae", samples=2).measure(model, batches)["nll_iwae"].kind == "bound"


def test_the_error_of_reconstructions_is_summed_over_the_event() -> None:
    model, x = LinearGaussian(), points(10)
    expected = (x - model.expect(model.encode(x))).square().sum() / 10
    assert measured("reconstruction_error", model, x)["reconstruction_error"] == pytest.approx(
        expected.item(), rel=1e-9
    )


def test_levels_are_compared_on_the_unit_scale() -> None:
    class Half(zoo.Model, zoo.Reconstructs):
        """Reconstructs everything as one half."""

        forward = Mute.forward

        def encode(self, x: Tensor, context: zoo.Condition | None = None) -> Tensor:
            return torch.zeros(x.shape[0], 1)

        def expect(self, z: Tensor, context: zoo.Condition | None = None) -> Tensor:
            return torch.full((z.shape[0], 1, 2, 2), 0.5)

    model = Half(zoo.Event("image", zoo.Shape(1, 2, 2), levels=256))
    image = torch.tensor([[[[0, 255], [255, 51]]]], dtype=torch.uint8)
    found = metric("reconstruction_error").measure(model, [{"image": image}])["reconstruction_error"]
    assert found.value == pytest.approx(3 * 0.25 + 0.3**2, rel=1e-6)


class Signs(zoo.Model, zoo.Predicts):
    """Predicts class one where the first number is positive, or whatever it is told."""

    forward = Mute.forward

    def predict(self, x: Tensor, context: zoo.Condition | None = None) -> Tensor:
        assert not torch.is_grad_enabled()
        logit = x[:, 0] if context is None else context["label"].to(x) - 0.5
        return torch.stack((-logit, logit), dim=1)


def test_accuracy_is_the_share_of_labels_predicted() -> None:
    model = Signs(zoo.Event("point", zoo.Shape(3), classes=2))
    metric("accuracy").check(model)
    x = torch.tensor([[1.0, 0, 0], [-1.0, 0, 0], [2.0, 0, 0], [-3.0, 0, 0]])
    labels = torch.tensor([1, 0, 0, 0])
    batches = [{"point": a, "label": b} for a, b in zip(torch.split(x, 3), torch.split(labels, 3), strict=True)]
    found = metric("accuracy").measure(model, batches)["accuracy"]
    assert (found.value, found.n) == (0.75, 4)
    model.conditioned_on = "label"
    assert metric("accuracy").measure(model, batches)["accuracy"].value == 0.75


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("elbo", "no variational bound"),
        ("iwae", "no variational bound"),
        ("accuracy", "does not predict"),
        ("reconstruction_error", "does not reconstruct"),
    ],
)
def test_a_model_that_cannot_is_refused(name: str, said: str) -> None:
    with pytest.raises(ValueError, match=f"Mute {said}|Mute has {said}"):
        metric(name).check(Mute(POINT))
    with pytest.raises(zoo.DataError, match="no examples"):
        metric(name).measure(
            {"accuracy": Signs(zoo.Event("point", zoo.Shape(3), classes=2))}.get(name) or LinearGaussian(), []
        )


def test_classes_are_needed_to_predict_them() -> None:
    with pytest.raises(ValueError, match="'point' has no classes"):
        metric("accuracy").check(Signs(POINT))
