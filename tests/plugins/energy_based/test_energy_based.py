"""Energy-based models: objectives against closed forms, chains of training that resume, an early stop."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from run_equality import assert_same_run
from safetensors.torch import load_file
from torch import Tensor, nn
from two_processes import finish, together
from typer.testing import CliRunner

import zoo
from zoo.cli import app
from zoo.interfaces.capabilities import training_state
from zoo.plot.density import density_picture, density_problem
from zoo.registry.registry import installed
from zoo.run import checkpoint
from zoo.spec import load_spec

POINT = zoo.Event("point", zoo.Shape(2))
CHAINS = "objective.start.chains"


def model_of(event: zoo.Event = POINT, **values: Any) -> Any:
    node = {"type": "energy_based", "energy": "quadratic", "objective": "score_matching", **values}
    return zoo.declare(zoo.Model, node)(event)


def objective_of(name: str, **values: Any) -> Any:
    kind = installed().kinds()["energy_objective"]
    return zoo.declare(kind, {"type": name, **values})(POINT).double()


def lively(name: str, **values: Any) -> Any:
    """An energy with random parameters, in float64."""
    torch.manual_seed(0)
    energy = zoo.declare(zoo.Energy, {"type": name, **values})(zoo.Shape(2)).double()
    with torch.no_grad():
        for p in energy.parameters():
            p.add_(0.3 * torch.randn_like(p))
    return energy


def loss_of(objective: Any, energy: zoo.Energy, x: Tensor) -> Any:
    return objective(energy, x, zoo.Clock(torch.tensor(0), 10)).loss


NET = {"net": {"type": "mlp", "width": 16, "depth": 2, "activation": "silu"}}


# -- objectives --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("probes", ["rademacher", "normal"])
def test_the_mean_of_slices_is_the_exact_trace(probes: str) -> None:
    """Loss and gradient alike."""
    energy, x = lively("network", **NET), torch.randn(1, 2, dtype=torch.float64)
    exact = loss_of(objective_of("score_matching"), energy, x)
    sliced = objective_of("sliced_score_matching", probes=probes)
    many = torch.stack([loss_of(sliced, energy, x.expand(500, 2)) for _ in range(40)])
    error = float(many.detach().std() / math.sqrt(len(many)))
    assert abs(float((many.mean() - exact).detach())) < 5.0 * error + 1e-9
    assert error < 0.2
    p = next(energy.parameters())
    ours, theirs = (torch.autograd.grad(loss, p)[0] for loss in (many.mean(), exact))
    assert torch.allclose(ours, theirs, atol=0.05 * float(theirs.abs().max()))


def test_score_matching_is_half_the_distance_of_the_scores() -> None:
    """But for a constant: between two energies the loss differs as the distance from the score of the data does."""
    torch.manual_seed(1)
    x = torch.randn(200_000, 2, dtype=torch.float64)  # its score is -x
    one, other = lively("quadratic"), lively("mixture", components=2)
    losses, distances = [], []
    for energy in (one, other):
        losses.append(loss_of(objective_of("score_matching"), energy, x))
        slope = torch.func.grad(lambda at, energy=energy: energy(at).sum())(x)
        distances.append(0.5 * (x - slope).square().sum(1).mean())
    assert float(losses[0] - losses[1]) == pytest.approx(float(distances[0] - distances[1]), rel=0.02)


def test_with_exact_negatives_the_gradient_is_that_of_the_likelihood() -> None:
    """For a mixture of which log Z and draws are known."""
    energy = lively("mixture", components=2)
    objective = objective_of("contrastive_divergence", chain={"type": "mala", "steps": 1}, start="from_data")
    torch.manual_seed(0)
    x = torch.randn(1000, 2, dtype=torch.float64)
    weight = (energy.log_weight + energy.log_scale.sum(1)).softmax(0)
    k = torch.multinomial(weight, 400_000, replacement=True)
    exact = energy.mean[k] + energy.log_scale[k].exp() * torch.randn(400_000, 2, dtype=torch.float64)
    objective.chain.forward = lambda energy, x: exact[torch.randint(len(exact), (len(x),))].detach()
    parameters = [*energy.parameters()]
    ours = torch.autograd.grad(loss_of(objective, energy, x.repeat(300, 1)), parameters)
    nll = energy(x).mean() + energy.log_partition()
    for mine, wanted in zip(ours, torch.autograd.grad(nll, parameters), strict=True):
        assert torch.allclose(mine, wanted, atol=0.02)


def test_nce_recovers_the_normalising_constant() -> None:
    """Of an energy that is held fixed but for a constant: c becomes its log Z."""
    energy = lively("quadratic").requires_grad_(False)
    L = energy.factor()
    torch.manual_seed(0)
    x = (
        energy.mean + torch.linalg.solve_triangular(L.mT, torch.randn(2, 20_000, dtype=torch.float64), upper=True).mT
    )  # covariance (L L^T)^-1
    nce = objective_of("nce")
    optimizer = torch.optim.Adam(nce.parameters(), lr=0.05)
    for _ in range(150):
        optimizer.zero_grad()
        loss_of(nce, energy, x).backward()
        optimizer.step()
    assert float(nce.log_z) == pytest.approx(float(energy.log_partition()), abs=0.03)


@pytest.mark.parametrize("name", ["quadratic", "mixture"])
def test_the_partition_function_is_that_of_a_grid(name: str) -> None:
    energy = lively(name)
    axis = torch.linspace(-12.0, 12.0, 801, dtype=torch.float64)
    log_z = (-energy(torch.cartesian_prod(axis, axis))).logsumexp(0) + 2.0 * (axis[1] - axis[0]).log()
    assert float(energy.log_partition()) == pytest.approx(float(log_z), abs=1e-6)


@pytest.mark.parametrize(
    "objective",
    [
        "score_matching",
        "sliced_score_matching",
        "denoising_score_matching",
        "nce",
        {
            "type": "contrastive_divergence",
            "chain": {"type": "langevin", "steps": 2},
            "start": {"type": "persistent", "size": 9},
        },
    ],
    ids=str,
)  # fmt: skip
def test_a_training_step_compiles(objective: Any) -> None:
    """Without a graph break, second derivatives too, to the same loss."""
    model = model_of(energy={"type": "network", **NET}, objective=objective).train()
    batch = {"point": torch.randn(8, 2)}
    clock = zoo.Clock(torch.tensor(0), 10)
    torch._dynamo.reset()
    step = torch.compile(lambda: model(batch, clock).loss, fullgraph=True, backend="aot_eager")
    losses = []
    state = {name: x.clone() for name, x in model.named_buffers()}
    for run in (step, lambda: model(batch, clock).loss):
        for name, x in model.named_buffers():
            x.copy_(state[name])
        torch.manual_seed(0)
        loss = run()
        (slope,) = torch.autograd.grad(loss, next(model.U.net.parameters()))
        losses.append((loss.detach(), slope))
    assert torch.allclose(losses[0][0], losses[1][0], rtol=1e-5, atol=1e-6)
    assert torch.allclose(losses[0][1], losses[1][1], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("objective", ["score_matching", "sliced_score_matching", "nce"])
def test_levels_have_no_score(objective: str) -> None:
    with pytest.raises(zoo.SpecError, match="2 levels"):
        model_of(zoo.Event("bits", zoo.Shape(2), levels=2), objective=objective)


def test_gibbs_needs_levels() -> None:
    with pytest.raises(zoo.SpecError, match="is continuous: use 'langevin'"):
        model_of(chain="gibbs")


# -- the model ---------------------------------------------------------------------------------------------------------


def test_draws_follow_the_energy() -> None:
    model = model_of(chain={"type": "hmc", "steps": 40, "step": 0.2, "leapfrogs": 5}).double()
    with torch.no_grad():
        model.U.mean.copy_(torch.tensor([1.0, -2.0]))
        model.U.log_diagonal.copy_(torch.tensor([0.7, 0.0]))
    torch.manual_seed(0)
    x = model.sample(4000)
    assert x.mean(0).tolist() == pytest.approx([1.0, -2.0], abs=0.08)
    assert x.std(0).tolist() == pytest.approx([math.exp(-0.7), 1.0], rel=0.06)
    cold = model.sample(4000, temperature=0.25)
    assert cold.std(0).tolist() == pytest.approx([0.5 * math.exp(-0.7), 0.5], rel=0.06)


def test_a_draw_does_not_depend_on_the_other_draws() -> None:
    """With the same noise: the first of four is the draw alone."""
    model = model_of(energy={"type": "network", **NET}).double()
    x = torch.randn(4, 2, dtype=torch.float64)
    noise = [model.chain.noise(x) for _ in range(model.chain.steps)]
    together, alone = x, x[:1]
    for each in noise:
        together = model.chain.step(model.U, together, each)
        alone = model.chain.step(model.U, alone, tuple(part[:1] for part in each))
    assert torch.allclose(together[:1], alone, atol=1e-12)


def test_levels_are_seen_between_minus_one_and_one() -> None:
    model = model_of(zoo.Event("row", zoo.Shape(2), levels=5), objective="denoising_score_matching")
    assert model.energy(torch.tensor([[0, 4], [2, 2]])).tolist() == [1.0, 0.0]
    x = model.sample(50)
    assert x.dtype == torch.uint8
    assert int(x.max()) <= 4


def test_another_chain_draws_as_a_sampler() -> None:
    model = model_of()
    node = {"type": "markov_chain", "chain": {"type": "langevin", "steps": 3}}
    assert zoo.declare(zoo.Sampler, node)(model).sample(3).shape == (3, 2)

    class Mute(zoo.Model):
        def forward(self, batch: zoo.Batch, clock: zoo.Clock) -> zoo.Terms:
            return zoo.Terms(torch.zeros(()), {})

    with pytest.raises(zoo.SpecError, match="needs an energy-based model"):
        zoo.declare(zoo.Sampler, node)(Mute(POINT))


@pytest.mark.parametrize("size", [1, 2])
def test_its_density_is_drawn_normalised_on_the_frame(size: int) -> None:
    """A constant in the energy is not seen."""
    model = model_of(zoo.Event("x", zoo.Shape(size)), energy={"type": "mixture", "components": 2})
    assert density_problem(model) is None
    model.double()
    data = {"x": torch.randn(500, size, dtype=torch.float64)}
    whole = density_picture(model, 1000, 1.0, data)
    with torch.no_grad():
        model.U.log_weight.add_(30.0)
    assert torch.equal(density_picture(model, 1000, 1.0, data), whole)
    with torch.no_grad():
        model.U.mean.add_(1.0)
    assert not torch.equal(density_picture(model, 1000, 1.0, data), whole)


# -- chains of training ------------------------------------------------------------------------------------------------

SPEC: dict[str, Any] = {
    "name": "ebm",
    "data": {"type": "toy2d", "figure": "eight_gaussians", "size": 64, "test_size": 8},
    "model": {
        "type": "energy_based",
        "energy": {"type": "network", "net": {"type": "mlp", "width": 4, "activation": "silu"}},
        "objective": {
            "type": "contrastive_divergence",
            "chain": {"type": "langevin", "steps": 3},
            "start": {"type": "persistent", "size": 200},
        },
    },
    "train": {
        "steps": 6,
        "batch": 8,
        "optimizer": {"type": "adam", "lr": 0.01},
        "ema": 0.9,
        "log_every": 2,
        "checkpoint_every": None,
    },
    "engine": {"compile": "off", "device": "cpu"},
}


def carried(run: Path) -> Any:
    home = run / "checkpoints"
    return checkpoint.load(home, checkpoint.steps(home)[-1])["training_state"]


def test_chains_are_resumed_to_the_bit_and_not_shared(tmp_path: Path) -> None:
    spec = load_spec(SPEC)
    whole = zoo.train(spec, runs=tmp_path, name="whole")
    half = zoo.train(spec, runs=tmp_path, name="half", steps=3)
    (before,) = carried(half.directory)
    assert_same_run(zoo.resume(half.directory).directory, whole.directory)
    (after,) = carried(whole.directory)
    assert list(after) == [CHAINS]
    assert not torch.equal(after[CHAINS], before[CHAINS])
    assert CHAINS not in load_file(whole.model)
    opened = zoo.load(whole.model)
    assert training_state(opened) == {}
    assert isinstance(opened, zoo.Samples)
    assert opened.sample(3).shape == (3, 2)


def test_each_process_has_its_own_chains(tmp_path: Path) -> None:
    spec = load_spec(SPEC)

    def train(name: str, steps: int | None = None) -> Path:
        finish(together(lambda rank: zoo.train(spec, runs=tmp_path, name=name, steps=steps)))
        return tmp_path / "ebm" / name

    whole, half = train("whole"), train("half", steps=3)
    first, second = carried(half)
    assert int((first[CHAINS] != second[CHAINS]).any(1).sum()) > 2 * 8
    finish(together(lambda rank: zoo.resume(half)))
    assert_same_run(half, whole)


def test_training_that_comes_apart_stops_with_advice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the loss is finite: the last checkpoint is of use."""
    monkeypatch.chdir(tmp_path)
    diverging = SPEC["model"] | {"objective": SPEC["model"]["objective"] | {"largest_gap": 1e-4}}
    with pytest.raises(zoo.Diverged, match=r"nats apart, more than 0.0001.*smaller ones.*--resume") as stopped:
        zoo.train(load_spec(SPEC | {"model": diverging}), runs=tmp_path)
    assert stopped.value.exit_code == 3
    (tmp_path / "spec.yaml").write_text(json.dumps(SPEC | {"model": diverging}))
    assert CliRunner().invoke(app, ["train", "spec.yaml"]).exit_code == 3


