"""Restricted Boltzmann machines against enumeration."""

from __future__ import annotations

import math
from importlib import import_module
from typing import Any

import pytest
import torch
from torch import Tensor

import zoo

ais = import_module("zoo.plugins.energy_based.ais")
rbm_module = import_module("zoo.plugins.energy_based.rbm")

D, H = 5, 4
BITS = zoo.Event("bits", zoo.Shape(D), levels=2)


def rbm(hidden: int = H, scale: float = 0.8, event: zoo.Event = BITS, **values: Any) -> Any:
    torch.manual_seed(0)
    model = zoo.declare(zoo.Model, {"type": "rbm", "hidden": hidden, **values})(event).double()
    with torch.no_grad():
        for p in model.parameters():
            p.add_(scale * torch.randn_like(p))
    return model.eval()


def every(units: int) -> Tensor:
    states: Tensor = rbm_module.states(units, torch.zeros((), dtype=torch.float64))[0]
    return states


def exact(model: Any) -> Tensor:
    """The distribution over all visible states, by the sum over both sides."""
    v, h = every(D), every(model.W.shape[1])
    joint = (v @ model.b).unsqueeze(1) + (h @ model.c).unsqueeze(0) + v @ model.W @ h.T
    p: Tensor = (joint.logsumexp(1) - joint.flatten().logsumexp(0)).exp().detach()
    return p


@pytest.mark.parametrize("hidden", [3, 5, 8])
def test_the_free_energy_sums_the_hidden_units(hidden: int) -> None:
    """And the sum over either side is the partition function."""
    model = rbm(hidden)
    log_p = -model.energy(every(D).to(torch.uint8)) - model.log_partition()
    assert torch.allclose(log_p.exp(), exact(model), atol=1e-12)


def test_a_sweep_leaves_the_distribution_as_it_is() -> None:
    """The transition matrix by enumeration: it is stationary, and balance is detailed."""
    model = rbm()
    v, h = every(D), every(H)

    def conditional(states: Tensor, logits: Tensor) -> Tensor:
        """The probability of each state under independent units, ``[given, states]``."""
        p = logits.sigmoid().unsqueeze(1)
        return torch.where(states.bool(), p, 1.0 - p).prod(2)

    down, up = conditional(v, model.b + h @ model.W.T), conditional(h, model.c + v @ model.W)
    T = up @ down
    p = exact(model)
    assert torch.allclose(p @ T, p, atol=1e-12)
    assert torch.allclose(p.unsqueeze(1) * T, (p.unsqueeze(1) * T).T, atol=1e-12)
    torch.manual_seed(0)
    n = 40_000
    ends = model.sweep(v[3].expand(n, -1))
    counts = (ends.unsqueeze(1) == v).all(2).double().mean(0)
    assert float(((counts - T[3]).abs() / (T[3] * (1 - T[3]) / n).sqrt()).max().detach()) < 5.0


def test_with_exact_negatives_the_gradient_is_that_of_the_likelihood() -> None:
    model = rbm()
    data = every(D)[[1, 7, 7, 30]]
    p = exact(model)
    expected = model.free_energy(data).mean() - (p * model.free_energy(every(D))).sum()
    parameters = [model.b, model.c, model.W]
    nll = model.free_energy(data).mean() + (-model.free_energy(every(D))).logsumexp(0)
    for ours, wanted in zip(
        torch.autograd.grad(expected, parameters), torch.autograd.grad(nll, parameters), strict=True
    ):
        assert torch.allclose(ours, wanted, atol=1e-12)


def test_training_contrasts_data_with_the_ends_of_chains() -> None:
    """Persistent chains that have settled give the gradient of the likelihood."""
    model = rbm(start={"type": "persistent", "size": 20_000, "fresh": 0.0}, k=20).train()
    torch.manual_seed(1)
    data = every(D)[[1, 7, 7, 30]].repeat(5000, 1)
    loss = model({"bits": data.to(torch.uint8)}, zoo.Clock(torch.tensor(0), 10)).loss
    nll = model.free_energy(data).mean() + (-model.free_energy(every(D))).logsumexp(0)
    for ours, wanted in zip(
        torch.autograd.grad(loss, [model.c, model.W]), torch.autograd.grad(nll, [model.c, model.W]), strict=True
    ):
        assert torch.allclose(ours, wanted, atol=0.03)


