"""Objectives of variational autoencoders, on linear normal models where everything has a closed form."""

from __future__ import annotations

import math
from collections.abc import Callable
from importlib import import_module
from itertools import permutations
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

import zoo
from zoo.assembly.parameters import names_of
from zoo.registry.part import parameters_of

covariance_of_means: Callable[[Tensor], Tensor] = import_module("zoo.plugins.vae.objectives.dip").covariance_of_means
permuted: Callable[[Tensor], Tensor] = import_module("zoo.plugins.vae.objectives.factor").permuted
stratified: Callable[[int, int], Tensor] = import_module("zoo.plugins.vae.objectives.tc").stratified
Posterior: Any = import_module("zoo.plugins.vae.posteriors.base").Posterior
VariationalObjective: Any = import_module("zoo.plugins.vae.objectives.base").VariationalObjective
VAE: Any = import_module("zoo.plugins.vae.vae").VAE

EVENT = zoo.Event("point", zoo.Shape(3))
NOISE = 0.5
LOADING = torch.tensor([[1.0, 0.0], [1.0, 2.0], [1.0, -2.0]], dtype=torch.float64)
"""With orthogonal columns, so that the true posterior is of independent numbers."""


def log_normal(x: Tensor, mean: Tensor | float = 0.0, scale: Tensor | float = 1.0) -> Tensor:
    scale = torch.as_tensor(scale, dtype=x.dtype)
    return -0.5 * ((x - mean) / scale).square() - scale.log() - 0.5 * math.log(2.0 * math.pi)


class LineEncoder(zoo.Encoder):
    """A linear encoder."""

    def __init__(self, in_shape: zoo.Shape, out_shape: zoo.Shape) -> None:
        super().__init__(in_shape, out_shape)
        self.line = nn.Linear(in_shape.size, out_shape.size)

    def forward(self, x: Tensor) -> Tensor:
        h: Tensor = self.line(x)
        return h


class LineDecoder(zoo.Decoder):
    """A linear decoder."""

    def __init__(self, in_shape: zoo.Shape, out_shape: zoo.Shape) -> None:
        super().__init__(in_shape, out_shape)
        self.line = nn.Linear(in_shape.size, out_shape.size)

    def forward(self, z: Tensor) -> Tensor:
        h: Tensor = self.line(z)
        return h


class Normals(zoo.Likelihood):
    """Independent normals of one spread about a decoder's answer."""

    density = True
    bounded = False

    def __init__(self, event: zoo.Event) -> None:
        super().__init__(event)
        self.decoded = event.shape
        self.noise_size = event.shape.size

    def log_prob(self, x: Tensor, context: Tensor) -> Tensor:
        return log_normal(x, context, NOISE).sum(1)

    def mean(self, context: Tensor) -> Tensor:
        return context

    def noise(self, n: int, temperature: float = 1.0) -> Tensor:
        return torch.randn(n, self.noise_size)

    def draw(self, context: Tensor, noise: Tensor) -> Tensor:
        return context + NOISE * noise


def part(cls: type[Any]) -> Any:
    return zoo.Part(cls, "here", parameters_of(cls).model_validate({}))


def model(objective: Any, weighting: Any = "beta", seed: int = 0) -> Any:
    """A linear variational autoencoder, in float64, of any start."""
    torch.manual_seed(seed)
    return VAE(
        EVENT,
        latent=2,
        encoder=part(LineEncoder),
        decoder=part(LineDecoder),
        likelihood=part(Normals),
        posterior=zoo.declare(Posterior, "diagonal_normal"),
        prior=zoo.declare(zoo.Distribution, "standard_normal"),
        weighting=zoo.declare(zoo.Weighting, weighting),
        objective=zoo.declare(VariationalObjective, objective),
    ).double()


def fill(net: nn.Module, weight: Tensor, bias: Tensor) -> None:
    net.get_parameter("line.weight").data.copy_(weight)
    net.get_parameter("line.bias").data.copy_(bias)


def encode_by(vae: Any, weight: Tensor, variance: Tensor) -> None:
    """Let the posterior have means of these weights, and these variances."""
    fill(vae.encoder, torch.cat((weight, torch.zeros_like(weight))), torch.cat((torch.zeros(2), variance.log())))


