"""Likelihoods against closed forms: torch.distributions, sigma-VAE's loss, differences of distribution functions."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.distributions import Categorical, Normal
from torch.nn.functional import softplus

import zoo

ROW = zoo.Event("row", zoo.Shape(5))
GREY = zoo.Event("image", zoo.Shape(3, 2, 2), levels=256)
SIGMAS = ["gaussian", "gaussian_learned_sigma", "gaussian_pixel_sigma", "gaussian_optimal_sigma"]
OF_LEVELS = ["discretized_logistic", "discretized_logistic_mixture", "categorical_levels"]


def likelihood(node: Any, event: zoo.Event = ROW) -> Any:
    return zoo.declare(zoo.Likelihood, node)(event).double().eval()


def log_normal(x: Tensor, mean: Tensor, sigma: float | Tensor) -> Tensor:
    """Summed over the event."""
    log_p: Tensor = Normal(mean, sigma).log_prob(x)  # type: ignore[no-untyped-call]
    return log_p.flatten(1).sum(1)


def normal(*sizes: int, seed: int = 0) -> Tensor:
    return torch.randn(*sizes, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def grey(n: int) -> Tensor:
    return torch.randint(256, (n, *GREY.shape), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


# -- normals ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sigma", [0.1, 1.0, 3.0])
def test_gaussian_is_a_normal(sigma: float) -> None:
    x, h = normal(4, 5), normal(4, 5, seed=1)
    log_p = likelihood({"type": "gaussian", "sigma": sigma}).log_prob(x, h)
    torch.testing.assert_close(log_p, log_normal(x, h, sigma))


def test_gaussian_scores_levels_between_zero_and_one() -> None:
    x, h = grey(4), normal(4, *GREY.shape)
    log_p = likelihood("gaussian", GREY).log_prob(x, h)
    torch.testing.assert_close(log_p, log_normal(x.double() / 255, h, 1.0))


@pytest.mark.parametrize(("sigma", "bounded"), [(0.398, False), (0.399, True), (1.0, True)])
def test_gaussian_is_bounded_where_its_density_is_below_one(sigma: float, bounded: bool) -> None:
    built = likelihood({"type": "gaussian", "sigma": sigma})
    assert built.bounded is bounded
    assert bool(built.log_prob(torch.zeros(1, 5), torch.zeros(1, 5)) <= 0) is bounded


def test_learned_sigma_is_a_normal_of_the_clipped_sigma() -> None:
    built = likelihood("gaussian_learned_sigma")
    assert [name for name, _ in built.named_parameters()] == ["log_sigma"]
    x, h = normal(4, 5), normal(4, 5, seed=1)
    for log_sigma in (-20.0, -6.0, 0.5):
        torch.nn.init.constant_(built.log_sigma, log_sigma)
        sigma = math.exp(float(softplus(torch.tensor(log_sigma + 6.0, dtype=torch.float64))) - 6.0)
        torch.testing.assert_close(built.log_prob(x, h), log_normal(x, h, sigma))


def test_pixel_sigma_has_means_first() -> None:
    x, mean, log_sigma = grey(4), normal(4, *GREY.shape), normal(4, *GREY.shape, seed=1)
    log_p = likelihood("gaussian_pixel_sigma", GREY).log_prob(x, torch.cat((mean, log_sigma), dim=1))
    wanted = log_normal(x.double() / 255, mean, (softplus(log_sigma + 6.0) - 6.0).exp())
    torch.testing.assert_close(log_p, wanted)


@pytest.mark.parametrize("name", SIGMAS)
def test_cold_draws_are_means(name: str) -> None:
    for event in (ROW, GREY):
        built = likelihood(name, event)
        h = normal(4, *built.decoded)
        wanted = built.mean(h) if event.levels is None else (255 * built.mean(h)).round().clamp(0, 255).to(torch.uint8)
        assert torch.equal(built.sample(4, h, temperature=0.0), wanted)


# -- the optimal sigma --------------------------------------------------------------------------------------------


def test_optimal_sigma_trains_on_the_logarithm_of_the_error() -> None:
    """D log(rmse) + const, and with its gradient. Far above the floor, where the clipping is off by 1e-5."""
    built = likelihood("gaussian_optimal_sigma").train()
    x, h = 300.0 * normal(8, 5), 300.0 * normal(8, 5, seed=1)
    h.requires_grad_()
    nll = -built.log_prob(x, h).mean()
    rmse = (x - h).square().mean().sqrt()
    torch.testing.assert_close(nll, 5 * rmse.log() + 2.5 * (1 + math.log(2 * math.pi)), rtol=0, atol=1e-4)
    (ours,) = torch.autograd.grad(nll, h, retain_graph=True)
    (theirs,) = torch.autograd.grad(5 * rmse.log(), h)
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=0)


def test_optimal_sigma_is_the_best_one() -> None:
    """No other sigma gives the training batch a higher density."""
    x, h = normal(8, 5), normal(8, 5, seed=1)
    best = likelihood("gaussian_optimal_sigma").train().log_prob(x, h).sum()
    rmse = float((x - h).square().mean().sqrt())
    for factor in (0.9, 1.0, 1.1):
        other = likelihood({"type": "gaussian", "sigma": factor * rmse}).log_prob(x, h).sum()
        # The clipped sigma is the best one but for 2e-3 of its logarithm, where the density is flat.
        assert float(best) >= float(other) - 1e-3


def test_optimal_sigma_of_an_evaluation_is_that_of_training() -> None:
    built = likelihood("gaussian_optimal_sigma").train()
    errors = [1.0, 2.0, 4.0]
    for error in errors:
        built.log_prob(torch.full((3, 5), error), torch.zeros(3, 5, dtype=torch.float64))
    built.eval()
    sigma = math.sqrt(sum(error**2 for error in errors) / 3)
    x, h = normal(4, 5), normal(4, 5, seed=1)
    before = built.log_prob(x, h)
    torch.testing.assert_close(before, log_normal(x, h, sigma), rtol=0, atol=1e-2)
    assert torch.equal(built.log_prob(100 * x, h).argmax(), (-(100 * x - h).square().sum(1)).argmax())
    assert torch.equal(built.log_prob(x, h), before)
    torch.testing.assert_close(built.log_prob(x[:1], h[:1]), before[:1])
    spread = built.sample(20000, torch.zeros(20000, 5, dtype=torch.float64)).std()
    torch.testing.assert_close(float(spread), sigma, rtol=0.02, atol=0)


def test_averaged_weights_collect_a_sigma_of_their_own() -> None:
    """What is evaluated and exported has the sigma of its own weights: here of a decoder that says nothing."""
    parts = {"latent": 2, "encoder": {"type": "mlp", "width": 4}, "decoder": {"type": "mlp", "width": 4}}
    vae = zoo.declare(zoo.Model, {"type": "vae", **parts, "likelihood": "gaussian_optimal_sigma"})(ROW)
    for parameter in vae.decoder.parameters():
        torch.nn.init.zeros_(parameter)
    vae.likelihood.mean_square.fill_(1e6)
    clock = zoo.Clock(torch.tensor(0), 10)
    running = [part for part in vae.modules() if isinstance(part, zoo.RunningStatistics)]
    assert running == [vae.likelihood]
    running[0].reset()
    for _ in range(4):
        vae.train()({"row": torch.full((3, 5), 2.0)}, clock)
    assert float(vae.likelihood.mean_square) == pytest.approx(4.0)


# -- levels -------------------------------------------------------------------------------------------------------


def cdf_differences(x: Tensor, mean: Tensor, log_scale: Tensor, levels: int) -> Tensor:
    """Probabilities as the paper writes them, for levels between -1 and 1."""
    half, at = 1.0 / (levels - 1), 2.0 * x.double() / (levels - 1) - 1.0
    scale = (softplus(log_scale + 7.0) - 7.0).exp()
    upper = torch.where(x == levels - 1, 1.0, torch.sigmoid((at + half - mean) / scale))
    lower = torch.where(x == 0, 0.0, torch.sigmoid((at - half - mean) / scale))
    return upper - lower


def test_discretized_logistic_is_a_difference_of_distribution_functions() -> None:
    x = grey(4)
    x[0], x[1] = 0, 255
    mean, log_scale = 0.3 * normal(4, *GREY.shape), 0.3 * normal(4, *GREY.shape, seed=1) - 1.0
    log_p = likelihood("discretized_logistic", GREY).log_prob(x, torch.cat((mean, log_scale), dim=1))
    torch.testing.assert_close(log_p, cdf_differences(x, mean, log_scale, 256).log().flatten(1).sum(1))


def test_mixture_is_the_weighted_sum() -> None:
    x, K = grey(4), 5
    logits, mean, log_scale = (normal(4, K, *GREY.shape, seed=seed) for seed in range(3))
    h = torch.cat((logits.flatten(1, 2), mean.flatten(1, 2), log_scale.flatten(1, 2)), dim=1)
    p = (logits.softmax(1) * cdf_differences(x.unsqueeze(1), mean, log_scale, 256)).sum(1)
    log_p = likelihood("discretized_logistic_mixture", GREY).log_prob(x, h)
    torch.testing.assert_close(log_p, p.log().flatten(1).sum(1))


def test_mixture_of_one_is_the_logistic() -> None:
    x, h = grey(4), normal(4, 6, 2, 2)
    one = likelihood({"type": "discretized_logistic_mixture", "components": 1}, GREY)
    alone = likelihood("discretized_logistic", GREY)
    padded = torch.cat((normal(4, 3, 2, 2, seed=1), h), dim=1)
    torch.testing.assert_close(one.log_prob(x, padded), alone.log_prob(x, h))
    torch.testing.assert_close(one.mean(padded), alone.mean(h))


def test_cold_draws_of_a_mixture_are_the_likeliest_component() -> None:
    number = zoo.Event("number", zoo.Shape(1), levels=9)
    built = likelihood({"type": "discretized_logistic_mixture", "components": 2}, number)
    h = torch.tensor([[0.0, 1.0, -1.0, 0.5, 0.0, 0.0]], dtype=torch.float64)  # logits, means, log scales
    assert built.sample(1, h, temperature=0.0).item() == 6


def test_cold_draws_of_infinite_scales_are_means() -> None:
    built = likelihood("discretized_logistic", zoo.Event("number", zoo.Shape(1), levels=9)).float()
    assert built.sample(1, torch.tensor([[0.5, 200.0]]), temperature=0.0).item() == 6


def test_scales_are_clipped_at_minus_seven() -> None:
    """A mean at the middle of a level leaves its neighbours what a scale of exp(-7) does."""
    built = likelihood("discretized_logistic", zoo.Event("n", zoo.Shape(1), levels=256))
    h = torch.tensor([[2.0 * 100 / 255 - 1.0, -1000.0]], dtype=torch.float64)
    wanted = 2.0 * torch.sigmoid(torch.tensor(math.exp(7.0) / 255.0, dtype=torch.float64)) - 1.0
    torch.testing.assert_close(built.log_prob(torch.tensor([[100]]), h).exp().squeeze(), wanted)


def test_categorical_is_a_softmax_with_levels_before_channels() -> None:
    x, h = grey(4), normal(4, 256, *GREY.shape)
    log_p = likelihood("categorical_levels", GREY).log_prob(x, h.flatten(1, 2))
    wanted = Categorical(logits=h.movedim(1, -1)).log_prob(x.long())  # type: ignore[no-untyped-call]
    torch.testing.assert_close(log_p, wanted.flatten(1).sum(1))


@pytest.mark.parametrize("levels", [300, 65536])
@pytest.mark.parametrize("name", OF_LEVELS[:2])
def test_many_levels_are_wide_integers(name: str, levels: int) -> None:
    """Probabilities of so many levels sum to one in float32 too."""
    built = likelihood(name, zoo.Event("n", zoo.Shape(1), levels=levels)).float()
    axis = torch.arange(levels).unsqueeze(1)
    h = normal(1, *built.decoded).float()
    assert built.sample(1, h).dtype == torch.int64
    total = built.log_prob(axis, h.expand(levels, *built.decoded)).double().exp().sum()
    assert float(total) == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize("name", OF_LEVELS)
def test_levels_are_needed(name: str) -> None:
    with pytest.raises(zoo.SpecError, match=f"likelihood '{name}': needs levels, but 'row' is continuous"):
        likelihood(name)
    with pytest.raises(zoo.SpecError, match="needs two levels or more, but 'row' has 1"):
        likelihood(name, zoo.Event("row", zoo.Shape(2), levels=1))


def test_categories_are_counted() -> None:
    with pytest.raises(zoo.SpecError, match="takes up to 256 levels, but 'row' has 257"):
        likelihood("categorical_levels", zoo.Event("row", zoo.Shape(2), levels=257))


# -- in a model ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*SIGMAS, *OF_LEVELS])
def test_serves_a_model(name: str) -> None:
    """Gradients reach the decoder and the likelihood's own parameters; draws are scored; means are data."""
    nets = {"encoder": {"type": "resnet", "width": 4, "blocks": 1}, "decoder": {"type": "mlp", "width": 8}}
    vae = zoo.declare(zoo.Model, {"type": "vae", "latent": 2, **nets, "likelihood": name})(GREY)
    batch = {"image": grey(6)}
    vae.train()(batch, zoo.Clock(torch.tensor(0), 10)).loss.backward()
    ours = [*vae.decoder.parameters(), *vae.likelihood.parameters()]
    assert all(p.grad is not None and p.grad.isfinite().all() for p in ours)
    vae.eval()
    x = vae.sample(3)
    assert x.dtype == torch.uint8
    assert vae.log_prob(x).isfinite().all()
    assert vae.reconstruct(x).shape == x.shape
