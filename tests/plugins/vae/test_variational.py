"""Variational dequantisation: its noise has the density that it says, and the bound is one."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor

import zoo
from zoo.testing import perturb

if TYPE_CHECKING:
    from plugins.shared.dequantization import Dequantization
else:
    from zoo.plugins.shared.dequantization import Dequantization

LEVELS = 4
EVENT = zoo.Event("point", zoo.Shape(2), levels=LEVELS)
IMAGE = zoo.Event("image", zoo.Shape(1, 4, 4), levels=LEVELS)
COUPLING: dict[str, Any] = {
    "type": "coupling",
    "mask": "channel",
    "conditioner": {"type": "mlp", "width": 8, "activation": "tanh", "context": 3},
    "transformer": {"type": "logistic_mixture", "components": 2},
}
SWAPPED = COUPLING | {"mask": {"type": "channel", "swap": True}}
NODE: dict[str, Any] = {
    "type": "variational",
    "context": 3,
    "features": {"type": "mlp", "width": 8, "activation": "tanh"},
    "transforms": [COUPLING, SWAPPED],
}
CONVOLUTIONAL: dict[str, Any] = {
    "type": "variational",
    "context": 3,
    "features": {"type": "convnet", "width": 8},
    "transforms": [{"type": "coupling", "mask": "checkerboard", "conditioner": {"type": "convnet", "context": 3}}],
}
NOISES = ["logistic", "standard_normal"]
DRAWS = 20000
SIGMAS = 5.0


def variational(event: zoo.Event = EVENT, seed: int | None = 0, **changes: Any) -> Any:
    """In float64; with a seed, as after some training."""
    node = (NODE if event is EVENT else CONVOLUTIONAL) | changes
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        part: Any = zoo.declare(Dequantization, node)(event)
    part.double()
    if seed is not None:
        perturb(part, seed, scale=0.5)
    return part


def draws(part: Any, x: list[int]) -> tuple[Tensor, Tensor]:
    """Noise for one example, and the logarithm of one over its density."""
    torch.manual_seed(1)
    levels = torch.tensor([x]).expand(DRAWS, -1)
    v, log_det = part(levels)
    return v * LEVELS - levels, log_det + 2 * math.log(LEVELS)


@pytest.mark.parametrize("event", [EVENT, IMAGE], ids=str)
def test_starts_as_uniform_dequantisation(event: zoo.Event) -> None:
    x = event.example(64, "cpu")[event.name]
    part = variational(event, seed=None)
    v, log_det = part(x)
    assert torch.allclose(log_det, torch.full_like(log_det, -event.shape.size * math.log(LEVELS)), atol=1e-12)
    assert (v * LEVELS - x).mean().item() == pytest.approx(0.5, abs=0.1)
    assert (v * LEVELS - x).std().item() == pytest.approx(math.sqrt(1 / 12), abs=0.05)


@pytest.mark.parametrize("noise", NOISES)
def test_noise_has_the_density_that_it_says(noise: str) -> None:
    """The mean of g(u) / q(u) over u from q is the integral of g, here of densities on the square."""
    u, log_inverse_q = draws(variational(noise=noise), [3, 0])
    a, b = u.unbind(1)
    for g in (36 * a * (1 - a) * b * (1 - b), 144 * a**2 * (1 - a) * b * (1 - b) ** 2, 20 * a**3 * (1 - a) + 0 * b):
        ratios = g * log_inverse_q.exp()
        assert abs(ratios.mean() - 1) <= SIGMAS * ratios.std() / math.sqrt(DRAWS)


@pytest.mark.parametrize("noise", NOISES)
@torch.no_grad()
def test_density_integrates_to_one(noise: str) -> None:
    """The density of the logits of u, found backwards: its integral is one, and at draws it is that of forward."""
    part = variational(noise=noise)
    x = torch.tensor([[1, 2]])
    axis = torch.linspace(-25, 25, 151, dtype=torch.float64)

    def density(y: Tensor) -> Tensor:
        context = part.features(2 * x.double() / (LEVELS - 1) - 1).expand(len(y), -1)
        epsilon, log_det = part.transforms.inverse(y, context)
        log_p: Tensor = part.noise.log_prob(epsilon) + log_det
        return log_p.exp()

    on_grid = density(torch.cartesian_prod(axis, axis)).reshape(151, 151)
    assert torch.trapezoid(torch.trapezoid(on_grid, axis), axis).item() == pytest.approx(1, abs=1e-4)
    u, log_inverse_q = (drawn[:1000] for drawn in draws(part, [1, 2]))
    found = density(u.logit()) / (u * (1 - u)).prod(1)
    assert torch.allclose(found * log_inverse_q.exp(), torch.ones_like(found), atol=1e-6)


def test_noise_depends_on_the_data() -> None:
    part = variational()
    assert (draws(part, [0, 0])[0].mean(0) - draws(part, [3, 3])[0].mean(0)).abs().max() > 0.02


@pytest.mark.parametrize("event", [EVENT, IMAGE], ids=str)
def test_levels_come_back(event: zoo.Event) -> None:
    part, x = variational(event), event.example(200, "cpu")[event.name]
    v, _ = part(x)
    assert torch.equal(part.inverse(v), x)
    assert v.min() >= 0
    assert v.max() <= 1


@pytest.mark.parametrize("event", [EVENT, IMAGE], ids=str)
def test_every_parameter_learns(event: zoo.Event) -> None:
    part = variational(event)
    v, log_det = part(event.example(8, "cpu")[event.name])
    (log_det.sum() + v.square().sum()).backward()
    assert [name for name, p in part.named_parameters() if p.grad is None or not p.grad.any()] == []


@pytest.mark.parametrize("dequantize", ["uniform", NODE], ids=["uniform", "variational"])
@torch.no_grad()
def test_bound_is_one(dequantize: Any) -> None:
    """The unbiased estimates of P(x) add up to one over all x, and their bounds to less."""
    transforms = [{"type": "logit", "alpha": 1e-7}, COUPLING | {"conditioner": "mlp"}, "act_norm"]
    node = {"type": "flow", "base": "logistic", "dequantize": dequantize, "transforms": transforms}
    model = zoo.declare(zoo.Model, node)(EVENT).double()
    perturb(model, 0)
    torch.manual_seed(2)
    levels = torch.arange(LEVELS)
    log_p = model.log_prob(torch.cartesian_prod(levels, levels).repeat(DRAWS // 10, 1)).reshape(-1, LEVELS**2)
    totals = log_p.exp().sum(1)
    assert abs(totals.mean() - 1) <= SIGMAS * totals.std() / math.sqrt(len(totals))
    assert log_p.mean(0).exp().sum() < 1


def test_compiles_as_one_graph() -> None:
    part = variational(IMAGE)
    compiled: Any = torch.compile(part, fullgraph=True, backend="eager")
    assert compiled(IMAGE.example(2, "cpu")["image"])[0].shape == (2, 1, 4, 4)


@pytest.mark.parametrize(("transform", "event"), [("squeeze", IMAGE), ("logit", EVENT)])
def test_refuses_transforms_of_another_space(transform: str, event: zoo.Event) -> None:
    with pytest.raises(zoo.SpecError, match="of the whole line"):
        variational(event, transforms=[transform])