def solved(objective: Any) -> Any:
    """The model :math:`x = W z + \\sigma \\epsilon` with its true posterior."""
    vae = model(objective)
    precision = torch.eye(2, dtype=torch.float64) + LOADING.mT @ LOADING / NOISE**2
    variance = precision.inverse()
    fill(vae.decoder, LOADING, torch.zeros(3))
    encode_by(vae, variance @ LOADING.mT / NOISE**2, variance.diagonal())
    return vae


def data(n: int, seed: int = 0) -> Tensor:
    return torch.randn(n, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def run(vae: Any, x: Tensor, seed: int = 0, player: str = "model") -> zoo.Terms:
    torch.manual_seed(seed)
    terms: zoo.Terms = vae({"point": x}, zoo.Clock(torch.zeros((), dtype=torch.int64), 10, player))
    return terms


def gradients(vae: Any, loss: Tensor) -> list[Tensor]:
    return list(torch.autograd.grad(loss, list(vae.parameters())))


# -- what each example says of itself, one number at a time -----------------------------------------------------------


class One(NamedTuple):
    """The posterior of one example."""

    mean: Tensor
    sigma: Tensor

    def log_prob(self, z: Tensor) -> Tensor:
        return log_normal(z, self.mean, self.sigma)


def one_by_one(vae: Any, x: Tensor, draws: int, seed: int = 0) -> tuple[list[One], Tensor]:
    """The posteriors of examples, one object each, and the latents that the same seed draws."""
    torch.manual_seed(seed)
    h = vae.encoder(x)
    return [One(row[:2], (0.5 * row[2:]).exp()) for row in h], vae.posterior.draw(h, draws).z


def reconstruction(vae: Any, x: Tensor, z: Tensor) -> Tensor:
    return -log_normal(x, vae.decoder(z), NOISE).sum()


def naive_iwae(vae: Any, x: Tensor, draws: int) -> Tensor:
    q, z = one_by_one(vae, x, draws)
    bounds = []
    for b in range(len(x)):
        w = []
        for k in range(draws):
            log_joint = log_normal(z[k, b]).sum() - reconstruction(vae, x[b], z[k, b])
            w.append((log_joint - q[b].log_prob(z[k, b]).sum()).exp())
        bounds.append((torch.stack(w).sum() / draws).log())
    return -torch.stack(bounds).mean()


def naive_tc(vae: Any, x: Tensor, alpha: float, beta: float, gamma: float, size: int) -> Tensor:
    q, z = one_by_one(vae, x, 1)
    others, losses = len(x) - 1, []
    for i in range(len(x)):
        weights = [1.0 / others] * len(x)
        weights[i] = 1.0 / size
        weights[i - 1] = (size - others) / (size * others)
        log_q = [q[m].log_prob(z[0, i]) for m in range(len(x))]
        joint = torch.stack([w * log_q[m].sum().exp() for m, w in enumerate(weights)]).sum().log()
        each = [torch.stack([w * log_q[m][j].exp() for m, w in enumerate(weights)]).sum().log() for j in range(2)]
        product = each[0] + each[1]
        divergence = alpha * (log_q[i].sum() - joint) + beta * (joint - product)
        divergence = divergence + gamma * (product - log_normal(z[0, i]).sum())
        losses.append(reconstruction(vae, x[i], z[0, i]) + divergence)
    return torch.stack(losses).mean()


def naive_dip(vae: Any, x: Tensor, od: float, d: float, with_variance: bool) -> Tensor:
    q, z = one_by_one(vae, x, 1)
    loss = torch.zeros((), dtype=torch.float64)
    centre = torch.stack([p.mean for p in q]).mean(0)
    for i, p in enumerate(q):
        kl = 0.5 * (p.sigma**2 + p.mean**2 - 1.0 - 2.0 * p.sigma.log()).sum()
        loss = loss + (kl + reconstruction(vae, x[i], z[0, i])) / len(x)
    for i in range(2):
        for j in range(2):
            c = torch.stack([(p.mean[i] - centre[i]) * (p.mean[j] - centre[j]) for p in q]).mean()
            if i == j and with_variance:
                c = c + torch.stack([p.sigma[i] ** 2 for p in q]).mean()
            loss = loss + (d * (c - 1.0) ** 2 if i == j else od * c**2)
    return loss


NAIVE: dict[str, tuple[Any, Callable[[Any, Tensor], Tensor]]] = {
    "iwae": ({"type": "iwae", "draws": 4}, lambda vae, x: naive_iwae(vae, x, 4)),
    "tc": (
        {"type": "tc", "data_size": 40, "alpha": 0.7, "beta": 3.0, "gamma": 1.3},
        lambda vae, x: naive_tc(vae, x, 0.7, 3.0, 1.3, 40),
    ),
    "dip_i": (
        {"type": "dip_i", "lambda_od": 3.0, "lambda_d": 5.0},
        lambda vae, x: naive_dip(vae, x, 3.0, 5.0, False),
    ),
    "dip_ii": (
        {"type": "dip_ii", "lambda_od": 3.0, "lambda_d": 5.0},
        lambda vae, x: naive_dip(vae, x, 3.0, 5.0, True),
    ),
}


@pytest.mark.parametrize("name", NAIVE)
def test_loss_and_gradient_are_those_of_loops(name: str) -> None:
    declared, naive = NAIVE[name]
    vae, x = model(declared, seed=3), data(6)
    ours, theirs = run(vae, x).loss, naive(vae, x)
    assert ours.item() == pytest.approx(theirs.item(), rel=1e-10)
    for one, other in zip(gradients(vae, ours), gradients(vae, theirs), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-8, atol=1e-10)


# -- the importance-weighted bound ------------------------------------------------------------------------------------


@pytest.mark.parametrize("draws", [1, 7])
def test_iwae_is_the_evidence_where_the_posterior_is_true(draws: int) -> None:
    x = data(5)
    terms = run(solved({"type": "iwae", "draws": draws}), x)
    covariance = LOADING @ LOADING.mT + NOISE**2 * torch.eye(3, dtype=torch.float64)
    evidence = -0.5 * ((x @ covariance.inverse() * x).sum(1) + covariance.logdet() + 3.0 * math.log(2.0 * math.pi))
    torch.testing.assert_close(terms.logs["iwae"], evidence)


def test_iwae_by_one_draw_is_the_elbo() -> None:
    terms = run(model({"type": "iwae", "draws": 1}), data(5))
    torch.testing.assert_close(terms.logs["iwae"], terms.logs["elbo"])
    torch.testing.assert_close(terms.logs["elbo"], -(terms.logs["nll"] + terms.logs["kl"]))


def test_iwae_grows_with_the_draws() -> None:
    x = data(4).repeat(500, 1)
    bounds = [run(model({"type": "iwae", "draws": k}), x).loss.neg().item() for k in (1, 5, 50)]
    assert bounds[0] < bounds[1] - 0.5 < bounds[2] - 0.6


def test_iwae_is_what_log_weights_say() -> None:
    vae, x = model({"type": "iwae", "draws": 6}), data(5)
    bound = run(vae, x).logs["iwae"]
    torch.manual_seed(0)
    torch.testing.assert_close(bound, vae.log_weights(x, 6).logsumexp(0) - math.log(6))


@pytest.mark.parametrize("objective", ["iwae", {"type": "tc", "data_size": 9}])
def test_another_weighting_is_refused(objective: Any) -> None:
    with pytest.raises(ValueError, match="leave out the model's weighting"):
        model(objective, weighting={"type": "beta", "beta": 4.0})
    model(objective, weighting={"type": "beta", "beta": 1.0})


# -- the total correlation by strata ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("batch", "size"), [(2, 2), (2, 50), (3, 3), (5, 7), (64, 1437)])
def test_strata_sum_to_one_and_the_diagonal_is_one_of_all(batch: int, size: int) -> None:
    weights = stratified(batch, size)
    torch.testing.assert_close(weights.sum(1), torch.ones(batch, dtype=torch.float64))
    torch.testing.assert_close(weights.diagonal(), torch.full((batch,), 1.0 / size, dtype=torch.float64))
    assert (weights > 0).all()


def _expected(weights: Tensor, density: Tensor, place: int) -> float:
    """The mean over every batch with example 0 in this place of what a row makes of the densities."""
    batch, sums = len(weights), []
    for others in permutations(range(1, len(density)), batch - 1):
        numbers = list(others)
        numbers.insert(place, 0)
        sums.append((weights[place] * density[numbers]).sum().item())
    return sum(sums) / len(sums)


@pytest.mark.parametrize("place", [0, 1, 2])
def test_strata_are_unbiased(place: int) -> None:
    density = torch.tensor([9.0, 0.1, 0.4, 0.2, 0.7, 0.05], dtype=torch.float64)
    assert _expected(stratified(3, 6), density, place) == pytest.approx(density.mean().item(), rel=1e-12)


def test_strata_by_columns_are_biased() -> None:
    """The slip of well-known code: a stride of B walks down a column where one of B + 1 is the diagonal."""
    density = torch.tensor([9.0, 0.1, 0.4, 0.2, 0.7, 0.05], dtype=torch.float64)
    others, size = 2, 6
    weights = torch.full((3, 3), 1.0 / others, dtype=torch.float64)
    weights.view(-1)[:: others + 1] = 1.0 / size
    weights.view(-1)[1 :: others + 1] = (size - others) / (size * others)
    assert weights.sum(1)[0].item() == pytest.approx(1.0)
    assert _expected(weights, density, 2) > 2.0 * density.mean().item()


@pytest.mark.parametrize("batch", [1, 8])
def test_batches_that_cannot_be_strata_are_refused(batch: int) -> None:
    with pytest.raises(zoo.UsageError, match=f"got {batch}"):
        run(model({"type": "tc", "data_size": 7}), data(batch))


def test_the_three_parts_sum_to_the_divergence() -> None:
    vae = model({"type": "tc", "data_size": 4})
    sums, kl = [], torch.zeros(4, dtype=torch.float64)
    for seed in range(400):
        logs = run(vae, data(4), seed).logs
        sums.append(logs["mi"] + logs["tc"] + logs["dim_kl"])
        kl = logs["kl"]
    drawn = torch.stack(sums)
    error = drawn.std(0) / math.sqrt(len(sums))
    assert ((drawn.mean(0) - kl).abs() < 4.0 * error).all()


def test_three_equal_weights_are_the_elbo_by_one_draw() -> None:
    vae, x = model({"type": "tc", "data_size": 30, "alpha": 1.0, "beta": 1.0, "gamma": 1.0}), data(6)
    loss = run(vae, x).loss.item()
    torch.manual_seed(0)
    assert loss == pytest.approx(-vae.log_weights(x, 1).mean().item(), rel=1e-10)


def test_total_correlation_of_a_normal() -> None:
    """Means with a known covariance and noise of a known variance make a normal q(z)."""
    vae = model({"type": "tc", "data_size": 1500})
    mixing = torch.tensor([[1.0, 0.0, 0.0], [0.9, 0.3, 0.0]], dtype=torch.float64)
    variance = torch.tensor([0.2, 0.1], dtype=torch.float64)
    encode_by(vae, mixing, variance)
    with torch.no_grad():
        logs = run(vae, data(1500)).logs
    covariance = mixing @ mixing.mT + variance.diag()
    known = 0.5 * (covariance.diagonal().log().sum() - covariance.logdet())
    information = 0.5 * (covariance.logdet() - variance.log().sum())
    assert logs["tc"].mean().item() == pytest.approx(known.item(), abs=0.05)
    assert logs["mi"].mean().item() == pytest.approx(information.item(), abs=0.05)


# -- covariances ------------------------------------------------------------------------------------------------------


def test_dip_asks_nothing_of_the_identity() -> None:
    corners = torch.tensor([[1.0, 1.0, 0.0], [1.0, -1.0, 0.0], [-1.0, 1.0, 0.0], [-1.0, -1.0, 0.0]]).double()
    vae = model("dip_i")
    encode_by(vae, torch.eye(2, 3), torch.ones(2))
    terms = run(vae, corners)
    assert terms.logs["off_diagonal"].item() == terms.logs["diagonal"].item() == 0.0
    assert terms.loss.item() == pytest.approx(-terms.logs["elbo"].mean().item())


def test_dip_adds_to_what_the_weighting_makes() -> None:
    x = data(6)
    terms = run(model("dip_ii", weighting={"type": "beta", "beta": 4.0}), x)
    bound = (terms.logs["nll"] + 4.0 * terms.logs["kl"]).mean()
    penalty = 10.0 * terms.logs["off_diagonal"] + 10.0 * terms.logs["diagonal"]
    assert terms.loss.item() == pytest.approx((bound + penalty).item())
    assert {name: w.item() for name, w in terms.weights.items()} == {"beta": 4.0, "lambda_od": 10.0, "lambda_d": 10.0}


def test_covariance_is_that_of_the_empirical_distribution() -> None:
    z = data(7)
    torch.testing.assert_close(covariance_of_means(z), torch.cov(z.mT, correction=0))


# -- a discriminator of latents ---------------------------------------------------------------------------------------

SMALL = {"type": "factor", "gamma": 6.0, "discriminator": {"type": "mlp", "width": 32, "depth": 2}}


def test_permuting_keeps_the_marginals_alone() -> None:
    torch.manual_seed(0)
    z = torch.randn(4000, 1).expand(4000, 3) * torch.tensor([1.0, 2.0, 3.0])
    shuffled = permuted(z)
    assert torch.equal(shuffled.sort(0).values, z.sort(0).values)
    assert torch.corrcoef(shuffled.mT).fill_diagonal_(0.0).abs().max() < 0.06


@pytest.mark.parametrize("correlation", [0.0, 0.8])
def test_the_discriminator_tells_the_total_correlation(correlation: float) -> None:
    torch.manual_seed(0)
    objective = zoo.declare(VariationalObjective, SMALL)(2)
    optimizer = torch.optim.Adam(objective.parameters(), 3e-3)
    root = torch.tensor([[1.0, 0.0], [correlation, math.sqrt(1.0 - correlation**2)]])
    for _ in range(400):
        terms = objective.discriminate(torch.randn(512, 2) @ root.mT)
        optimizer.zero_grad()
        torch.autograd.backward(terms.loss)
        optimizer.step()
    with torch.no_grad():
        told = objective.discriminator(torch.randn(20_000, 2) @ root.mT).mean().item()
        accuracy = objective.discriminate(torch.randn(20_000, 2) @ root.mT).logs["accuracy"].item()
    assert told == pytest.approx(-0.5 * math.log(1.0 - correlation**2), abs=0.06)
    assert accuracy == pytest.approx(0.5, abs=0.02) if correlation == 0.0 else accuracy > 0.65


def test_the_discriminators_loss_is_the_mean_over_both_halves() -> None:
    r"""-1/2 E log sigma(D(z)) - 1/2 E log sigma(-D(z')), as it is documented; log 2 where D is 0."""
    torch.manual_seed(0)
    objective = zoo.declare(VariationalObjective, SMALL)(2)
    z = torch.randn(6, 2)
    torch.manual_seed(1)
    found = objective.discriminate(z).logs["bce"].item()
    torch.manual_seed(1)
    joint, apart = (objective.discriminator(half).squeeze(1) for half in (z[:3], permuted(z[3:])))
    expected = -0.5 * logsigmoid(joint).mean() - 0.5 * logsigmoid(-apart).mean()
    assert found == pytest.approx(expected.item(), rel=1e-6)
    with torch.no_grad():
        for parameter in objective.discriminator.parameters():
            parameter.zero_()
    assert objective.discriminate(z).loss.item() == pytest.approx(math.log(2.0))


def test_two_players_share_all_parameters() -> None:
    vae = model(SMALL)
    vae_player, discriminator = vae.players()
    ours, theirs = names_of(vae, vae_player), names_of(vae, discriminator)
    assert sorted(ours + theirs) == sorted(name for name, _ in vae.named_parameters())
    assert theirs == [name for name, _ in vae.named_parameters() if name.startswith("objective.discriminator.")]


def test_the_vae_is_told_what_the_discriminator_says() -> None:
    vae, x = model(SMALL), data(6)
    terms = run(vae, x, player="vae")
    _, z = one_by_one(vae, x, 1)
    torch.testing.assert_close(terms.logs["tc"], vae.objective.get_submodule("discriminator")(z[0]).squeeze(1))
    bound = (terms.logs["nll"] + terms.logs["kl"]).mean()
    assert terms.loss.item() == pytest.approx((bound + 6.0 * terms.logs["tc"].mean()).item())
    assert any(g.abs().sum() > 0 for g in torch.autograd.grad(6.0 * terms.logs["tc"].mean(), vae.encoder.parameters()))


def test_the_discriminator_teaches_the_vae_nothing() -> None:
    vae = model(SMALL)
    torch.autograd.backward(run(vae, data(7), player="discriminator").loss)
    moved = {name for name, p in vae.named_parameters() if p.grad is not None}
    assert moved == {name for name, _ in vae.named_parameters() if name.startswith("objective.discriminator.")}
