"""Priors of variational autoencoders: their densities, their draws, and which posteriors they go with."""

from __future__ import annotations

import math
from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor

import zoo
from zoo.testing import perturb

IMAGE = zoo.Event("image", zoo.Shape(1, 2, 2), levels=2)
POINT = zoo.Event("point", zoo.Shape(2))
BOUNDED = zoo.Event("point", zoo.Shape(2), range=(-2.0, 3.0))
NET: dict[str, Any] = {"type": "mlp", "width": 8, "activation": "tanh"}
LAYER: dict[str, Any] = {"type": "autoregressive", "net": {"type": "made", "width": 8, "activation": "tanh"}}
FLOW: dict[str, Any] = {"type": "flow", "transforms": [LAYER]}
TRANSFORMED: dict[str, Any] = {"type": "transformed", "transforms": [LAYER, "act_norm"]}
VAMP: dict[str, Any] = {"type": "vamp", "components": 5, "spread": 2.0}
NORMALS: list[Any] = ["diagonal_normal", "full_normal", {"type": "mixture", "components": 3}, FLOW]
OF_NORMALS: list[Any] = ["standard_normal", "normal", "full_normal", "gaussian_mixture", TRANSFORMED, VAMP]
CATEGORIES = ["categorical", "categorical_straight_through"]
FITTING = [*product(NORMALS, OF_NORMALS), *product(CATEGORIES, ["uniform_categories"])]
DRAWS = 10000
SIGMAS = 5.0


def label(value: Any) -> str:
    return value["type"] if isinstance(value, dict) else str(value)


def vae(event: zoo.Event = IMAGE, **changes: Any) -> Any:
    """In float64 and evaluation mode, as after some training."""
    likelihood = "bernoulli" if event.levels else "gaussian"
    parts = {"type": "vae", "latent": 2, "encoder": NET, "decoder": NET, "likelihood": likelihood}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = zoo.declare(zoo.Model, parts | changes)(event)
    model.double()
    perturb(model, seed=1)
    return model.eval()


def latent_of(posterior: Any) -> Any:
    return [3, 2] if posterior in CATEGORIES else 2


# -- the model as a whole ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("posterior", "prior"), FITTING, ids=label)
def test_every_fitting_pair_trains_and_draws(posterior: Any, prior: Any) -> None:
    model = vae(latent=latent_of(posterior), posterior=posterior, prior=prior).train()
    batch = IMAGE.example(6, "cpu")
    model(batch, zoo.Clock(torch.zeros((), dtype=torch.int64), 10)).loss.backward()
    dead = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert dead == []
    assert all(p.grad.isfinite().all() for p in model.parameters())
    model.eval()
    assert model.sample(3).shape == (3, 1, 2, 2)
    assert model.log_prob(batch["image"]).isfinite().all()
    assert model.reconstruct(batch["image"]).shape == (6, 1, 2, 2)


@pytest.mark.parametrize(("posterior", "prior"), FITTING, ids=label)
@torch.no_grad()
def test_importance_weights_average_to_the_likelihood(posterior: Any, prior: Any) -> None:
    """By all categories, or a grid over latents of one number: whatever strata the draws are from."""
    latent = latent_of(posterior) if posterior in CATEGORIES else 1
    model = vae(latent=latent, posterior=posterior, prior=prior)
    x = torch.tensor([[0, 1, 1, 0], [1, 1, 1, 1]], dtype=torch.uint8).reshape(2, 1, 2, 2)
    torch.manual_seed(3)
    weights = model.log_weights(x, DRAWS).exp()
    error = weights.std(0) / math.sqrt(weights.shape[0])
    assert ((weights.mean(0) - likelihood(model, x)).abs() <= SIGMAS * error).all()


def likelihood(model: Any, x: Tensor) -> Tensor:
    if len(model.latent) == 2:
        N, K = model.latent
        z = torch.eye(K, dtype=torch.float64)[torch.cartesian_prod(*[torch.arange(K)] * N)]
        mass = 1.0
    else:
        z = torch.linspace(-30, 30, 6001, dtype=torch.float64).unsqueeze(1)
        mass = 0.01
    z = z.unsqueeze(1).expand(z.shape[0], x.shape[0], *model.latent)
    log_joint: Tensor = model.log_prior(z) + model.log_likelihood(x, z)
    return mass * log_joint.exp().sum(0)


