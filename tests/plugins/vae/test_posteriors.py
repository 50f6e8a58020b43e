"""Posteriors in further settings obey the laws of their kind, the laws find planted defects; and each by itself."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor, nn

import zoo
from zoo.testing import LawBroken, perturb

if TYPE_CHECKING:
    from plugins.vae.laws.posterior import DRAWS, agree, answers, chunked, drawn, prior_of
    from plugins.vae.laws.posterior import LAWS as POSTERIOR_LAWS
    from plugins.vae.posteriors.base import Draws, Posterior
else:
    from zoo.plugins.vae.laws.posterior import DRAWS, agree, answers, chunked, drawn, prior_of
    from zoo.plugins.vae.laws.posterior import LAWS as POSTERIOR_LAWS
    from zoo.plugins.vae.posteriors.base import Draws, Posterior

IAF: dict[str, Any] = {
    "type": "flow",
    "context": 2,
    "transforms": [{"type": "autoregressive", "net": {"type": "made", "width": 8, "context": 2}}, "act_norm"],
}
IMAGES: dict[str, Any] = {
    "type": "flow",
    "context": 2,
    "transforms": [
        {"type": "coupling", "mask": "checkerboard", "conditioner": {"type": "convnet", "width": 4, "context": 2}},
    ],
}
FURTHER: dict[str, tuple[dict[str, Any], zoo.Shape]] = {
    "flow_given_context": (IAF, zoo.Shape(3)),
    "flow_given_images": (IMAGES, zoo.Shape(2, 2, 2)),
    "mixture_of_one": ({"type": "mixture", "components": 1}, zoo.Shape(3)),
}
LAWS = POSTERIOR_LAWS.by_name


def built(node: Any, latent: zoo.Shape) -> Posterior:
    """As after some training, in float64 and evaluation mode."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        posterior: Posterior = zoo.declare(Posterior, node)(latent)
    posterior.double()
    perturb(posterior, seed=1)
    return posterior.eval()


# As their examples are, tests/laws holds them.
@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("name", FURTHER)
def test_law(name: str, law: str) -> None:
    posterior = built(*FURTHER[name])
    LAWS[law](posterior, answers(posterior))


# -- defects -----------------------------------------------------------------------------------------------------------


class Sound(Posterior):
    """A correct normal, for defects to be planted in."""

    def __init__(self, latent: zoo.Shape) -> None:
        super().__init__(latent)
        self.encoded = latent.channels(2)
        self.dimensions = latent.size

    def draw(self, h: Tensor, n: int) -> Draws:
        mu, log_sigma = self.moments(h)
        epsilon = torch.randn(n, *mu.shape, dtype=mu.dtype)
        z = mu + log_sigma.exp() * epsilon
        log_q = self.log_prob(z, h)
        return Draws(z, log_q, torch.full_like(log_q, -math.log(n)))

    def log_prob(self, z: Tensor, h: Tensor) -> Tensor:
        mu, log_sigma = self.moments(h)
        return (-0.5 * ((z - mu) / log_sigma.exp()).square() - log_sigma - 0.5 * math.log(2 * math.pi)).sum(-1)

    def mean(self, h: Tensor) -> Tensor:
        return self.moments(h)[0]

    def moments(self, h: Tensor) -> tuple[Tensor, Tensor]:
        mu, log_sigma = (h.float() if h.dtype == torch.bfloat16 else h).chunk(2, dim=-1)
        return mu, log_sigma

    def divergence(self, h: Tensor, prior: nn.Module) -> Tensor | None:
        mu, log_sigma = self.moments(h)
        m, log_s = prior.moments()  # type: ignore[operator]
        ratio = 2 * (log_sigma - log_s)
        kl: Tensor = 0.5 * (ratio.exp() + ((mu - m) / log_s.exp()).square() - 1 - ratio)
        return kl


class Unweighted(Sound):
    def draw(self, h: Tensor, n: int) -> Draws:
        z, log_q, _ = super().draw(h, n)
        return Draws(z, log_q, torch.zeros_like(log_q))


class Mistaken(Sound):
    def draw(self, h: Tensor, n: int) -> Draws:
        z, log_q, log_weight = super().draw(h, n)
        return Draws(z, log_q + self.moments(h)[1].sum(-1), log_weight)


class Unnormalised(Sound):
    def log_prob(self, z: Tensor, h: Tensor) -> Tensor:
        return super().log_prob(z, h) + 0.2