def test_biases_start_at_the_log_odds_of_the_data() -> None:
    bias = rbm_module.VisibleBias(2)
    bias.initialize(torch.tensor([[1.0, 0.0], [0.0, 0.0], [1.0, 0.0], [1.0, 0.0]]))
    assert bias.b.tolist() == pytest.approx([math.log(3.0), math.log(0.02 / 0.98)], rel=1e-5)


def test_annealing_finds_the_partition_function() -> None:
    model = rbm(6)
    torch.manual_seed(0)
    data = every(D)
    log_z = ais.Annealed(model, data, 500).log_partition(500)
    assert log_z == pytest.approx(float(model.log_partition()), abs=0.03)


def test_the_bound_backwards_is_of_the_forward_chain() -> None:
    """In expectation e^bound is the probability that the forward chain ends there, also with few temperatures."""
    model = rbm(6)
    annealed = ais.Annealed(model, every(D), 4)
    torch.manual_seed(0)
    n = 20_000
    v = (torch.rand(n, D, dtype=torch.float64) < annealed.a.sigmoid()).double()
    for beta in annealed.betas[1:]:
        v = annealed._step(v, beta)
    counts = (v.unsqueeze(1) == every(D)).all(2).double().mean(0)
    log_p = torch.stack([annealed.log_prob(every(D)) for _ in range(2000)])
    p = log_p.exp().mean(0)
    error = (log_p.exp().var(0) / len(log_p) + counts * (1 - counts) / n).sqrt()
    assert float(((p - counts).abs() / error).max()) < 5.0
    assert float(p.sum()) == pytest.approx(1.0, abs=0.02)


def test_the_metric_brackets_the_exact_figure() -> None:
    model = rbm(6)
    torch.manual_seed(0)
    metric = zoo.declare(zoo.Metric, {"type": "ais", "temperatures": 300, "chains": 300, "backwards": 64})()
    found = metric.measure(model, [{"bits": every(D).to(torch.uint8)}] * 2)
    exact_nll = float((model.free_energy(every(D)) + model.log_partition()).mean())
    assert found["nll_ais.exact"].value == pytest.approx(exact_nll, abs=1e-9)
    assert found["nll_ais"].value == pytest.approx(exact_nll, abs=0.05)
    assert found["nll_raise"].value == pytest.approx(exact_nll, abs=0.2)
    assert (found["nll_ais"].kind, found["nll_raise"].kind) == ("estimate", "bound")


def test_what_is_known_stays_and_the_rest_follows_its_conditional() -> None:
    model = rbm(sweeps=15)
    mask = torch.tensor([True, True, False, False, True])
    x = torch.tensor([[1, 0, 0, 0, 1]], dtype=torch.uint8).expand(20_000, -1)
    torch.manual_seed(0)
    y = model.complete(zoo.Known(x, mask.expand_as(x)))
    assert torch.equal(y[:, mask], x[:, mask])
    free = every(2)
    rows = torch.cat([torch.tensor([[1.0, 0.0]]).expand(4, -1), free, torch.ones(4, 1)], dim=1).double()
    p = (-model.free_energy(rows)).softmax(0)
    counts = (y[:, 2:4].double().unsqueeze(1) == free).all(2).double().mean(0)
    assert float((counts - p).abs().max()) < 0.02


def test_other_data_and_other_models_are_refused() -> None:
    with pytest.raises(zoo.SpecError, match="needs two levels, but 'row' has 3 levels"):
        rbm(event=zoo.Event("row", zoo.Shape(2), levels=3))
    with pytest.raises(ValueError, match="smaller side has 21 units"):
        rbm(21, event=zoo.Event("bits", zoo.Shape(30), levels=2)).log_partition()
    flow = zoo.declare(zoo.Model, {"type": "flow", "base": "standard_normal", "transforms": ["scale"]})
    with pytest.raises(ValueError, match="needs a restricted Boltzmann machine"):
        zoo.declare(zoo.Metric, "ais")().check(flow(zoo.Event("point", zoo.Shape(2))))