UNFIT: list[tuple[Any, Any, str]] = [
    ("categorical", "standard_normal", "posterior 'categorical' has categorical latents, but distribution"),
    ("categorical", VAMP, "declare prior: uniform_categories"),
    ("categorical_straight_through", TRANSFORMED, "declare prior: uniform_categories"),
    ("diagonal_normal", "uniform_categories", "declare posterior: categorical"),
    (FLOW, "uniform_categories", "prior 'uniform_categories' has categorical latents, but posterior 'flow' does not"),
    ("diagonal_normal", "uniform", r"limited to \[0, 1\], but posterior 'diagonal_normal' is not"),
    ("full_normal", {"type": "transformed", "transforms": ["logit"]}, r"limited to \[0, 1\]"),
]


@pytest.mark.parametrize(("posterior", "prior", "message"), UNFIT, ids=label)
def test_what_does_not_fit_is_refused(posterior: Any, prior: Any, message: str) -> None:
    with pytest.raises(zoo.SpecError, match=message):
        vae(latent=[3, 2], posterior=posterior, prior=prior)


def test_a_prior_of_categories_needs_two_sizes() -> None:
    with pytest.raises(zoo.SpecError, match="latent: \\[20, 10\\], got 2"):
        vae(posterior="diagonal_normal", prior="uniform_categories")


# -- VampPrior --------------------------------------------------------------------------------------------------------


def test_vamp_of_one_component_is_that_posterior() -> None:
    model = vae(prior={"type": "vamp", "components": 1})
    z = torch.randn(6, 2, dtype=torch.float64)
    h = model.encoder(model.prior.inputs())
    assert torch.allclose(model.prior.log_prob(z, model), model.posterior.log_prob(z, h))


@pytest.mark.parametrize("posterior", NORMALS, ids=label)
@torch.no_grad()
def test_vamp_draws_are_of_its_density(posterior: Any) -> None:
    """On a grid over one number the density integrates to one, and the draws have its distribution function."""
    model = vae(latent=1, posterior=posterior, prior=VAMP)
    perturb(model.encoder, seed=5, scale=0.6)  # far from alike: components of a mixture too
    axis = torch.linspace(-30, 30, 6001, dtype=torch.float64)
    p = model.prior.log_prob(axis.unsqueeze(1), model).exp()
    assert torch.trapezoid(p, axis).item() == pytest.approx(1.0, abs=1e-6)
    torch.manual_seed(2)
    drawn = model.prior.sample(DRAWS, model).flatten().sort().values
    empirical = torch.searchsorted(drawn, axis[1:], right=True) / DRAWS
    assert (empirical - torch.cumulative_trapezoid(p, axis)).abs().max() <= 2.2 / math.sqrt(DRAWS)


@pytest.mark.parametrize("posterior", NORMALS, ids=label)
@torch.no_grad()
def test_cold_vamp_draws_are_the_codes_of_its_pseudo_inputs(posterior: Any) -> None:
    model = vae(posterior=posterior, prior=VAMP)
    codes = model.posterior.mean(model.encoder(model.prior.inputs()))
    cold, warm = (torch.cdist(model.prior.sample(200, model, t), codes).min(1).values for t in (0.0, 0.5))
    assert cold.max() < 1e-6
    assert warm.mean() > 1e-3


@pytest.mark.parametrize(("event", "low", "high"), [(IMAGE, 0.0, 1.0), (BOUNDED, -2.0, 3.0)], ids=["levels", "range"])
def test_pseudo_inputs_stay_within_the_data(event: zoo.Event, low: float, high: float) -> None:
    model = vae(event, prior={"type": "vamp", "components": 50, "spread": 10.0})
    inputs = model.prior.inputs()
    assert inputs.shape == (50, *event.shape)
    assert low <= inputs.min() < low + 0.1
    assert high - 0.1 < inputs.max() <= high
    assert vae(event, prior=VAMP | {"spread": 1e-6}).prior.pseudo.shape == (5, *event.shape)


