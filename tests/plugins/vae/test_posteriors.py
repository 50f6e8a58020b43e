"""Every registered posterior obeys the laws of its kind, and the laws find planted defects."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor, nn
from torch.autograd import gradcheck

import zoo
from zoo.interfaces.component import kind_of
from zoo.registry.part import example_of
from zoo.registry.registry import installed
from zoo.testing import perturb

if TYPE_CHECKING:
    from plugins.vae.posteriors.base import Draws, Posterior
    from plugins.vae.posteriors.one_hot import OneHot
    from plugins.vae.priors import UniformCategories
else:
    from zoo.plugins.vae.posteriors.base import Draws, Posterior
    from zoo.plugins.vae.posteriors.one_hot import OneHot
    from zoo.plugins.vae.priors import UniformCategories

Law = Callable[[Posterior, Tensor], None]

LATENTS = (zoo.Shape(1), zoo.Shape(3), zoo.Shape(4, 3), zoo.Shape(2, 2, 2))
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
DRAWS = 10000
CHUNKS = 20
SIGMAS = 5.0


def taken() -> Iterator[Any]:
    """The posteriors from their examples on the latents that they take, and further ones."""
    for (_, name), cls in installed().components().items():
        if kind_of(cls) is Posterior:
            part = zoo.declare(Posterior, {"type": name, **example_of(cls)})
            fitting = [latent for latent in LATENTS if takes(part, latent)]
            assert fitting
            yield from (pytest.param(part, latent, id=f"{name}-{latent}") for latent in fitting)
    for label, (node, latent) in FURTHER.items():
        yield pytest.param(zoo.declare(Posterior, node), latent, id=label)


def takes(part: zoo.Part[Posterior], latent: zoo.Shape) -> bool:
    try:
        part(latent)
    except zoo.SpecError as error:
        if isinstance(error.__cause__, ValueError):
            return False
        raise
    return True


def built(part: zoo.Part[Posterior], latent: zoo.Shape) -> Posterior:
    """As after some training, in float64 and evaluation mode."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        posterior = part(latent)
    posterior.double()
    perturb(posterior, seed=1)
    return posterior.eval()


def answers(posterior: Posterior, n: int = 4, scale: float = 0.3, seed: int = 0) -> Tensor:
    noise = torch.Generator().manual_seed(seed)
    return scale * torch.randn(n, *posterior.encoded, generator=noise, dtype=torch.float64)


def drawn(posterior: Posterior, h: Tensor, n: int, seed: int = 0) -> Draws:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return posterior.draw(h, n)


def require(holds: bool | Tensor) -> None:
    """Of laws: what pytest rewrites only in test functions."""
    if not bool(holds):
        raise AssertionError


def agree(values: Tensor, wanted: Tensor | float) -> None:
    """The mean of independent estimates ``[N, ...]`` is what was wanted, within its error."""
    error = values.std(0) / math.sqrt(values.shape[0])
    require(((values.mean(0) - wanted).abs() <= SIGMAS * error + 1e-9).all())


def chunked(values: Tensor) -> Tensor:
    """Sums over draws ``[S, ...]`` as the mean of estimates of their own ``[CHUNKS, ...]``; strata stay together."""
    return CHUNKS * values.reshape(CHUNKS, -1, *values.shape[1:]).sum(1)


# -- the laws ----------------------------------------------------------------------------------------------------------


def draws_have_form(posterior: Posterior, h: Tensor) -> None:
    """A multiple of n, in the dtype of h, whose weights sum to one."""
    for n in (1, 3):
        z, log_q, log_weight = drawn(posterior, h, n)
        S, B = z.shape[0], h.shape[0]
        require(S % n == 0)
        require(z.shape == (S, B, *posterior.latent))
        require(log_q.shape == log_weight.shape == (S, B))
        require({x.dtype for x in (z, log_q, log_weight, posterior.mean(h))} == {torch.float64})
        require((log_weight.exp().sum(0) - 1).abs().max() < 1e-12)


def draws_score_themselves(posterior: Posterior, h: Tensor) -> None:
    for training in (False, True):
        z, log_q, _ = drawn(posterior.train(training), h, 5)
        require(torch.allclose(posterior.log_prob(z, h), log_q, rtol=1e-9, atol=1e-9))


def density_normalises(posterior: Posterior, h: Tensor) -> None:
    r""":math:`\mathrm E_q[p(z) / q(z)] = 1` for a known p with lighter tails."""
    z, log_q, log_weight = drawn(posterior, h, DRAWS)
    if isinstance(posterior, OneHot):
        log_p = torch.full_like(log_q, -posterior.latent[0] * math.log(posterior.latent[1]))
    else:
        log_p = (-0.5 * ((z - 0.1) / 0.6).square() - math.log(0.6 * math.sqrt(2 * math.pi))).flatten(2).sum(2)
    agree(chunked((log_weight + log_p - log_q).exp()), 1.0)


