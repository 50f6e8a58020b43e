"""Modes of stacked images: against classes that are computed one by one, and what the metric refuses."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import zoo
from zoo.share.file import export

CHANNELS = zoo.Event("image", zoo.Shape(3, 8, 8), levels=2, classes=1000)
CLASSIFIER = {"type": "classifier", "encoder": {"type": "mlp", "width": 8, "depth": 1}, "features": 5}
MADE = {"type": "autoregressive", "net": {"type": "made", "width": 4}, "head": "categorical"}


class Given(zoo.Model, zoo.Samples):
    """Draws the rows of a table in order."""

    def __init__(self, event: zoo.Event, draws: Tensor) -> None:
        super().__init__(event)
        self.rows = list(draws)

    def forward(self, batch: zoo.Batch, clock: zoo.Clock) -> zoo.Terms:
        return zoo.Terms(torch.zeros(()), {})

    def sample(self, n: int, context: zoo.Condition | None = None, temperature: float = 1.0) -> Tensor:
        return torch.stack([self.rows.pop(0) for _ in range(n)])


class OfLabel(Given):
    """Draws images of the label that it is given, and remembers it."""

    conditioned_on = "label"

    def sample(self, n: int, context: zoo.Condition | None = None, temperature: float = 1.0) -> Tensor:
        assert context is not None
        self.seen = context["label"]
        return super().sample(n)


def untrained(folder: Path, model: dict[str, Any], data: Any = "digits") -> str:
    """The share file of an untrained model."""
    train = {"steps": 1, "batch": 4, "optimizer": "adam"}
    spec = zoo.load_spec({"name": "it", "data": data, "model": model, "train": train})
    net = zoo.build(spec).eval()
    torch.manual_seed(0)
    for p in net.parameters():
        torch.nn.init.normal_(p)
    return str(export(folder / "it.safetensors", spec, net, step=0, data=None))


def metric(file: str, **values: Any) -> Any:
    return zoo.declare(zoo.Metric, {"type": "stacked_modes", "classifier": file, **values})()


def images(n: int) -> Tensor:
    return torch.randint(2, (n, 3, 8, 8), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


def test_modes_are_the_classes_of_the_channels_in_order(tmp_path: Path) -> None:
    file, x = untrained(tmp_path, CLASSIFIER), images(40)
    classifier = zoo.load(file)
    assert isinstance(classifier, zoo.Predicts)
    modes = [[int(classifier.predict(16 * channel[None, None]).argmax()) for channel in image] for image in x]
    numbers = [100 * a + 10 * b + c for a, b, c in modes]
    assert 3 < len({*numbers}) < 40
    found = metric(file, n=40, batch=16)
    seen: list[Tensor] = []
    of = found.of

    def remembering(drawn: Tensor, count: int) -> Any:
        seen.append(drawn)
        return of(drawn, count)

    found.of = remembering
    figures = found.measure(Given(CHANNELS, x), [])
    assert seen[0].tolist() == numbers
    shares = torch.tensor([numbers.count(number) / 40 for number in {*numbers}])
    assert figures["stacked_modes"].value == len({*numbers})
    assert figures["stacked_kl"].value == pytest.approx(float((shares * (1000 * shares).log()).sum()))
    assert {figure.n for figure in figures.values()} == {40}


def test_equal_shares_diverge_by_nothing_and_one_mode_by_all() -> None:
    found = metric("unread")
    assert [figure.value for figure in found.of(torch.arange(1000).repeat(2), 1000).values()] == [1000.0, 0.0]
    one = found.of(torch.full((9,), 7), 1000)
    assert (one["stacked_modes"].value, one["stacked_kl"].value) == (1.0, pytest.approx(math.log(1000)))


def test_draws_that_are_not_finite_have_no_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    grey = zoo.declare(zoo.Model, CLASSIFIER)(zoo.Event("image", zoo.Shape(1, 8, 8), classes=10))
    monkeypatch.setattr("zoo.plugins.metrics.samples.stacked_modes.classifier_of", lambda file: grey)
    x = images(4).float()
    x[2, 1, 3, 3] = math.nan
    figures = metric("it", n=4).measure(Given(zoo.Event("image", zoo.Shape(3, 8, 8)), x), [])
    assert all(math.isnan(figure.value) and figure.not_finite == 1 for figure in figures.values())


def test_a_conditional_model_draws_under_conditions_of_examples(tmp_path: Path) -> None:
    model = OfLabel(CHANNELS, images(20))
    labels = torch.tensor([7, 40, 311])
    metric(untrained(tmp_path, CLASSIFIER), n=20).measure(model, [{"image": images(3), "label": labels}])
    assert {*model.seen.tolist()} == {7, 40, 311}


def test_what_cannot_be_counted_is_refused(tmp_path: Path) -> None:
    file = untrained(tmp_path, CLASSIFIER)
    batch = {"image": images(2), "label": torch.zeros(2, dtype=torch.int64)}
    metric(file).check_data([batch])
    with pytest.raises(zoo.DataError, match=r"is of 'image' of shape 1x8x8, expected the name and the sides"):
        metric(file).check_data([{"image": torch.zeros(2, 3, 28, 28, dtype=torch.uint8)}])
    with pytest.raises(zoo.DataError, match=r"the classifier 'nowhere\.safetensors' cannot be had"):
        metric("nowhere.safetensors").check_data([batch])
    with pytest.raises(zoo.DataError, match="does not classify"):
        metric(untrained(tmp_path, MADE)).check_data([batch])
    stacked = {"type": "stacked", "of": "digits", "size": 20, "test_size": 4}
    with pytest.raises(zoo.DataError, match=r"is of shape 3x8x8, expected images of one channel"):
        metric(untrained(tmp_path, CLASSIFIER, stacked)).check_data([batch])
    with pytest.raises(ValueError, match=r"counts modes of images \[C, H, W\], got 'point' of shape 2"):
        metric(file).check(Given(zoo.Event("point", zoo.Shape(2)), torch.zeros(1, 2)))
