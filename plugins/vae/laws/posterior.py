"""Laws of posteriors: draws, densities and divergences that belong together, with the gradients of expectations."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import gradcheck

from zoo import Distribution, Event, Shape, declare
from zoo.testing import Laws, perturb, require

from ..posteriors.base import Draws, Posterior
from ..posteriors.one_hot import OneHot
from ..priors import UniformCategories

LATENTS = (Shape(1), Shape(3), Shape(4, 3), Shape(2, 2, 2))
DRAWS = 10000
CHUNKS = 20
SIGMAS = 5.0
"""How many standard errors a mean may be off."""


def answers(posterior: Posterior, n: int = 4, scale: float = 0.3, seed: int = 0) -> Tensor:
    """Possible outputs of an encoder, ``[n, *encoded]``, in float64."""
    noise = torch.Generator().manual_seed(seed)
    return scale * torch.randn(n, *posterior.encoded, generator=noise, dtype=torch.float64)


def drawn(posterior: Posterior, h: Tensor, n: int, seed: int = 0) -> Draws:
    """Draws by a seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return posterior.draw(h, n)


def agree(values: Tensor, wanted: Tensor | float, what: str) -> None:
    """LawBroken unless the mean of independent estimates ``[N, ...]`` is the expected value, within its error."""
    error = values.std(0) / math.sqrt(values.shape[0])
    off = (values.mean(0) - wanted).detach().abs()
    require((off <= SIGMAS * error + 1e-9).all(), f"{what}: off by up to {float(off.max()):.2g}")


def chunked(values: Tensor) -> Tensor:
    """Sums over draws ``[S, ...]`` as the mean of separate estimates ``[CHUNKS, ...]``; strata stay together."""
    return CHUNKS * values.reshape(CHUNKS, -1, *values.shape[1:]).sum(1)


def prior_of(posterior: Posterior) -> Any:
    """A prior for which closed forms are known: of categories, or normals that are not standard."""
    if isinstance(posterior, OneHot):
        return UniformCategories(Event("point", Shape(2)), posterior.latent).double()
    prior: Any = declare(Distribution, "normal")(posterior.latent)
    perturb(prior.double(), seed=2)
    return prior.requires_grad_(False)


def log_prior(prior: Any, z: Tensor) -> Tensor:
    """The prior's log-density of latents ``[S, B, *latent]``."""
    log_p: Tensor = prior.log_prob(z.flatten(0, 1), None)
    return log_p.reshape(z.shape[:2])


def draws_have_form(posterior: Posterior, h: Tensor) -> None:
    """The number of draws is a multiple of n, their dtype that of h, and their weights sum to one."""
    for n in (1, 3):
        z, log_q, log_weight = drawn(posterior, h, n)
        S, B = z.shape[0], h.shape[0]
        require(S % n == 0, f"got {S} draws, expected a multiple of {n}")
        require(z.shape == (S, B, *posterior.latent), f"latents have the shape {list(z.shape)}")
        require(log_q.shape == log_weight.shape == (S, B), f"log_q and log_weight must be {[S, B]}")
        dtypes = {x.dtype for x in (z, log_q, log_weight, posterior.mean(h))}
        require(dtypes == {torch.float64}, f"for float64 it returns {dtypes}")
        require((log_weight.exp().sum(0) - 1).abs().max() < 1e-12, "the weights of the draws must sum to one")


def draws_score_themselves(posterior: Posterior, h: Tensor) -> None:
    """``log_q`` of the draws is `log_prob` of them, in both modes."""
    for training in (False, True):
        z, log_q, _ = drawn(posterior.train(training), h, 5)
        same = torch.allclose(posterior.log_prob(z, h), log_q, rtol=1e-9, atol=1e-9)
        require(same, f"log_q is not the log_prob of the draws, with training={training}")


def density_normalises(posterior: Posterior, h: Tensor) -> None:
    r""":math:`\mathrm E_q[p(z) / q(z)] = 1` for a known p with lighter tails."""
    z, log_q, log_weight = drawn(posterior, h, DRAWS)
    if isinstance(posterior, OneHot):
        log_p = torch.full_like(log_q, -posterior.latent[0] * math.log(posterior.latent[1]))
    else:
        log_p = (-0.5 * ((z - 0.1) / 0.6).square() - math.log(0.6 * math.sqrt(2 * math.pi))).flatten(2).sum(2)
    agree(chunked((log_weight + log_p - log_q).exp()), 1.0, "the density does not integrate to one")


def log_prob_broadcasts(posterior: Posterior, h: Tensor) -> None:
    """Any latents of any answers: ``[A, 1, ...]`` and ``[1, B, ...]`` give ``[A, B]``."""
    z = drawn(posterior, h, 1).z[0, :3]
    pairs = posterior.log_prob(z.unsqueeze(1), h.unsqueeze(0))
    require(pairs.shape == (3, h.shape[0]), f"3 latents of {h.shape[0]} answers give {list(pairs.shape)}")
    for i, row in enumerate(pairs):
        for j, value in enumerate(row):
            off = (value - posterior.log_prob(z[i : i + 1], h[j : j + 1])).abs().max()
            require(off < 1e-9, "log_prob of a pair differs from that of the pair alone")