def log_prob_broadcasts(posterior: Posterior, h: Tensor) -> None:
    """Any latents of any answers: ``[A, 1, ...]`` and ``[1, B, ...]`` give ``[A, B]``."""
    z = drawn(posterior, h, 1).z[0, :3]
    pairs = posterior.log_prob(z.unsqueeze(1), h.unsqueeze(0))
    for i, row in enumerate(pairs):
        for j, value in enumerate(row):
            require((value - posterior.log_prob(z[i : i + 1], h[j : j + 1])).abs().max() < 1e-9)
    require(pairs.shape == (3, h.shape[0]))


def rows_are_alone(posterior: Posterior, h: Tensor) -> None:
    """What belongs to an answer depends on that answer alone."""
    h = h.detach().requires_grad_()
    z, log_q, log_weight = drawn(posterior.train(), h, 2)
    divergence = posterior.divergence(h, prior_of(posterior))
    values = [z[:, 0], log_q[:, 0], log_weight[:, 0], posterior.mean(h)[0]]
    values += [divergence[0]] if divergence is not None else []
    for value in values:
        if value.requires_grad:
            (gradient,) = torch.autograd.grad(value.sin().sum(), h, retain_graph=True, allow_unused=True)
            require(gradient is None or not gradient[1:].any())
    require(torch.allclose(posterior.eval().mean(h)[:1], posterior.mean(h[:1]), atol=1e-12))


def extremes_stay_finite(posterior: Posterior, h: Tensor) -> None:
    for dtype in (torch.float64, torch.float32):
        posterior.to(dtype).train()
        at = (10.0 * answers(posterior, 8, scale=1.0)).to(dtype).requires_grad_()
        z, log_q, log_weight = drawn(posterior, at, 2)
        values = [z, log_q, log_weight, posterior.mean(at), posterior.log_prob(z, at)]
        divergence = posterior.divergence(at, prior_of(posterior).to(dtype))
        values += [divergence] if divergence is not None else []
        for value in values:
            require(value.isfinite().all())
            if value.requires_grad:
                (gradient,) = torch.autograd.grad(value.sum(), at, retain_graph=True, allow_unused=True)
                require(gradient is None or gradient.isfinite().all())


def half_precision_is_widened(posterior: Posterior, h: Tensor) -> None:
    posterior.float()
    z, log_q, log_weight = drawn(posterior, h.bfloat16(), 2)
    require({x.dtype for x in (z, log_q, log_weight, posterior.log_prob(z, h.bfloat16()))} == {torch.float32})


def gradients_are_of_the_draws(posterior: Posterior, h: Tensor) -> None:
    """Of one seed's draws, weights and densities, against finite differences."""
    if type(posterior).__name__ == "CategoricalStraightThrough":  # it has another gradient by definition
        return

    def estimate(at: Tensor) -> tuple[Tensor, Tensor]:
        z, log_q, log_weight = drawn(posterior.train(), at, 2)
        squares = (z - 0.5).square().flatten(2).sum(2)
        # A result that has no gradient at all would be left out.
        return (log_weight.exp() * squares).sum(0) + 0.0 * at.sum(), (log_weight.exp() * log_q).sum(0)

    require(gradcheck(estimate, (h[:2].detach().requires_grad_(),), atol=1e-5))


def gradients_are_of_the_expectation(posterior: Posterior, h: Tensor) -> None:
    r""":math:`\nabla \mathrm E_q[f] = \mathrm E_q[f \nabla \log q]`, which knows nothing of how a draw is made."""
    if isinstance(posterior, OneHot):  # a relaxation has the gradient of another expectation
        return
    differences = []
    for seed in range(CHUNKS):
        at = h[:2].detach().requires_grad_()
        z, _, log_weight = drawn(posterior, at, 1000, seed)
        f = (z - 0.5).square().flatten(2).sum(2)
        (path,) = torch.autograd.grad((log_weight.exp() * f).sum(), at)
        weight = log_weight.exp().detach()
        baseline = (weight * f).sum(0).detach()
        log_q = posterior.log_prob(z.detach(), at)
        (score,) = torch.autograd.grad((weight * (f.detach() - baseline) * log_q).sum(), at)
        differences.append(path - score)
    agree(torch.stack(differences), 0.0)


def divergence_is_its_estimate(posterior: Posterior, h: Tensor) -> None:
    r"""The closed form is the mean of :math:`\log q - \log p`, and never negative."""
    prior = prior_of(posterior)
    divergence = posterior.divergence(h, prior)
    if divergence is None:
        return
    require((divergence >= -1e-12).all())
    require(divergence.shape in ((h.shape[0],), (h.shape[0], posterior.dimensions)))
    z, log_q, log_weight = drawn(posterior, h, DRAWS)
    log_p = log_prior(prior, z)
    agree(
        chunked(log_weight.exp() * (log_q - log_p)),
        divergence.flatten(1).sum(1) if divergence.dim() > 1 else divergence,
    )


