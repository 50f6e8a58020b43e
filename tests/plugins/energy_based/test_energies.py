"""Energies in the plane, points drawn from them, and flows that learn them without data."""

from __future__ import annotations

import math
from collections.abc import Callable
from importlib import import_module
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import zoo

ReverseKL = import_module("zoo.plugins.flows.objectives").ReverseKL
metric = import_module("zoo.plugins.metrics.reverse_kl")

NAMES = ("u1", "u2", "u3", "u4")
PLANE = zoo.Shape(2)
POINT = zoo.Event("point", PLANE)
ROOT = math.sqrt(2.0 * math.pi)
BETWEEN_WALLS = 8.0 + 0.4 * ROOT
"""The integral over z1 of what the walls leave: 8, and half of a normal on either side."""


def energy(name: str, **values: Any) -> zoo.Energy:
    built: zoo.Energy = zoo.declare(zoo.Energy, {"type": name, **values})(PLANE).double()
    return built


def table_1(name: str, a: float, b: float) -> float:
    """The paper's formulas, as they stand there."""
    w1 = math.sin(2.0 * math.pi * a / 4.0)
    w2 = 3.0 * math.exp(-0.5 * ((a - 1.0) / 0.6) ** 2)
    w3 = 3.0 / (1.0 + math.exp(-(a - 1.0) / 0.3))
    match name:
        case "u1":
            modes = math.exp(-0.5 * ((a - 2.0) / 0.6) ** 2) + math.exp(-0.5 * ((a + 2.0) / 0.6) ** 2)
            return 0.5 * ((math.hypot(a, b) - 2.0) / 0.4) ** 2 - math.log(modes)
        case "u2":
            return 0.5 * ((b - w1) / 0.4) ** 2
        case "u3":
            return -math.log(math.exp(-0.5 * ((b - w1) / 0.35) ** 2) + math.exp(-0.5 * ((b - w1 + w2) / 0.35) ** 2))
    return -math.log(math.exp(-0.5 * ((b - w1) / 0.4) ** 2) + math.exp(-0.5 * ((b - w1 + w3) / 0.35) ** 2))


@pytest.mark.parametrize("name", NAMES)
def test_it_is_the_energy_of_the_paper(name: str) -> None:
    points = 4.0 * torch.rand(200, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64) - 2.0
    expected = [table_1(name, a, b) for a, b in points.tolist()]
    assert energy(name)(points).tolist() == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("name", ["u2", "u3", "u4"])
def test_walls_are_smooth_and_nothing_within(name: str) -> None:
    inside, beyond = (torch.tensor([[side * at, 0.3] for side in (-1, 1)]).double() for at in (3.999, 4.8))
    near, far = energy(name), energy(name, half_width=6.0)
    assert torch.equal(near(inside), far(inside))
    assert (near(beyond) - far(beyond)).tolist() == pytest.approx([2.0, 2.0])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_far_and_at_the_centre_all_is_finite(name: str, dtype: torch.dtype) -> None:
    points = torch.tensor([[0.0, 0.0], [1e3, -1e3], [-50.0, 0.0], [0.0, 1e4]], dtype=dtype, requires_grad=True)
    values = energy(name).to(dtype)(points)
    values.sum().backward()
    assert values.dtype == dtype
    assert values.isfinite().all()
    assert points.grad is not None
    assert points.grad.isfinite().all()


@pytest.mark.parametrize("name", NAMES)
def test_it_is_of_points_in_the_plane(name: str) -> None:
    with pytest.raises(zoo.SpecError, match="points in the plane"):
        zoo.declare(zoo.Energy, name)(zoo.Shape(3))


