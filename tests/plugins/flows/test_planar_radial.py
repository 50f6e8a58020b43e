"""Planar and radial flows: their inverses where they are hard, and gradients through roots."""

from __future__ import annotations

import math
from importlib import import_module
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.func import functional_call

import zoo
from zoo.testing import inputs

above_minus_one: Any = import_module("zoo.plugins.flows.numerics.slope_floor").above_minus_one
increasing_root: Any = import_module("zoo.plugins.flows.numerics.root_finding").increasing_root
BUDGET = {torch.float64: 1e-11, torch.float32: 1e-4}


def built(name: str, *shape: int, dtype: torch.dtype = torch.float64, **values: Any) -> Any:
    """A bijection with the given parameters."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        part = zoo.declare(zoo.Bijection, name)(zoo.Shape(*shape)).to(dtype)
    with torch.no_grad():
        for key, value in values.items():
            part.get_parameter(key).copy_(torch.as_tensor(value))
    return part


def planar(pull: float, length: float, dtype: torch.dtype) -> Any:
    """In five dimensions, with w.u = pull, |w| = length and a part of u across w."""
    w = length * torch.tensor([0.6, 0.0, -0.8, 0.0, 0.0], dtype=torch.float64)
    across = torch.tensor([0.0, 1.0, 0.0, -2.0, 0.5], dtype=torch.float64)
    return built("planar", 5, dtype=dtype, w=w, u=pull * w / length**2 + across, b=0.3)


def points_about_the_plane(part: Any, dtype: torch.dtype) -> Tensor:
    """Normal points, some at and near the plane w.x + b = 0, where a pull flattens most, some far away."""
    x = 3.0 * torch.randn(600, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    w = part.w.detach().double()
    height = x @ w + part.b.detach().double()
    x[:200] -= (height[:200] / w.square().sum()).unsqueeze(1) * w
    x[100:200] += torch.logspace(-6, -1, 100, dtype=torch.float64).unsqueeze(1) * w
    x[400:] *= 10.0
    return x.to(dtype)


@pytest.mark.parametrize("dtype", BUDGET)
@pytest.mark.parametrize("length", [0.1, 1.0, 10.0])
@pytest.mark.parametrize("pull", [-1e4, -100.0, -1.0, 0.0, 1.0, 100.0])
@torch.no_grad()
def test_planar_inverts_under_any_pull(pull: float, length: float, dtype: torch.dtype) -> None:
    part = planar(pull, length, dtype)
    x = points_about_the_plane(part, dtype)
    z, there = part(x)
    back, home = part.inverse(z)
    scale = float(z.abs().max())
    assert (back - x).abs().max() <= BUDGET[dtype] * scale
    assert (part(back)[0] - z).abs().max() <= BUDGET[dtype] * scale
    assert (there + home).abs().max() <= 10.0 * BUDGET[dtype] * scale


def test_planar_keeps_the_direction_above_minus_one() -> None:
    """Which the Jacobian's determinant on the plane tells: it is 1 + w.u_hat."""
    for pull in (-1e4, -100.0, -3.0, -0.5, -1e-3):
        part = planar(pull, 1.0, torch.float64)
        x = -0.3 * part.w.detach().unsqueeze(0)
        jacobian: Any = torch.autograd.functional.jacobian(lambda x, part=part: part(x)[0], x)  # type: ignore[no-untyped-call]
        det = torch.linalg.det(jacobian.reshape(5, 5))
        assert part(x)[1].exp().item() == pytest.approx(det.item(), rel=1e-9)
        assert det.item() == pytest.approx(0.01 + 0.99 * math.exp(pull / 0.99), rel=1e-9)