LAWS: list[Law] = [
    draws_have_form,
    draws_score_themselves,
    density_normalises,
    log_prob_broadcasts,
    rows_are_alone,
    extremes_stay_finite,
    half_precision_is_widened,
    gradients_are_of_the_draws,
    gradients_are_of_the_expectation,
    divergence_is_its_estimate,
]


def prior_of(posterior: Posterior) -> Any:
    """One that closed forms are known with: of categories, or normals that are not standard."""
    if isinstance(posterior, OneHot):
        return UniformCategories(zoo.Event("point", zoo.Shape(2)), posterior.latent).double()
    prior = zoo.declare(zoo.Distribution, "normal")(posterior.latent).double()
    perturb(prior, seed=2)
    return prior.requires_grad_(False)


def log_prior(prior: Any, z: Tensor) -> Tensor:
    flat = z.flatten(0, 1)
    log_p: Tensor = prior.log_prob(flat, None)
    return log_p.reshape(z.shape[:2])


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)
@pytest.mark.parametrize(("part", "latent"), list(taken()))
def test_law(part: zoo.Part[Posterior], latent: zoo.Shape, law: Law) -> None:
    posterior = built(part, latent)
    law(posterior, answers(posterior))


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


PLANTED: list[tuple[type[Sound], Law]] = [
    (Unweighted, draws_have_form),
    (Mistaken, draws_score_themselves),
    (Unnormalised, density_normalises),
    (Pairwise, log_prob_broadcasts),
    (Normalised, rows_are_alone),
    (Overflowing, extremes_stay_finite),
    (Narrow, half_precision_is_widened),
    (Detached, gradients_are_of_the_draws),
    (Chosen, gradients_are_of_the_expectation),
    (Halved, divergence_is_its_estimate),
]


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)
def test_the_sound_one_obeys(law: Law) -> None:
    posterior = Sound(zoo.Shape(3))
    law(posterior, answers(posterior))


@pytest.mark.parametrize(("cls", "law"), PLANTED, ids=lambda value: value.__name__)
def test_planted_defect_is_found(cls: type[Sound], law: Law) -> None:
    posterior = cls(zoo.Shape(3))
    with pytest.raises((AssertionError, RuntimeError)):
        law(posterior, answers(posterior))


def test_every_law_has_a_defect_that_it_finds() -> None:
    assert [law for _, law in PLANTED] == LAWS


# -- each of them ------------------------------------------------------------------------------------------------------


def posterior_of(node: Any, latent: zoo.Shape) -> Posterior:
    return built(zoo.declare(Posterior, node), latent)


@pytest.mark.parametrize("name", ["diagonal_normal", "full_normal", "mixture", "categorical"])
def test_mean_is_that_of_the_draws(name: str) -> None:
    posterior = posterior_of(name, zoo.Shape(4, 3))
    h = answers(posterior, scale=1.0)
    z, _, log_weight = drawn(posterior, h, DRAWS)
    agree(chunked(log_weight.exp()[..., None, None] * z), posterior.mean(h))


@pytest.mark.parametrize("name", ["diagonal_normal", "full_normal"])
def test_divergence_is_zero_at_the_prior(name: str) -> None:
    posterior = posterior_of(name, zoo.Shape(3))
    prior = prior_of(posterior)
    m, log_s = prior.moments()
    h = torch.cat((m, 2 * log_s, m.new_zeros(posterior.encoded.size - 6))).unsqueeze(0)
    divergence = posterior.divergence(h, prior)
    assert divergence is not None
    assert divergence.abs().max() < 1e-15


def test_full_covariance_is_that_of_its_factor() -> None:
    posterior = posterior_of("full_normal", zoo.Shape(3))
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
    full, diagonal = (posterior_of(name, zoo.Shape(3)) for name in ("full_normal", "diagonal_normal"))
    h = answers(diagonal)
    padded = torch.cat((h, h.new_zeros(h.shape[0], 3)), dim=1)
    (z, log_q, _), (same, same_q, _) = drawn(full, padded, 2), drawn(diagonal, h, 2)
    assert torch.allclose(z, same)
    assert torch.allclose(log_q, same_q)


def test_full_covariance_survives_autocast() -> None:
    posterior = posterior_of("full_normal", zoo.Shape(5)).float()
    h = answers(posterior, scale=1.0).float()
    with torch.autocast("cpu", torch.bfloat16):
        z, log_q, _ = posterior.draw(h, 3)
        assert torch.allclose(posterior.log_prob(z, h), log_q, atol=1e-3)