class Pairwise(Sound):
    def log_prob(self, z: Tensor, h: Tensor) -> Tensor:
        return super().log_prob(z, h[..., : z.shape[-2], :])


class Normalised(Sound):
    def moments(self, h: Tensor) -> tuple[Tensor, Tensor]:
        return super().moments(h - h.mean(0))


class Overflowing(Sound):
    def moments(self, h: Tensor) -> tuple[Tensor, Tensor]:
        mu, log_sigma = super().moments(h)
        return mu, (log_sigma.exp() ** 8).log() / 8


class Narrow(Sound):
    def moments(self, h: Tensor) -> tuple[Tensor, Tensor]:
        mu, log_sigma = h.chunk(2, dim=-1)
        return mu, log_sigma


class Detached(Sound):
    def draw(self, h: Tensor, n: int) -> Draws:
        z, log_q, log_weight = super().draw(h, n)
        return Draws(z.detach(), log_q, log_weight)


class Chosen(Sound):
    """Two components, the choice between which is random and has no gradient."""

    def draw(self, h: Tensor, n: int) -> Draws:
        mu, _ = self.moments(h)
        side = torch.where(torch.rand(n, *mu.shape[:1]) < mu[:, 0].sigmoid(), 1.0, -1.0)
        z = mu.detach() + side.unsqueeze(-1) + torch.randn(n, *mu.shape, dtype=mu.dtype) + 0 * h.sum()
        return Draws(z, self.log_prob(z, h), torch.full((n, h.shape[0]), -math.log(n), dtype=h.dtype))

    def log_prob(self, z: Tensor, h: Tensor) -> Tensor:
        mu, _ = self.moments(h)
        logit = mu[..., 0]
        up, down = ((-0.5 * (z - mu.detach() - side).square()).sum(-1) for side in (1.0, -1.0))
        constant = 0.5 * z.shape[-1] * math.log(2 * math.pi)
        return torch.logaddexp(nn.functional.logsigmoid(logit) + up, nn.functional.logsigmoid(-logit) + down) - constant


class Halved(Sound):
    def divergence(self, h: Tensor, prior: nn.Module) -> Tensor | None:
        kl = super().divergence(h, prior)
        return None if kl is None else 0.9 * kl


PLANTED: list[tuple[type[Sound], str]] = [
    (Unweighted, "draws_have_form"),
    (Mistaken, "draws_score_themselves"),
    (Unnormalised, "density_normalises"),
    (Pairwise, "log_prob_broadcasts"),
    (Normalised, "rows_are_alone"),
    (Overflowing, "extremes_stay_finite"),
    (Narrow, "half_precision_is_widened"),
    (Detached, "gradients_are_of_the_draws"),
    (Chosen, "gradients_are_of_the_expectation"),
    (Halved, "divergence_is_its_estimate"),
]


@pytest.mark.parametrize("law", LAWS)
def test_the_sound_one_obeys(law: str) -> None:
    posterior = Sound(zoo.Shape(3))
    LAWS[law](posterior, answers(posterior))


@pytest.mark.parametrize(("cls", "law"), PLANTED, ids=lambda value: getattr(value, "__name__", value))
def test_planted_defect_is_found(cls: type[Sound], law: str) -> None:
    posterior = cls(zoo.Shape(3))
    with pytest.raises((LawBroken, RuntimeError)):
        LAWS[law](posterior, answers(posterior))


def test_every_law_has_a_defect_that_it_finds() -> None:
    assert [law for _, law in PLANTED] == list(LAWS)


# -- each of them ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["diagonal_normal", "full_normal", "mixture", "categorical"])
def test_mean_is_that_of_the_draws(name: str) -> None:
    posterior = built(name, zoo.Shape(4, 3))
    h = answers(posterior, scale=1.0)
    z, _, log_weight = drawn(posterior, h, DRAWS)
    agree(chunked(log_weight.exp()[..., None, None] * z), posterior.mean(h), "the mean of draws is another")


@pytest.mark.parametrize("name", ["diagonal_normal", "full_normal"])
def test_divergence_is_zero_at_the_prior(name: str) -> None:
    posterior = built(name, zoo.Shape(3))
    prior = prior_of(posterior)
    m, log_s = prior.moments()
    h = torch.cat((m, 2 * log_s, m.new_zeros(posterior.encoded.size - 6))).unsqueeze(0)
    divergence = posterior.divergence(h, prior)
    assert divergence is not None
    assert divergence.abs().max() < 1e-15