def rows_are_alone(posterior: Posterior, h: Tensor) -> None:
    """The draws and densities of an encoder output depend only on that output."""
    h = h.detach().requires_grad_()
    z, log_q, log_weight = drawn(posterior.train(), h, 2)
    divergence = posterior.divergence(h, prior_of(posterior))
    values = {"draws": z[:, 0], "log_q": log_q[:, 0], "log_weight": log_weight[:, 0], "mean": posterior.mean(h)[0]}
    values |= {"divergence": divergence[0]} if divergence is not None else {}
    for name, value in values.items():
        if value.requires_grad:
            (gradient,) = torch.autograd.grad(value.sin().sum(), h, retain_graph=True, allow_unused=True)
            alone = gradient is None or not gradient[1:].any()
            require(alone, f"'{name}' of an example depends on the other examples of its batch")
    same = torch.allclose(posterior.eval().mean(h)[:1], posterior.mean(h[:1]), atol=1e-12)
    require(same, "the mean of an example depends on the other examples of its batch")


def extremes_stay_finite(posterior: Posterior, h: Tensor) -> None:
    """Encoder outputs of about ten give finite values and gradients, in float64 and float32."""
    for dtype in (torch.float64, torch.float32):
        posterior.to(dtype).train()
        at = (10.0 * answers(posterior, 8, scale=1.0)).to(dtype).requires_grad_()
        z, log_q, log_weight = drawn(posterior, at, 2)
        values = [z, log_q, log_weight, posterior.mean(at), posterior.log_prob(z, at)]
        divergence = posterior.divergence(at, prior_of(posterior).to(dtype))
        values += [divergence] if divergence is not None else []
        for value in values:
            require(value.isfinite().all(), f"answers of about 10 give values in {dtype} that are not finite")
            if value.requires_grad:
                (gradient,) = torch.autograd.grad(value.sum(), at, retain_graph=True, allow_unused=True)
                finite = gradient is None or bool(gradient.isfinite().all())
                require(finite, f"answers of about 10 give gradients in {dtype} that are not finite")


def half_precision_is_widened(posterior: Posterior, h: Tensor) -> None:
    """Everything is computed in float32 from a bfloat16 output."""
    posterior.float()
    z, log_q, log_weight = drawn(posterior, h.bfloat16(), 2)
    dtypes = {x.dtype for x in (z, log_q, log_weight, posterior.log_prob(z, h.bfloat16()))}
    require(dtypes == {torch.float32}, f"for bfloat16 it returns {dtypes}: compute in float32")


def gradients_are_of_the_draws(posterior: Posterior, h: Tensor) -> None:
    """The gradients of draws, weights and densities for a fixed seed are those of finite differences."""
    if not _is_smooth(posterior, h):
        return

    def estimate(at: Tensor) -> tuple[Tensor, Tensor]:
        z, log_q, log_weight = drawn(posterior.train(), at, 2)
        squares = (z - 0.5).square().flatten(2).sum(2)
        # A result that has no gradient at all would be left out.
        return (log_weight.exp() * squares).sum(0) + 0.0 * at.sum(), (log_weight.exp() * log_q).sum(0)

    right = gradcheck(estimate, (h[:2].detach().requires_grad_(),), atol=1e-5, raise_exception=False)
    require(right, "the gradients of the draws, or of their density, differ from finite differences")


def _is_smooth(posterior: Posterior, h: Tensor) -> bool:
    """Whether draws in training change with the answer: a straight-through estimate has another gradient by intent."""
    z = drawn(posterior.train(), h, 2).z
    return not (isinstance(posterior, OneHot) and bool(((z == 0) | (z == 1)).all()))


def gradients_are_of_the_expectation(posterior: Posterior, h: Tensor) -> None:
    r""":math:`\nabla \mathrm E_q[f] = \mathrm E_q[f \nabla \log q]`, which does not depend on how draws are made."""
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
    agree(torch.stack(differences), 0.0, "the gradient of the draws is not that of an expectation over them")


def divergence_is_its_estimate(posterior: Posterior, h: Tensor) -> None:
    r"""The closed form is the mean of :math:`\log q - \log p`, and never negative."""
    prior = prior_of(posterior)
    divergence = posterior.divergence(h, prior)
    if divergence is None:
        return
    require((divergence >= -1e-12).all(), "the divergence must not be negative")
    shapes = (h.shape[0],), (h.shape[0], posterior.dimensions)
    require(divergence.shape in shapes, f"the divergence has the shape {list(divergence.shape)}")
    z, log_q, log_weight = drawn(posterior, h, DRAWS)
    log_p = log_prior(prior, z)
    whole = divergence.flatten(1).sum(1) if divergence.dim() > 1 else divergence
    agree(chunked(log_weight.exp() * (log_q - log_p)), whole, "the divergence is not the mean of log q - log p")


def after_training(posterior: Posterior, law: Callable[[Posterior, Tensor], None]) -> None:
    """Check a law on a perturbed posterior, in float64 and evaluation mode, with possible encoder outputs."""
    module: nn.Module = posterior.double()
    perturb(module, seed=1)
    law(posterior.eval(), answers(posterior))


LAWS = Laws.of(
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
    given=[(latent,) for latent in LATENTS],
    hold=after_training,
)