def test_flow_context_reaches_the_latent() -> None:
    """With one draw of the normal, another context gives another latent and density."""
    posterior = posterior_of(IAF, zoo.Shape(3))
    h = answers(posterior, 1).expand(2, -1).clone()
    h[1, -2:] += 1.0
    assert not torch.allclose(*posterior.mean(h))
    assert not torch.allclose(*posterior.log_prob(torch.zeros(2, 3, dtype=torch.float64), h))


def test_flow_code_is_where_its_draws_shrink_to() -> None:
    posterior = posterior_of(IAF, zoo.Shape(3))
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
        ({"transforms": [COUPLING], "context": 3}, zoo.Shape(2), "2 numbers, not 3"),
    ],
)
def test_flow_refuses(node: dict[str, Any], latent: zoo.Shape, message: str) -> None:
    with pytest.raises(zoo.SpecError, match=message):
        zoo.declare(Posterior, {"type": "flow", **node})(latent)


@pytest.mark.parametrize("latent", [zoo.Shape(3), zoo.Shape(3, 1), zoo.Shape(2, 2, 2)], ids=str)
def test_categories_need_two_sizes(latent: zoo.Shape) -> None:
    with pytest.raises(zoo.SpecError, match="variables and their categories"):
        zoo.declare(Posterior, "categorical")(latent)


def test_categories_are_relaxed_in_training_and_drawn_in_evaluation() -> None:
    relaxed, through = (posterior_of(name, zoo.Shape(4, 3)) for name in ("categorical", "categorical_straight_through"))
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
        posterior_of({"type": "categorical", "temperature": temperature}, zoo.Shape(4, 3)).train()
        for temperature in (0.01, 5.0)
    )
    assert drawn(cold, h, 1).z.max(-1).values.mean() > 0.98
    assert drawn(warm, h, 1).z.max(-1).values.mean() < 0.5


def test_the_temperature_falls_to_its_least() -> None:
    posterior: Any = posterior_of(
        {"type": "categorical", "temperature": 2.0, "anneal": 0.1, "least": 0.5}, zoo.Shape(4, 3)
    )
    found = [posterior.temperature.item()]
    for step in (0, 9, 99):
        posterior.after_step(zoo.Clock(torch.tensor(step), 100))
        found.append(posterior.temperature.item())
    assert found == pytest.approx([2.0, 2.0 * math.exp(-0.1), 2.0 * math.exp(-1.0), 0.5])
    assert "temperature" in posterior.state_dict()


def test_the_temperature_stays_unless_it_is_annealed() -> None:
    posterior: Any = posterior_of({"type": "categorical", "least": 1.0}, zoo.Shape(4, 3))
    posterior.after_step(zoo.Clock(torch.tensor(1000), 2000))
    assert posterior.temperature.item() == pytest.approx(0.67)


def test_a_least_temperature_above_the_first_is_refused() -> None:
    with pytest.raises(zoo.SpecError, match=r"least temperature, 1, is above the first, 0\.67"):
        zoo.declare(Posterior, {"type": "categorical", "anneal": 0.1, "least": 1.0})(zoo.Shape(4, 3))


def test_straight_through_has_the_gradient_of_the_relaxation() -> None:
    gradients = []
    for name in ("categorical", "categorical_straight_through"):
        posterior = posterior_of(name, zoo.Shape(4, 3)).train()
        h = answers(posterior).requires_grad_()
        weights = torch.linspace(-1, 1, 12, dtype=torch.float64).reshape(4, 3)
        (gradient,) = torch.autograd.grad((weights * drawn(posterior, h, 3).z).sum(), h)
        gradients.append(gradient)
    assert gradients[0].any()
    assert torch.equal(*gradients)


def test_categories_diverge_from_uniform_by_their_entropy() -> None:
    posterior = posterior_of("categorical", zoo.Shape(2, 4))
    h = torch.tensor([[[0.0, 0, 0, 0], [0, 0, 0, 60]]], dtype=torch.float64)
    divergence = posterior.divergence(h, prior_of(posterior))
    assert divergence is not None
    assert torch.allclose(divergence, torch.tensor([[0.0, math.log(4)]], dtype=torch.float64))


def test_a_mixture_draws_of_each_component_alike() -> None:
    posterior = posterior_of({"type": "mixture", "components": 2}, zoo.Shape(1))
    logits, mu, log_var = [math.log(3.0), 0.0], [-10.0, 10.0], [0.0, 0.0]
    h = torch.tensor([logits + mu + log_var], dtype=torch.float64)
    z, _, log_weight = drawn(posterior, h, 100)
    left = z.flatten() < 0
    assert left.sum() == 100
    assert torch.allclose(log_weight.exp().flatten()[left].sum(), torch.tensor(0.75, dtype=torch.float64))
    assert posterior.mean(h).item() == pytest.approx(-5.0)