@pytest.mark.parametrize(
    ("name", "across"), [("u2", 0.4 * ROOT), ("u3", 2.0 * 0.35 * ROOT), ("u4", (0.4 + 0.35) * ROOT)]
)
def test_the_normalising_constant_is_that_in_closed_form(name: str, across: float) -> None:
    """Across the curves each term is a normal, whatever z1 is."""
    assert metric.log_partition(energy(name)) == pytest.approx(math.log(across * BETWEEN_WALLS), abs=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_the_extent_leaves_nothing_out(name: str) -> None:
    part = energy(name)
    whole = metric.log_partition(part)
    part.extent = 1.3 * (part.extent or 0.0)
    assert metric.log_partition(part) == pytest.approx(whole, abs=1e-6)


# Points drawn from an energy.


@pytest.mark.parametrize("name", NAMES)
def test_draws_follow_the_density(name: str) -> None:
    """What is measured in the draws is what the density says: the energy, both coordinates, their squares."""
    n = 20_000
    points = zoo.declare(zoo.Dataset, {"type": "energy", "of": name, "size": n})().split("train")
    x = points.read(torch.arange(n))["point"].double()
    part = energy(name)
    extent = part.extent or 0.0
    axis = torch.linspace(-extent, extent, 801, dtype=torch.float64)
    grid = torch.cartesian_prod(axis, axis)
    p = (-part(grid)).softmax(0)

    def measured(at: Tensor) -> Tensor:
        return torch.stack([part(at), at[:, 0], at[:, 1], at[:, 0].square(), at[:, 1].square()])

    error = (measured(x).mean(1) - measured(grid) @ p) / (measured(x).std(1) / math.sqrt(n))
    assert error.abs().max() < 5.0


def test_draws_are_a_function_of_the_parameters() -> None:
    def draw(split: Any, **values: Any) -> Tensor:
        examples = zoo.declare(zoo.Dataset, {"type": "energy", "of": "u1", "test_size": 50, "size": 50, **values})()
        points: Tensor = examples.split(split).read(torch.arange(50))["point"]
        return points

    assert torch.equal(draw("test"), draw("test"))
    assert not torch.equal(draw("test"), draw("train"))
    assert not torch.equal(draw("test"), draw("test", seed=1))


def test_what_is_too_rare_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zoo.plugins.data.toy.energy.RAREST", 0.5)
    with pytest.raises(zoo.DataError, match="would be accepted"):
        zoo.declare(zoo.Dataset, {"type": "energy", "of": "u1"})().split("test")


# Learning an energy.


class Gaussian(zoo.Energy):
    """The energy of a normal, less a constant."""

    extent = 12.0

    def __init__(self, shape: zoo.Shape, mean: float, scale: float) -> None:
        super().__init__(shape)
        self.mean, self.scale = mean, scale

    def forward(self, x: Tensor) -> Tensor:
        return 0.5 * ((x - self.mean) / self.scale).square().sum(1) - 3.0


def flow(*transforms: Any, base: str = "normal") -> Any:
    built = zoo.declare(zoo.Model, {"type": "flow", "base": base, "transforms": list(transforms)})(POINT)
    return built.double()


def objective(model: Any, of: Callable[[zoo.Shape], zoo.Energy], warmup: int = 10) -> Any:
    return ReverseKL(POINT, model.transforms, energy=of, warmup=warmup)


def clock(step: int) -> zoo.Clock:
    return zoo.Clock(torch.tensor(step), 100)


@pytest.mark.parametrize(("step", "beta"), [(0, 0.01), (5, 0.51), (10, 1.0), (99, 1.0)])
def test_gradient_is_that_of_the_closed_form(step: int, beta: float) -> None:
    """A normal base, scaled: both moments of the draws move as the divergence between two normals says."""
    model = flow("scale")
    base, scale = model.base, model.transforms.of[0]
    with torch.no_grad():
        base.mean.copy_(torch.tensor([0.3, -0.6]))
        base.log_scale.copy_(torch.tensor([0.2, -0.4]))
        scale.log_scale.copy_(torch.tensor([-0.5, 0.1]))
    parameters = [base.mean, base.log_scale, scale.log_scale]
    torch.manual_seed(0)
    n = 200_000
    terms = objective(model, lambda shape: Gaussian(shape, 0.7, 1.3))(model, {"point": torch.zeros(n, 2)}, clock(step))
    ours = torch.autograd.grad(terms.loss, parameters)
    mean = base.mean * (-scale.log_scale).exp()
    log_std = base.log_scale - scale.log_scale
    log_q = -(log_std + 0.5 * math.log(2.0 * math.pi * math.e)).sum()
    energy_ = (((2.0 * log_std).exp() + (mean - 0.7).square()) / (2.0 * 1.3**2)).sum() - 3.0
    expected = torch.autograd.grad(log_q + beta * energy_, parameters)
    for mine, other in zip(ours, expected, strict=True):
        assert torch.allclose(mine, other, atol=0.02)
    for name, value in {"log_q": log_q, "energy": energy_, "free_energy": log_q + energy_}.items():
        assert terms.logs[name].shape == (n,)
        assert terms.logs[name].mean().item() == pytest.approx(value.item(), abs=0.02)


@pytest.mark.parametrize(("step", "beta"), [(0, 0.01), (50, 0.26), (198, 1.0), (10_000, 1.0)])
def test_the_energy_warms_up(step: int, beta: float) -> None:
    model = flow("reverse")
    terms = objective(model, lambda shape: Gaussian(shape, 0.0, 1.0), 200)(
        model, {"point": torch.zeros(64, 2)}, clock(step)
    )
    weight = (terms.loss - terms.logs["log_q"].mean()) / terms.logs["energy"].mean()
    assert weight.item() == pytest.approx(beta)


def test_the_data_does_not_matter() -> None:
    model = flow("reverse")
    aim = objective(model, lambda shape: Gaussian(shape, 0.0, 1.0))
    losses = []
    for x in (torch.zeros(8, 2), torch.full((8, 2), 1e6)):
        torch.manual_seed(0)
        losses.append(aim(model, {"point": x}, clock(3)).loss.item())
    assert losses[0] == losses[1]


@pytest.mark.parametrize("layer", ["act_norm", "batch_norm", "standardize", {"type": "chain", "of": ["act_norm"]}])
def test_layers_that_learn_from_data_are_refused(layer: Any) -> None:
    node = {
        "type": "flow",
        "base": "standard_normal",
        "transforms": ["reverse", layer],
        "objective": {"type": "reverse_kl", "energy": "u1"},
    }
    with pytest.raises(zoo.SpecError, match="learns from its forward pass"):
        zoo.declare(zoo.Model, node)(POINT)


def test_an_energy_is_of_a_density() -> None:
    with pytest.raises(ValueError, match="4 levels"):
        ReverseKL(zoo.Event("point", PLANE, levels=4), nn.Identity(), energy=Gaussian)


# The divergence that is measured.


def test_the_divergence_of_normals_is_measured() -> None:
    model = flow("reverse", base="standard_normal")
    torch.manual_seed(0)
    measured = metric.ReverseKL(energy=lambda shape: Gaussian(shape, 0.4, 1.5), draws=100_000).measure(model, [])
    expected = 2.0 * (math.log(1.5) + (1.0 + 0.4**2) / (2.0 * 1.5**2) - 0.5)
    assert measured["reverse_kl"].value == pytest.approx(expected, abs=0.01)
    assert measured["reverse_kl"].n == 100_000


def test_what_has_no_one_divergence_is_refused() -> None:
    class Endless(Gaussian):
        extent = None  # type: ignore[assignment]

    class Mute(zoo.Model):
        def forward(self, batch: zoo.Batch, clock: zoo.Clock) -> zoo.Terms:
            return zoo.Terms(torch.zeros(()), {})

    known = metric.ReverseKL(energy=lambda shape: Gaussian(shape, 0.0, 1.0))
    with pytest.raises(ValueError, match="has no likelihood"):
        known.check(Mute(POINT))
    cube = zoo.declare(zoo.Model, {"type": "flow", "base": "standard_normal", "transforms": ["reverse"]})
    with pytest.raises(ValueError, match="one or two numbers, got 3"):
        known.check(cube(zoo.Event("point", zoo.Shape(3))))
    with pytest.raises(ValueError, match="Endless has no 'extent'"):
        metric.ReverseKL(energy=lambda shape: Endless(shape, 0.0, 1.0)).check(flow("reverse"))
