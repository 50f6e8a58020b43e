"""Consistency models: Gaussian data in closed form, the published levels and loss, distillation, refusals."""

from __future__ import annotations

import math
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import zoo

gaussian: Any = import_module("zoo.plugins.diffusion.laws.gaussian")
consistency: Any = import_module("zoo.plugins.diffusion.models.consistency")
Denoiser: Any = import_module("zoo.plugins.diffusion.nets.base").Denoiser
POINT = zoo.Event("point", zoo.Shape(4))
NET: dict[str, Any] = {"type": "time_mlp", "width": 8, "depth": 1}
EDM: dict[str, Any] = {"type": "diffusion", "net": NET, "path": "edm", "target": "edm"}


def model_of(event: zoo.Event = POINT, **node: Any) -> Any:
    torch.manual_seed(0)
    return zoo.declare(zoo.Model, {"type": "consistency", "net": NET, **node})(event).double().eval()


def livened(**node: Any) -> Any:
    model = model_of(**node)
    torch.nn.init.normal_(model.net.last.weight)
    return model


def exact(x: Tensor, sigma: Tensor, low: float) -> Tensor:
    """The data that Gaussian data with noise came from, along the probability-flow equation."""
    v, noise = gaussian.VARIANCE, sigma.unsqueeze(1)
    moved: Tensor = gaussian.MEAN + (x - gaussian.MEAN) * ((v + low**2) / (v + noise**2)).sqrt()
    return moved


class Exact(Denoiser):  # type: ignore[misc]
    """The network with which a model is the consistency function of Gaussian data."""

    def __init__(self, model: Any) -> None:
        super().__init__(POINT.shape, POINT.shape)
        self.model = [model]

    def forward(self, x: Tensor, c: Tensor, context: Tensor | None = None) -> Tensor:
        (model,) = self.model
        sigma = ((c - 500.0) / 50.0).exp()
        size, above, s = (sigma**2 + model.s**2).sqrt(), (sigma - model.low).clamp(min=1e-9), model.s
        x = x * size.unsqueeze(1)
        skip, out = s**2 / (above**2 + s**2), s * above / size
        F: Tensor = (exact(x, sigma, model.low) - skip.unsqueeze(1) * x) / out.unsqueeze(1)
        return F


class Perfect(Denoiser):  # type: ignore[misc]
    """The best network of a diffusion model for Gaussian data."""

    def __init__(self, model: Any) -> None:
        super().__init__(POINT.shape, POINT.shape)
        self.model = [model]

    def forward(self, x: Tensor, c: Tensor, context: Tensor | None = None) -> Tensor:
        (model,) = self.model
        level = model.path.levels(model.path.time_of((500.0 - c) / 25.0), x.dim())
        found = gaussian.denoised(x / model.target.scale(level), level)
        target: Tensor = model.target.of(found.data, found.noise, level)
        return target


def exact_model(**node: Any) -> Any:
    model = model_of(**node)
    model.net = Exact(model)
    return model


def clock(step: int = 0, steps: int = 10) -> zoo.Clock:
    return zoo.Clock(torch.tensor(step), steps)