def test_pseudo_inputs_start_around_the_middle() -> None:
    for event, middle in ((IMAGE, 0.5), (BOUNDED, 0.5), (POINT, 0.0)):
        prior = zoo.declare(
            zoo.Model,
            {"type": "vae", "latent": 2, "encoder": NET, "decoder": NET}
            | {
                "likelihood": "bernoulli" if event.levels else "gaussian",
                "prior": {"type": "vamp", "components": 2000},
            },
        )(event).prior
        assert prior.inputs().mean().item() == pytest.approx(middle, abs=0.02)
        assert prior.inputs().std() > 0.01


def test_free_pseudo_inputs_go_anywhere() -> None:
    assert vae(POINT, prior=VAMP | {"spread": 100.0}).prior.inputs().abs().max() > 50


# -- a flow -----------------------------------------------------------------------------------------------------------


def test_transformed_is_the_flow_of_its_parts() -> None:
    parts = {"base": "gaussian_mixture", "transforms": [LAYER, "act_norm"]}
    flow: Any = zoo.declare(zoo.Model, {"type": "flow", **parts})(POINT).double()
    perturb(flow, seed=6)
    prior = zoo.declare(zoo.Distribution, {"type": "transformed", **parts})(POINT.shape).double()
    prior.load_state_dict(flow.state_dict())
    x = torch.randn(5, 2, dtype=torch.float64)
    assert torch.equal(prior.log_prob(x), flow.log_prob(x))
    torch.manual_seed(7)
    drawn = prior.sample(4, temperature=0.5)
    torch.manual_seed(7)
    assert torch.equal(drawn, flow.sample(4, temperature=0.5))


def test_transformed_passes_its_context_on() -> None:
    node = {"type": "transformed", "base": {"type": "conditional_normal", "context": 3}, "transforms": ["act_norm"]}
    prior = zoo.declare(zoo.Distribution, node)(POINT.shape).double()
    perturb(prior, seed=8)
    one, other = prior.log_prob(torch.zeros(2, 2, dtype=torch.float64), torch.eye(3, dtype=torch.float64)[:2])
    assert one != other
    assert prior.sample(2, torch.eye(3, dtype=torch.float64)[:2]).shape == (2, 2)


def test_transformed_refuses_a_density_with_noise() -> None:
    node = {"type": "transformed", "transforms": [{"type": "residual", "log_det": "roulette"}]}
    with pytest.raises(zoo.SpecError, match="exact"):
        zoo.declare(zoo.Distribution, node)(POINT.shape)


# -- categories -------------------------------------------------------------------------------------------------------


def test_uniform_categories_are_uniform() -> None:
    model = vae(latent=[3, 4], posterior="categorical", prior="uniform_categories")
    torch.manual_seed(4)
    z = model.prior.sample(DRAWS, model)
    assert z.dtype == torch.float64
    assert torch.equal(z.sum(-1), torch.ones(DRAWS, 3, dtype=torch.float64))
    assert (z.mean(0) - 0.25).abs().max() < SIGMAS * math.sqrt(0.25 * 0.75 / DRAWS)
    assert torch.allclose(model.prior.log_prob(z[:2], model), torch.full((2,), -3 * math.log(4.0), dtype=torch.float64))


def test_closed_divergence_is_that_of_its_estimate() -> None:
    """The bound by the closed form and by draws of the same discrete model."""
    model = vae(latent=[3, 2], posterior="categorical", prior="uniform_categories")
    x = IMAGE.example(2, "cpu")["image"]
    with torch.no_grad():
        terms = model.latent_terms(x, 5000)
        bound = model.log_weights(x, DRAWS)
    assert terms.kl_dim.shape == (2, 3)
    assert torch.allclose(-(terms.nll + terms.kl), bound.mean(0), atol=0.05)