def test_full_covariance_is_that_of_its_factor() -> None:
    posterior = built("full_normal", zoo.Shape(3))
    mu, log_var, below = [1.0, 2.0, 3.0], [0.1, -0.2, 0.3], [0.5, -0.6, 0.7]
    h = torch.tensor([mu + log_var + below], dtype=torch.float64)
    factor = torch.eye(3, dtype=torch.float64)
    factor[1, 0], factor[2, 0], factor[2, 1] = below
    factor = (0.5 * h[0, 3:6]).exp().diag() @ factor
    normal: Any = torch.distributions.MultivariateNormal(h[0, :3], scale_tril=factor)
    z = drawn(posterior, h, 7).z
    assert torch.allclose(posterior.log_prob(z, h), normal.log_prob(z))
    prior = prior_of(posterior)
    m, log_s = prior.moments()
    other = torch.distributions.MultivariateNormal(m, scale_tril=log_s.exp().diag())
    divergence = posterior.divergence(h, prior)
    assert divergence is not None
    assert torch.allclose(divergence, torch.distributions.kl_divergence(normal, other).unsqueeze(0))


def test_full_covariance_without_covariance_is_diagonal() -> None:
    full, diagonal = (built(name, zoo.Shape(3)) for name in ("full_normal", "diagonal_normal"))
    h = answers(diagonal)
    padded = torch.cat((h, h.new_zeros(h.shape[0], 3)), dim=1)
    (z, log_q, _), (same, same_q, _) = drawn(full, padded, 2), drawn(diagonal, h, 2)
    assert torch.allclose(z, same)
    assert torch.allclose(log_q, same_q)


def test_full_covariance_survives_autocast() -> None:
    posterior = built("full_normal", zoo.Shape(5)).float()
    h = answers(posterior, scale=1.0).float()
    with torch.autocast("cpu", torch.bfloat16):
        z, log_q, _ = posterior.draw(h, 3)
        assert torch.allclose(posterior.log_prob(z, h), log_q, atol=1e-3)


def test_flow_context_reaches_the_latent() -> None:
    """With one draw of the normal, another context gives another latent and density."""
    posterior = built(IAF, zoo.Shape(3))
    h = answers(posterior, 1).expand(2, -1).clone()
    h[1, -2:] += 1.0
    assert not torch.allclose(*posterior.mean(h))
    assert not torch.allclose(*posterior.log_prob(torch.zeros(2, 3, dtype=torch.float64), h))


def test_flow_code_is_where_its_draws_shrink_to() -> None:
    posterior = built(IAF, zoo.Shape(3))
    h = answers(posterior)
    h[:, 3:6] = -60.0
    assert torch.allclose(posterior.draw(h, 1).z[0], posterior.mean(h), atol=1e-9)


COUPLING: dict[str, Any] = {"type": "coupling", "mask": "channel", "conditioner": {"type": "mlp", "context": 2}}
ROULETTE: dict[str, Any] = {"type": "residual", "log_det": "roulette"}


@pytest.mark.parametrize(
    ("node", "latent", "message"),
    [
        ({"transforms": ["logit"]}, zoo.Shape(2), "whole line"),
        ({"transforms": ["squeeze"]}, zoo.Shape(2, 2, 2), "keep the shape 2x2x2"),
        ({"transforms": ["act_norm", ROULETTE]}, zoo.Shape(2), "'residual' is random"),
        ({"transforms": ["act_norm"], "context": 3}, zoo.Shape(2), "no transform takes the context"),
        ({"transforms": [COUPLING]}, zoo.Shape(2), "declare 'context: 2'"),
        ({"transforms": [COUPLING], "context": 3}, zoo.Shape(2), "2 numbers, got 3"),
    ],
)
def test_flow_refuses(node: dict[str, Any], latent: zoo.Shape, message: str) -> None:
    with pytest.raises(zoo.SpecError, match=message):
        zoo.declare(Posterior, {"type": "flow", **node})(latent)


@pytest.mark.parametrize("latent", [zoo.Shape(3), zoo.Shape(3, 1), zoo.Shape(2, 2, 2)], ids=str)
def test_categories_need_two_sizes(latent: zoo.Shape) -> None:
    with pytest.raises(zoo.SpecError, match="variables and categories"):
        zoo.declare(Posterior, "categorical")(latent)