@pytest.mark.parametrize("dtype", BUDGET)
@pytest.mark.parametrize("length", [0.0, 1e-30, 1e-19, 1e-9, 1e-3])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_planar_has_no_pole_where_its_plane_vanishes(sign: float, length: float, dtype: torch.dtype) -> None:
    w = torch.tensor([length, -length])
    part = built("planar", 2, dtype=dtype, w=w, u=sign * torch.tensor([2.0, -1.0]), b=0.5)
    x = inputs(part, 8).to(dtype).requires_grad_(True)
    for direction in (part, part.inverse):
        y, log_det = direction(x)
        gradients = torch.autograd.grad(y.square().sum() + log_det.sum(), [x, *part.parameters()])
        assert all(g.isfinite().all() for g in gradients)
        shift = (1.0 if direction is part else -1.0) * math.tanh(0.5) * part.u
        assert torch.allclose(y, x + shift, atol=1e-6 + 40.0 * length)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("planar", {"w": [1.0, -0.5], "u": [0.7, 0.9], "b": 0.2}),
        ("planar", {"w": [2.0, 1.0], "u": [-1.5, -0.4], "b": -0.4}),
        ("radial", {"centre": [0.3, -0.2], "width": 0.5, "strength": 2.0}),
        ("radial", {"centre": [0.3, -0.2], "width": -1.0, "strength": -2.0}),
    ],
)
def test_gradients_of_parameters_pass_through_the_inverse(name: str, values: dict[str, Any]) -> None:
    part = built(name, 2, **values)
    names, parameters = zip(*part.named_parameters(), strict=True)
    z = inputs(part, 4)

    class Inverse(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.part = part

        def forward(self, z: Tensor) -> Any:
            return self.part.inverse(z)

    def inverse(*values: Tensor) -> Any:
        return functional_call(Inverse(), {f"part.{key}": v for key, v in zip(names, values, strict=True)}, (z,))

    assert torch.autograd.gradcheck(inverse, [p.detach().clone().requires_grad_(True) for p in parameters])


@pytest.mark.parametrize("dtype", BUDGET)
@pytest.mark.parametrize("strength", [-100.0, -3.0, 0.0, 3.0, 100.0, 1e4])
@pytest.mark.parametrize("width", [-100.0, 0.0, 100.0])
@torch.no_grad()
def test_radial_inverts_at_any_strength(width: float, strength: float, dtype: torch.dtype) -> None:
    part = built("radial", 5, dtype=dtype, centre=torch.arange(5.0) / 5.0, width=width, strength=strength)
    away = torch.randn(200, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    away *= torch.logspace(-6, 4, 200, dtype=torch.float64).unsqueeze(1)
    x = (part.centre + away).to(dtype)
    z, there = part(x)
    back, home = part.inverse(z)
    tolerance = 100.0 * torch.finfo(dtype).eps * (1.0 + x.abs().amax(1))
    assert ((back - x).abs().amax(1) <= 10.0 * tolerance).all()
    assert ((part(back)[0] - z).abs().amax(1) <= 10.0 * tolerance * max(1.0, strength)).all()
    if strength < 0:  # what is pulled into the centre loses digits of how far from it it was
        far = away.norm(dim=1) > 1e-2
        assert (there + home)[far].abs().max() <= BUDGET[dtype] * 100.0
    else:
        assert (there + home).abs().max() <= 1000.0 * torch.finfo(dtype).eps


@pytest.mark.parametrize("dtype", BUDGET)
@pytest.mark.parametrize("strength", [-100.0, 0.0, 100.0])
@pytest.mark.parametrize("width", [-100.0, 0.0])
@pytest.mark.parametrize("distance", [0.0, 1e-30, 1e10])
def test_radial_has_gradients_at_its_centre_and_far_away(
    distance: float, width: float, strength: float, dtype: torch.dtype
) -> None:
    part = built("radial", 2, dtype=dtype, centre=[0.5, -1.0], width=width, strength=strength)
    x = (part.centre.detach() + distance).repeat(3, 1).requires_grad_(True)
    for direction in (part, part.inverse):
        y, log_det = direction(x)
        assert y.isfinite().all()
        gradients = torch.autograd.grad(y.sum() + log_det.sum(), [x, *part.parameters()])
        assert all(g.isfinite().all() for g in gradients)
    if distance == 0.0:
        det = 2.0 * math.log(0.01 if strength < 0 else 1.0 + strength)
        assert part(x)[1].tolist() == pytest.approx([det] * 3, rel=1e-4, abs=1e-6)


def test_radial_by_hand() -> None:
    """alpha = 1 and beta = 3 take the radius 5 to 7.5 and have there the slope 1 + 3 / 36."""
    part = built("radial", 2, centre=[1.0, 1.0], width=math.log(math.expm1(1.0 - 0.01)), strength=3.0)
    z, log_det = part(torch.tensor([[4.0, 5.0]], dtype=torch.float64))
    assert z[0].tolist() == pytest.approx([1.0 + 4.5, 1.0 + 6.0])
    assert log_det.item() == pytest.approx(math.log(1.5) + math.log(1.0 + 3.0 / 36.0))


@pytest.mark.parametrize("name", ["planar", "radial"])
def test_they_start_as_the_identity_and_leave_it(name: str) -> None:
    part = built(name, 3, 2, 2, dtype=torch.float32)
    x = inputs(part, 4).float()
    z, log_det = part(x)
    assert torch.allclose(z, x, atol=1e-6)
    assert log_det.abs().max() < 1e-5
    (z.square().sum() - log_det.sum()).backward()
    assert part.get_parameter({"planar": "u", "radial": "strength"}[name]).grad.abs().max() > 0


def test_above_minus_one_is_smooth_and_says_how_far() -> None:
    a = torch.linspace(-5.0, 5.0, 201, dtype=torch.float64)
    a[100] = 0.0
    a.requires_grad_(True)
    m, gap = above_minus_one(a)
    assert torch.allclose(gap, 1.0 + m, atol=1e-14)
    assert m.diff().min() > 0
    (slope,) = torch.autograd.grad(m.sum(), a, retain_graph=True)
    assert torch.allclose(torch.autograd.grad(gap.sum(), a)[0], slope, atol=1e-14)
    assert slope[100].item() == pytest.approx(1.0)
    assert slope.diff().abs().max() < 0.06


@pytest.mark.parametrize("power", [1, 3, 9])
def test_root_is_found_and_has_the_implicit_gradient(power: int) -> None:
    y = torch.tensor([1e-3, 0.5, 1.0, 500.0], dtype=torch.float64, requires_grad=True)

    def equation(x: Tensor) -> tuple[Tensor, Tensor]:
        return x**power + x - y, power * x ** (power - 1) + 1.0

    x = increasing_root(equation, torch.zeros(4, dtype=torch.float64), y.detach() + 1.0)
    assert torch.allclose(x**power + x, y, rtol=1e-13)
    (slope,) = torch.autograd.grad(x.sum(), y)
    assert torch.allclose(slope, 1.0 / (power * x ** (power - 1) + 1.0), rtol=1e-12)


def test_root_stays_in_its_bracket() -> None:
    """Where Newton's method alone runs away: from the flat ends of an arc tangent."""
    low, high = torch.full((3,), -1e3), torch.tensor([10.0, 1e3, 1e5])
    x = increasing_root(
        lambda x: (torch.atan(x - 2.0), 1.0 / (1.0 + (x - 2.0).square())), low, high, bisections=7, newtons=20
    )
    assert torch.allclose(x, torch.full((3,), 2.0), atol=1e-6)