# -- the metric --------------------------------------------------------------------------------------------------------


def metric_of(**values: Any) -> zoo.Metric:
    built: zoo.Metric = zoo.declare(zoo.Metric, {"type": "nll_grid", **values})()
    return built


def test_the_grid_normalises_an_energy() -> None:
    model = model_of().double()
    with torch.no_grad():
        model.U.log_diagonal.copy_(torch.tensor([0.5, -0.2]))
    torch.manual_seed(0)
    x = torch.randn(2000, 2, dtype=torch.float64) * torch.tensor([math.exp(-0.5), math.exp(0.2)])
    found = metric_of(points=300).measure(model, [{"point": x[:1500]}, {"point": x[1500:]}])
    exact = float((model.energy(x) + model.U.log_partition()).mean())
    assert found["nll_grid"].value == pytest.approx(exact, abs=1e-4)
    assert (found["nll_grid"].n, found["nll_grid"].kind) == (2000, "exact")
    outside = metric_of(margin=0.0, points=300).measure(model, [{"point": 0.2 * x}])
    assert outside["nll_grid"].kind == "estimate"
    assert outside["nll_grid.edge"].value > 0.001


def test_a_likelihood_has_the_same_nats_on_the_grid() -> None:
    flow = zoo.declare(zoo.Model, {"type": "flow", "base": "standard_normal", "transforms": ["scale"]})(POINT)
    batch = {"point": torch.randn(1000, 2)}
    exact = zoo.declare(zoo.Metric, "nll")().measure(flow, [batch])["nll"].value
    assert metric_of(margin=1.0).measure(flow, [batch])["nll_grid"].value == pytest.approx(exact, abs=1e-3)


def test_what_has_no_grid_is_refused() -> None:
    class Mute(zoo.Model):
        def __init__(self, event: zoo.Event) -> None:
            super().__init__(event)
            self.weight = nn.Parameter(torch.ones(()))

        def forward(self, batch: zoo.Batch, clock: zoo.Clock) -> zoo.Terms:
            return zoo.Terms(self.weight, {})

    with pytest.raises(ValueError, match="has no density"):
        metric_of().check(Mute(POINT))
    with pytest.raises(ValueError, match="one or two continuous numbers"):
        metric_of().check(model_of(zoo.Event("row", zoo.Shape(3))))
    with pytest.raises(zoo.DataError, match="no examples"):
        metric_of().measure(model_of(), [])
