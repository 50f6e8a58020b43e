"""Optimizers, schedules, augmentations and sinks."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import zoo
from zoo.registry.registry import installed

fused = import_module("zoo.plugins.training.optimizers").fused
translate = import_module("zoo.plugins.training.augmentations").translate

SCHEDULES = sorted(name for kind, name in installed().components() if kind == "schedule")
AUGMENTATIONS: list[dict[str, Any]] = [{"type": "horizontal_flip"}, {"type": "shift", "pixels": 2}]
IMAGE = zoo.Event("image", zoo.Shape(2, 5, 6), levels=256, classes=3)


# Optimizers.

OPTIMIZERS: list[tuple[dict[str, Any], type[torch.optim.Optimizer], dict[str, Any]]] = [
    (
        {"type": "adam", "lr": 0.05, "betas": [0.8, 0.95], "eps": 0.01, "weight_decay": 0.1},
        torch.optim.Adam,
        {"lr": 0.05, "betas": (0.8, 0.95), "eps": 0.01, "weight_decay": 0.1},
    ),
    (
        {"type": "adamw", "lr": 0.05, "betas": [0.8, 0.95], "eps": 0.01, "weight_decay": 0.1},
        torch.optim.AdamW,
        {"lr": 0.05, "betas": (0.8, 0.95), "eps": 0.01, "weight_decay": 0.1},
    ),
    (
        {"type": "sgd", "lr": 0.05, "momentum": 0.9, "nesterov": True, "weight_decay": 0.1},
        torch.optim.SGD,
        {"lr": 0.05, "momentum": 0.9, "nesterov": True, "weight_decay": 0.1},
    ),
    ({"type": "sgd", "lr": 0.05}, torch.optim.SGD, {"lr": 0.05}),
]


def run(optimizer: torch.optim.Optimizer, weights: list[Tensor]) -> list[Tensor]:
    for step in range(5):
        loss = sum(((weight - step) ** 4).sum() for weight in weights)
        optimizer.zero_grad()
        assert isinstance(loss, Tensor)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return [weight.detach() for weight in weights]


def weights() -> list[Tensor]:
    return [torch.nn.Parameter(torch.linspace(-1, 1, 4, dtype=torch.float64)), torch.nn.Parameter(torch.ones(2, 2))]


@pytest.mark.parametrize(("node", "cls", "values"), OPTIMIZERS, ids=lambda value: str(getattr(value, "__name__", "")))
def test_optimizers_do_what_torchs_do(node: Any, cls: Any, values: Any) -> None:
    ours, theirs = weights(), weights()
    declared = zoo.declare(zoo.Optimizer, node)().build([{"params": ours[:1]}, {"params": ours[1:], "lr": 0.01}])
    plain = cls([{"params": theirs[:1]}, {"params": theirs[1:], "lr": 0.01}], **values, foreach=False, fused=False)
    assert type(declared) is cls
    for got, expected in zip(run(declared, ours), run(plain, theirs), strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-6)
        assert not torch.equal(got, weights()[0]) or got.numel() != 4


@pytest.mark.parametrize("name", ["adam", "adamw", "sgd"])
def test_optimizers_are_fused_where_they_can_be(name: str) -> None:
    node = {"type": name, "lr": 0.1}
    built = zoo.declare(zoo.Optimizer, node)().build([{"params": weights()}])
    assert built.defaults["fused"] is True
    meta = torch.nn.Parameter(torch.ones(2, device="meta"))
    assert zoo.declare(zoo.Optimizer, node)().build([{"params": [meta]}]).defaults["fused"] is None
    assert fused([{"params": [torch.nn.Parameter(torch.ones(2, dtype=torch.complex64))]}]) is None


@pytest.mark.parametrize("name", ["adam", "adamw", "sgd"])
def test_optimizers_keep_their_groups(name: str) -> None:
    node = {"type": name, "lr": 0.1, "groups": [{"match": "*.log_s", "lr": 0.01, "weight_decay": 0.0}]}
    part = zoo.declare(zoo.Optimizer, node)
    (group,) = part().groups
    assert (group.match, group.lr, group.weight_decay) == ("*.log_s", 0.01, 0.0)
    assert zoo.declare(zoo.Optimizer, part.resolved()).resolved() == part.resolved()


@pytest.mark.parametrize(
    ("node", "message"),
    [
        ({"type": "adam", "lr": 0.0}, "lr"),
        ({"type": "adam", "betas": [0.9, 1.0]}, "less than 1"),
        ({"type": "adamw", "weight_decay": -1.0}, "weight_decay"),
        ({"type": "sgd"}, "lr"),
        ({"type": "sgd", "lr": 0.1, "nesterov": True}, "momentum above 0"),
    ],
)
def test_optimizers_refuse_impossible_values(node: Any, message: str) -> None:
    with pytest.raises(zoo.SpecError, match=message):
        zoo.declare(zoo.Optimizer, node)()


# Schedules.


def factors(name: str, steps: int = 100, **values: Any) -> list[float]:
    schedule = zoo.declare(zoo.Schedule, {"type": name, **values})()
    return [schedule.factor(step, steps) for step in range(steps + 1)]


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("warmup", [0, 1, 10, 100, 1000])
def test_schedules_stay_between_zero_and_one_and_warm_up(name: str, warmup: int) -> None:
    values = factors(name, warmup=warmup)
    assert all(0.0 <= value <= 1.0 for value in values)
    ramp = values[: min(warmup, 100)]
    assert ramp == pytest.approx([(step + 1) / warmup for step in range(len(ramp))])
    if warmup < 100:
        assert values[warmup] == 1.0
        assert values[warmup:] == sorted(values[warmup:], reverse=True)


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedules_hold_their_end(name: str) -> None:
    schedule = zoo.declare(zoo.Schedule, name)()
    assert schedule.factor(150, 100) == schedule.factor(100, 100)


@pytest.mark.parametrize(("name", "half"), [("cosine", 0.55), ("linear", 0.55), ("exponential", 0.1**0.5)], ids=str)
def test_schedules_at_chosen_points(name: str, half: float) -> None:
    values = factors(name, final=0.1, warmup=20)
    assert (values[20], values[60], values[100]) == pytest.approx((1.0, half, 0.1))
    assert factors(name, final=1.0) == pytest.approx([1.0] * 101)


def test_cosine_and_linear_differ_between() -> None:
    assert factors("cosine")[25] == pytest.approx(0.5 + 0.5**1.5)
    assert factors("linear")[25] == pytest.approx(0.75)
    assert set(factors("constant")) == {1.0}


# Augmentations.


def augmentation(node: Any, event: zoo.Event = IMAGE) -> zoo.Augmentation:
    built: zoo.Augmentation = zoo.declare(zoo.Augmentation, node)(event)
    return built


def batch(n: int = 64) -> dict[str, Tensor]:
    values = torch.randint(1, 256, (n, *IMAGE.shape), generator=torch.Generator().manual_seed(0))
    return {"image": values.to(torch.uint8), "label": torch.arange(n) % 3}


@pytest.mark.parametrize("node", [*AUGMENTATIONS, {"type": "binarise"}], ids=lambda node: str(node["type"]))
def test_augmentations_change_images_alone_and_by_the_default_generator(node: Any) -> None:
    given = batch()
    torch.manual_seed(3)
    once = augmentation(node)(given)
    torch.manual_seed(3)
    again = augmentation(node)(given)
    other = augmentation(node)(given)
    assert torch.equal(once["image"], again["image"])
    assert not torch.equal(once["image"], other["image"])
    assert not torch.equal(once["image"], given["image"])
    assert torch.equal(given["image"], batch()["image"])
    assert once["label"] is given["label"]
    assert once["image"].dtype == torch.uint8
    assert once["image"].shape == given["image"].shape


@pytest.mark.parametrize("node", [*AUGMENTATIONS, {"type": "binarise"}], ids=lambda node: str(node["type"]))
def test_augmentations_run_without_values(node: Any) -> None:
    with torch.device("meta"):
        out = augmentation(node)({"image": torch.empty(4, *IMAGE.shape)})
    assert out["image"].shape == (4, *IMAGE.shape)


@pytest.mark.parametrize("node", AUGMENTATIONS, ids=lambda node: str(node["type"]))
def test_augmentations_need_images(node: Any) -> None:
    with pytest.raises(zoo.SpecError, match=r"\[C, H, W\]"):
        augmentation(node, zoo.Event("point", zoo.Shape(2)))


def test_a_flip_mirrors_the_stated_share() -> None:
    torch.manual_seed(0)
    given = batch(2000)
    out = augmentation({"type": "horizontal_flip", "p": 0.3})(given)["image"]
    mirrored = (out == given["image"].flip(-1)).flatten(1).all(1)
    kept = (out == given["image"]).flatten(1).all(1)
    assert (mirrored ^ kept).all()
    assert mirrored.float().mean().item() == pytest.approx(0.3, abs=0.05)


def test_a_share_of_images_is_binarised_by_their_levels() -> None:
    torch.manual_seed(0)
    event = zoo.Event("image", zoo.Shape(1, 8, 8), levels=17)
    given = torch.full((4000, 1, 8, 8), 4, dtype=torch.uint8)
    out = augmentation({"type": "binarise", "p": 0.3}, event)({"image": given})["image"]
    binarised = (out != 4).flatten(1).any(1)
    assert binarised.float().mean().item() == pytest.approx(0.3, abs=0.03)
    white = out[binarised] == 16
    assert (white | (out[binarised] == 0)).all()
    assert white.float().mean().item() == pytest.approx(4 / 16, abs=0.01)
    with pytest.raises(zoo.SpecError, match="only data with levels can be binarised, and 'point' is continuous"):
        augmentation("binarise", zoo.Event("point", zoo.Shape(2)))


def test_a_translation_moves_each_image_by_its_own() -> None:
    x = torch.arange(1, 61, dtype=torch.float32).reshape(1, 2, 5, 6).repeat(25, 1, 1, 1)
    moves = torch.cartesian_prod(torch.arange(-2, 3), torch.arange(-2, 3))
    out = translate(x, moves[:, 0], moves[:, 1], most=2, fill=-7.0)
    for image, (down, right) in zip(out, moves.tolist(), strict=True):
        expected = torch.full((2, 5, 6), -7.0)
        source = x[0, :, max(0, -down) : 5 - max(0, down), max(0, -right) : 6 - max(0, right)]
        expected[:, max(0, down) : 5 + min(0, down), max(0, right) : 6 + min(0, right)] = source
        assert torch.equal(image, expected)


def test_shifts_are_uniform_and_reach_both_ends() -> None:
    torch.manual_seed(0)
    event = zoo.Event("image", zoo.Shape(1, 7, 7), levels=2)
    dot = torch.zeros(5000, 1, 7, 7, dtype=torch.uint8)
    dot[:, :, 3, 3] = 1
    out = augmentation({"type": "shift", "pixels": 2}, event)({"image": dot})["image"]
    assert (out.flatten(1).sum(1) == 1).all()
    counts = out.sum((0, 1), dtype=torch.int64)
    assert counts.sum() == counts[1:6, 1:6].sum()
    assert (counts[1:6, 1:6] - 200).abs().max() < 5 * 200**0.5


def test_the_border_is_black() -> None:
    torch.manual_seed(0)
    event = zoo.Event("image", zoo.Shape(1, 4, 4), range=(-1.0, 1.0))
    out = augmentation({"type": "shift", "pixels": 3}, event)({"image": torch.ones(50, 1, 4, 4)})["image"]
    assert out.unique().tolist() == [-1.0, 1.0]


# Sinks.


def test_tensorboard_keeps_figures_and_forgets_what_is_done_again(tmp_path: Path) -> None:
    accumulators = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    for since, steps, value in ((0, (1, 2, 3), 1.0), (2, (3, 4), 2.0)):
        sink = zoo.declare(zoo.Sink, "tensorboard")()
        sink.open(tmp_path, since)
        for step in steps:
            sink.write({"step": step, "split": "train", "loss": value * step})
        sink.close()
    events = accumulators.EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert events.Tags()["scalars"] == ["train/loss"]
    assert [(e.step, e.value) for e in events.Scalars("train/loss")] == [(1, 1.0), (2, 2.0), (3, 6.0), (4, 8.0)]


def test_a_missing_tensorboard_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(zoo.ZooError, match=r"pip install 'generative-zoo\[tensorboard\]'"):
        zoo.declare(zoo.Sink, "tensorboard")().open(tmp_path, 0)
