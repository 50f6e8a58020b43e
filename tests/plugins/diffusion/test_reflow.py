"""Reflow: stored pairs, the exact student of Gaussian data, the published loss, labels, and refusals."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import zoo

gaussian: Any = import_module("zoo.plugins.diffusion.laws.gaussian")
Denoiser: Any = import_module("zoo.plugins.diffusion.nets.base").Denoiser
POINT = zoo.Event("point", zoo.Shape(4))
LABELLED = zoo.Event("image", zoo.Shape(1, 4, 4), levels=17, classes=3)
NET: dict[str, Any] = {"type": "time_mlp", "width": 8, "depth": 1}
MODEL: dict[str, Any] = {"type": "diffusion", "net": NET, "solver": {"type": "heun", "steps": 8}}


def model_of(event: zoo.Event = POINT, student: Any = None, teacher: Any = None, **node: Any) -> Any:
    torch.manual_seed(0)
    declared = {"type": "reflow", "student": student or MODEL, "teacher": teacher or MODEL, **node}
    model: Any = zoo.declare(zoo.Model, declared)(event).double()
    for part in (model.student, model.teacher):
        torch.nn.init.normal_(part.net.last.weight, std=0.3)
    return model


def batch(event: zoo.Event, n: int) -> zoo.Batch:
    return event.example(n, "cpu")


def clock(step: int) -> zoo.Clock:
    return zoo.Clock(torch.tensor(step), 100)


class Straight(Denoiser):  # type: ignore[misc]
    """The velocity of lines between noise and Gaussian data, each number of which is a rising function of its own."""

    def __init__(self) -> None:
        super().__init__(POINT.shape, POINT.shape)

    def forward(self, x: Tensor, c: Tensor, context: Tensor | None = None) -> Tensor:
        t = torch.sigmoid(-0.5 * (500.0 - c) / 25.0).unsqueeze(1)
        s = gaussian.VARIANCE.sqrt()
        z = (x - (1.0 - t) * gaussian.MEAN) / ((1.0 - t) * s + t)
        v: Tensor = z - (gaussian.MEAN + s * z)
        return v


class Timed(Denoiser):  # type: ignore[misc]
    """A velocity of 4 t everywhere."""

    def __init__(self) -> None:
        super().__init__(POINT.shape, POINT.shape)

    def forward(self, x: Tensor, c: Tensor, context: Tensor | None = None) -> Tensor:
        return 4.0 * torch.sigmoid(-0.5 * (500.0 - c) / 25.0).unsqueeze(1).expand_as(x)


def of_gaussian(model: Any) -> Any:
    """A model whose teacher draws Gaussian data, and whose student has straightened it."""
    model.student.net = Straight()
    model.teacher.expect = lambda z, context=None: gaussian.MEAN + gaussian.VARIANCE.sqrt() * z
    return model


def test_pairs_are_noise_and_the_draws_of_the_teacher() -> None:
    model = model_of(pairs=10, fresh=4)
    seen = []
    for step in range(4):
        model(batch(POINT, 7), clock(step))
        filled = min(4 * (step + 1), 10)
        assert torch.allclose(model.data[:filled], model.teacher.expect(model.noise[:filled]), atol=1e-12)
        assert not model.noise[filled:].any()
        seen.append(model.noise.clone())
    # The fourth step takes the places 2 to 5.
    changed = (seen[3] != seen[2]).any(1)
    assert changed.tolist() == [False, False, True, True, True, True, False, False, False, False]


def test_a_batch_is_drawn_from_the_pairs_that_there_are() -> None:
    model = of_gaussian(model_of(pairs=1000, fresh=3))
    assert not any(p.requires_grad for p in model.teacher.parameters())
    # A place that is not filled yet would have an error of the mean of the data.
    assert float(model(batch(POINT, 500), clock(0)).loss.detach()) <= 1e-10


def test_the_straight_student_of_gaussian_data_has_no_error_and_draws_in_one_step() -> None:
    model = of_gaussian(model_of(pairs=200, fresh=200)).eval()
    model.train()
    terms = model(batch(POINT, 100), clock(0))
    assert float(terms.loss.detach()) <= 1e-10 and float(terms.logs["error"].max()) <= 1e-10
    model.eval()
    one = zoo.declare(zoo.Sampler, {"type": "student", "of": {"type": "ode", "solver": {"type": "euler", "steps": 1}}})
    torch.manual_seed(1)
    x = one(model).sample(9)
    torch.manual_seed(1)
    z = model.draw_latent(9)
    assert torch.allclose(x, model.teacher.expect(z), atol=1e-3)
    assert torch.allclose(model.decode(z), x, atol=1e-3)
    torch.manual_seed(1)
    assert torch.equal(model.trace(9, 4)[-1], model.decode(z))
    assert torch.equal(model.vary(x, 0.0), x)


@pytest.mark.parametrize("target", ["velocity", "v", "edm"])
def test_the_loss_is_the_published_one(target: str) -> None:
    model = model_of(student={**MODEL, "target": target, "times": "uniform"}, pairs=1, fresh=1)
    torch.manual_seed(2)
    terms = model(batch(POINT, 6), clock(0))
    z, x0 = model.noise, model.data
    torch.manual_seed(2)
    model.teacher.draw_latent(1)
    torch.rand(6)
    t = model.student.times.draw(6, x0)
    total = 0.0
    for at in t.tolist():
        level = model.student.path.level(at)
        x = (1.0 - at) * x0 + at * z
        v = model.student.predictor(None)(x, at).velocity(level)
        total += float((v - (z - x0)).square().sum().detach()) / 6
    assert float(terms.loss.detach()) == pytest.approx(total, rel=1e-6)


@pytest.mark.parametrize("times", ["uniform", {"type": "logit_normal", "mean": -0.5, "sd": 1.5}])
def test_whatever_the_times_the_expected_loss_is_that_of_uniform_ones(times: Any) -> None:
    model = model_of(student={**MODEL, "times": times}, pairs=1, fresh=1)
    model.student.net = Timed()
    torch.manual_seed(2)
    loss = float(model(batch(POINT, 100000), clock(0)).loss)
    d = model.noise - model.data
    assert loss == pytest.approx(float((16.0 / 3.0 - 4.0 * d + d.square()).sum()), rel=0.03)


def test_labels_are_stored_with_their_pairs() -> None:
    net = {**NET, "context": 3}
    conditional = {**MODEL, "net": net, "context": "one_hot"}
    model = model_of(LABELLED, conditional, conditional, pairs=6, fresh=6)
    model(batch(LABELLED, 6), clock(0))
    label = model.given_label
    assert label.tolist() == batch(LABELLED, 6)["label"].tolist()
    unit = model.teacher.expect(model.noise, label)
    assert torch.allclose(model.data, 2.0 * unit - 1.0)
    assert not torch.allclose(model.data, 2.0 * model.teacher.expect(model.noise, label.roll(1)) - 1.0)


def test_training_leaves_the_teacher_and_the_share_file_has_no_pairs(tmp_path: Path) -> None:
    plain: dict[str, Any] = {
        "data": {"type": "toy2d", "figure": "two_moons", "size": 64, "test_size": 8},
        "train": {"steps": 3, "batch": 16, "optimizer": "adam"},
        "engine": {"compile": "off", "device": "cpu"},
    }
    first = zoo.train({**plain, "name": "teacher", "model": MODEL}, runs=tmp_path)
    file = str(first.directory)
    model = {"type": "reflow", "student": MODEL, "teacher": MODEL, "pairs": 8, "fresh": 4}
    start = [{"file": file, "into": "teacher"}, {"file": file, "into": "student"}]
    second = zoo.train({**plain, "name": "again", "model": model, "init_from": start}, runs=tmp_path)
    teacher, trained = zoo.load(first.directory).state_dict(), zoo.load(second.directory).state_dict()
    assert all(torch.equal(trained[f"teacher.{name}"], x) for name, x in teacher.items())
    assert any(not torch.equal(trained[f"student.{name}"], x) for name, x in teacher.items())
    assert {name.split(".")[0] for name in trained} == {"teacher", "student"}
    again: Any = zoo.load(second.directory)
    assert again.noise is None and again.sample(2).shape == (2, 2)


@pytest.mark.parametrize(
    ("node", "message"),
    [
        ({"student": {**MODEL, "path": "vp"}}, "needs a student on straight lines"),
        ({"teacher": {"type": "consistency", "net": NET}}, "needs a diffusion model without dequantize as its teacher"),
        ({"fresh": 9, "pairs": 8}, "fresh must not be above pairs, got 9 and 8"),
    ],
)
def test_what_does_not_fit_is_refused(node: dict[str, Any], message: str) -> None:
    with pytest.raises(zoo.SpecError, match=message):
        model_of(**node)


def test_the_teacher_has_the_context_of_the_student_and_the_sampler_needs_a_reflow() -> None:
    conditional = {**MODEL, "net": {**NET, "context": 3}, "context": "one_hot"}
    with pytest.raises(zoo.SpecError, match="needs a teacher with the same context"):
        model_of(LABELLED, teacher=conditional)
    with pytest.raises(zoo.SpecError, match="needs a reflow model"):
        zoo.declare(zoo.Sampler, {"type": "student", "of": "ode"})(zoo.declare(zoo.Model, MODEL)(POINT))