def data(n: int) -> Tensor:
    noise = torch.randn(n, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    x: Tensor = gaussian.MEAN + gaussian.VARIANCE.sqrt() * noise
    return x


@torch.no_grad()
def test_data_without_noise_is_left_as_it_is() -> None:
    model, x = livened(), data(5)
    assert torch.allclose(model.f(x, torch.full((5,), 0.002, dtype=torch.float64)), x, atol=1e-12)
    assert not torch.allclose(model.f(x, torch.full((5,), 1.0, dtype=torch.float64)), x, atol=0.1)


@torch.no_grad()
@pytest.mark.parametrize("between", [(), (0.8,), (5.0, 1.0, 0.3)])
def test_draws_of_the_exact_function_are_the_data(between: tuple[float, ...]) -> None:
    model = exact_model(between=between)
    torch.manual_seed(0)
    by_sampler = zoo.declare(zoo.Sampler, {"type": "multistep", "between": between})(exact_model())
    for x in (model.sample(20000), by_sampler.sample(20000)):
        assert (x.mean(0) - gaussian.MEAN).abs().max() <= 0.06
        assert (x.var(0) / gaussian.VARIANCE - 1.0).abs().max() <= 0.06
    assert model.draw_latent(2).shape == (2, 1 + len(between), 4)


@torch.no_grad()
@pytest.mark.parametrize("path", ["edm", "vp", "rectified"])
def test_the_exact_function_agrees_with_steps_of_a_perfect_teacher(path: str) -> None:
    """Whatever the teacher's path; halved intervals leave an eighth of the gap, as one step of Heun's method does."""
    teacher = {**EDM, "path": path, "target": "v"}
    gaps = {}
    for n in (40, 80):
        model = exact_model(teacher=teacher, first=n, last=n, times={"type": "log_normal", "mean": 0.0, "sd": 0.3})
        assert not any(p.requires_grad for p in model.teacher.parameters())
        model.teacher.net = Perfect(model.teacher)
        torch.manual_seed(0)
        gaps[n] = float(model({"point": data(4000)}, clock()).logs["gap"].sqrt().mean())
    assert gaps[40] <= 0.02
    assert math.log2(gaps[40] / gaps[80]) >= 2.7, gaps


def test_the_loss_is_the_published_one_and_the_target_has_no_gradient() -> None:
    model, x = livened(first=20, last=20), data(6)
    torch.manual_seed(3)
    model({"point": x}, clock()).loss.backward()
    found = model.net.last.weight.grad.clone()
    model.zero_grad()

    torch.manual_seed(3)
    t = model.times.draw(6, x)
    grid = torch.linspace(0.002 ** (1 / 7), 80.0 ** (1 / 7), 21, dtype=torch.float64) ** 7
    i = torch.searchsorted(grid, t, right=True).clamp(1, 20) - 1
    z, less, more = torch.randn_like(x), grid[i], grid[i + 1]
    target = model.f(x + less.unsqueeze(1) * z, less).detach()
    gap = (model.f(x + more.unsqueeze(1) * z, more) - target).square().sum(1)
    c = 0.00054 * 2.0
    (((gap + c**2).sqrt() - c) / (more - less)).mean().backward()
    assert torch.allclose(found, model.net.last.weight.grad, rtol=1e-9)


@torch.no_grad()
def test_intervals_have_the_published_probabilities() -> None:
    model, n = model_of(), 12
    sigma = model.times.draw(200000, torch.zeros((), dtype=torch.float64))
    less, more = model.levels(sigma, torch.tensor(n))
    assert ((less <= sigma * (1 + 1e-9)) & (sigma <= more * (1 + 1e-9))).all()
    grid = torch.linspace(0.002 ** (1 / 7), 80.0 ** (1 / 7), n + 1, dtype=torch.float64) ** 7
    below = torch.special.erf((grid.log() + 1.1) / (2.0 * math.sqrt(2.0)))
    p = below.diff() / (below[-1] - below[0])
    share = torch.stack([((less - g).abs() <= 1e-6 * g).double().mean() for g in grid[:-1]])
    assert (share - p).abs().max() <= 0.005


def test_intervals_double_as_published() -> None:
    model, K = model_of(), 800
    for step in (0, 99, 100, 250, 699, 700, 799, 800):
        published = min(10 * 2 ** (step // (K // 8)), 1280)
        assert int(model.intervals(clock(step, K))) == published
    assert int(model_of(first=18, last=18).intervals(clock(5))) == 18


@torch.no_grad()
def test_each_row_is_drawn_by_its_own_noise_and_label() -> None:
    event = zoo.Event("image", zoo.Shape(1, 4, 4), levels=17, classes=3)
    model = livened(event=event, net={**NET, "context": 3}, context="one_hot")
    label = torch.tensor([0, 1, 2, 2])
    z = model.draw_latent(4, label)
    x = model.decode(z, label)
    assert x.dtype == torch.uint8
    assert torch.equal(model.decode(z[1:2], label[1:2]), x[1:2])
    assert not torch.equal(model.decode(z[1:2], torch.tensor([0])), x[1:2])


def test_a_trained_diffusion_is_the_teacher_and_the_start(tmp_path: Path) -> None:
    plain: dict[str, Any] = {
        "data": {"type": "toy2d", "figure": "two_moons", "size": 64, "test_size": 8},
        "train": {"steps": 2, "batch": 16, "optimizer": "adam"},
        "engine": {"compile": "off", "device": "cpu"},
    }
    first = zoo.train({**plain, "name": "teacher", "model": EDM}, runs=tmp_path)
    start = [{"file": str(first.directory), "into": "teacher"}, {"file": str(first.directory), "match": "net.*"}]
    model = {"type": "consistency", "net": NET, "teacher": EDM, "first": 18, "last": 18}
    still = {**plain["train"], "steps": 1, "optimizer": {"type": "sgd", "lr": 1e-30}}
    second = zoo.train({**plain, "name": "still", "model": model, "init_from": start, "train": still}, runs=tmp_path)
    third = zoo.train({**plain, "name": "moved", "model": model, "init_from": start}, runs=tmp_path)
    weights, unmoved, moved = (zoo.load(run.directory).state_dict() for run in (first, second, third))
    for name, tensor in weights.items():
        assert torch.equal(moved[f"teacher.{name}"], tensor)
        assert torch.equal(unmoved[name], tensor)
    assert any(not torch.equal(moved[name], tensor) for name, tensor in weights.items())


@pytest.mark.parametrize(
    ("node", "message"),
    [
        ({"between": [0.5, 0.8]}, "the levels in between must fall from below 80 to above 0.002"),
        ({"between": [100.0]}, "the levels in between must fall"),
        ({"first": 20, "last": 10}, "first must not be above last"),
        ({"teacher": {"type": "consistency", "net": NET}}, "needs a diffusion model without dequantize as its teacher"),
        ({"net": {**NET, "context": 3}}, "declare the model's 'context'"),
    ],
)
def test_what_does_not_fit_is_refused(node: dict[str, Any], message: str) -> None:
    with pytest.raises(zoo.SpecError, match=message):
        model_of(**node)


def test_a_teacher_has_the_same_context() -> None:
    labelled = zoo.Event("point", zoo.Shape(4), classes=3)
    with pytest.raises(zoo.SpecError, match="needs a teacher with the same context"):
        model_of(labelled, teacher={**EDM, "net": {**NET, "context": 3}, "context": "one_hot"})


def test_the_sampler_needs_a_consistency_model() -> None:
    other = zoo.declare(zoo.Model, EDM)(POINT)
    with pytest.raises(zoo.SpecError, match="needs a consistency model"):
        zoo.declare(zoo.Sampler, "multistep")(other)