def test_categories_are_relaxed_in_training_and_drawn_in_evaluation() -> None:
    relaxed, through = (built(name, zoo.Shape(4, 3)) for name in ("categorical", "categorical_straight_through"))
    h = answers(relaxed)
    hard, same = (drawn(posterior, h, 3).z for posterior in (relaxed, through))
    soft, still_hard = (drawn(posterior.train(), h, 3).z for posterior in (relaxed, through))
    assert torch.equal(hard, same)
    assert torch.equal(hard, still_hard)
    assert torch.equal(hard.sort(-1).values[..., -1], torch.ones(3, 4, 4, dtype=torch.float64))
    assert torch.equal(soft.argmax(-1), hard.argmax(-1))
    assert torch.allclose(soft.sum(-1), torch.ones(3, 4, 4, dtype=torch.float64))
    assert 0 < soft.min() < soft.max() < 1


def test_a_cold_relaxation_is_all_but_one_hot() -> None:
    h = torch.zeros(200, 4, 3, dtype=torch.float64)
    cold, warm = (
        built({"type": "categorical", "temperature": temperature}, zoo.Shape(4, 3)).train()
        for temperature in (0.01, 5.0)
    )
    assert drawn(cold, h, 1).z.max(-1).values.mean() > 0.98
    assert drawn(warm, h, 1).z.max(-1).values.mean() < 0.5


def test_the_temperature_falls_to_its_least() -> None:
    posterior: Any = built({"type": "categorical", "temperature": 2.0, "anneal": 0.1, "least": 0.5}, zoo.Shape(4, 3))
    found = [posterior.temperature.item()]
    for step in (0, 9, 99):
        posterior.after_step(zoo.Clock(torch.tensor(step), 100))
        found.append(posterior.temperature.item())
    assert found == pytest.approx([2.0, 2.0 * math.exp(-0.1), 2.0 * math.exp(-1.0), 0.5])
    assert "temperature" in posterior.state_dict()


def test_the_temperature_stays_unless_it_is_annealed() -> None:
    posterior: Any = built({"type": "categorical", "least": 1.0}, zoo.Shape(4, 3))
    posterior.after_step(zoo.Clock(torch.tensor(1000), 2000))
    assert posterior.temperature.item() == pytest.approx(0.67)


def test_a_least_temperature_above_the_first_is_refused() -> None:
    with pytest.raises(zoo.SpecError, match=r"minimum temperature \(1\) must not exceed the initial one \(0\.67\)"):
        zoo.declare(Posterior, {"type": "categorical", "anneal": 0.1, "least": 1.0})(zoo.Shape(4, 3))


def test_straight_through_has_the_gradient_of_the_relaxation() -> None:
    gradients = []
    for name in ("categorical", "categorical_straight_through"):
        posterior = built(name, zoo.Shape(4, 3)).train()
        h = answers(posterior).requires_grad_()
        weights = torch.linspace(-1, 1, 12, dtype=torch.float64).reshape(4, 3)
        (gradient,) = torch.autograd.grad((weights * drawn(posterior, h, 3).z).sum(), h)
        gradients.append(gradient)
    assert gradients[0].any()
    assert torch.equal(*gradients)


def test_categories_diverge_from_uniform_by_their_entropy() -> None:
    posterior = built("categorical", zoo.Shape(2, 4))
    h = torch.tensor([[[0.0, 0, 0, 0], [0, 0, 0, 60]]], dtype=torch.float64)
    divergence = posterior.divergence(h, prior_of(posterior))
    assert divergence is not None
    assert torch.allclose(divergence, torch.tensor([[0.0, math.log(4)]], dtype=torch.float64))


def test_a_mixture_draws_of_each_component_alike() -> None:
    posterior = built({"type": "mixture", "components": 2}, zoo.Shape(1))
    logits, mu, log_var = [math.log(3.0), 0.0], [-10.0, 10.0], [0.0, 0.0]
    h = torch.tensor([logits + mu + log_var], dtype=torch.float64)
    z, _, log_weight = drawn(posterior, h, 100)
    left = z.flatten() < 0
    assert left.sum() == 100
    assert torch.allclose(log_weight.exp().flatten()[left].sum(), torch.tensor(0.75, dtype=torch.float64))
    assert posterior.mean(h).item() == pytest.approx(-5.0)
