"""Nearest neighbours of codes against scikit-learn's, and what the metric refuses."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import zoo

knn = import_module("zoo.plugins.metrics.knn")
CLASSES = 5
EVENT = zoo.Event("point", zoo.Shape(3), classes=CLASSES)


class Turned(zoo.Model, zoo.Encodes):
    """Codes are the data, on a grid that is 1x3."""

    def forward(self, batch: zoo.Batch, clock: zoo.Clock) -> zoo.Terms:
        return zoo.Terms(torch.zeros(()), {})

    def encode(self, x: Tensor, context: zoo.Condition | None = None) -> Tensor:
        return x[:, None]


class Labelled(Turned):
    """Is given the label."""

    conditioned_on = "label"


class Mute(zoo.Model):
    """Does not encode."""

    def forward(self, batch: zoo.Batch, clock: zoo.Clock) -> zoo.Terms:
        return zoo.Terms(torch.zeros(()), {})


def metric(**values: Any) -> Any:
    return zoo.declare(zoo.Metric, {"type": "knn", **values})()


def clouds(n: int, seed: int) -> tuple[Tensor, Tensor]:
    """Points around one centre a class, that overlap."""
    noise = torch.Generator().manual_seed(seed)
    labels = torch.randint(CLASSES, (n,), generator=noise)
    centres = torch.randn(CLASSES, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return centres[labels] + 0.7 * torch.randn(n, 3, generator=noise, dtype=torch.float64), labels


def batches(x: Tensor, labels: Tensor, size: int) -> list[zoo.Batch]:
    parts = zip(torch.split(x, size), torch.split(labels, size), strict=True)
    return [{"point": some, "label": label} for some, label in parts]


@pytest.mark.parametrize(("k", "temperature"), [(1, 0.07), (7, 0.07), (20, 0.5), (300, 0.3)])
def test_predictions_are_those_of_scikit_learn(k: int, temperature: float) -> None:
    """With weights that are functions of its cosine distance, 1 - s."""
    (x, labels), (y, truth) = clouds(300, 1), clouds(200, 2)
    theirs = (
        import_module("sklearn.neighbors")
        .KNeighborsClassifier(
            n_neighbors=k, metric="cosine", algorithm="brute", weights=lambda d: np.exp((1.0 - d) / temperature)
        )
        .fit(x, labels)
    )
    found = metric(k=k, temperature=temperature)
    found.fit(model := Turned(EVENT), batches(x, labels, 128))
    assert found.predict(y).tolist() == theirs.predict(y).tolist()
    measured = found.measure(model, batches(y, truth, 64))["knn"]
    assert measured.value == pytest.approx(theirs.score(y, truth), abs=1e-12) and measured.n == 200
    assert 0.3 < measured.value < 0.95


def test_the_figure_depends_on_no_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    (x, labels), (y, truth) = clouds(300, 1), clouds(200, 2)
    values = []
    for size, pairs in ((500, knn.PAIRS), (7, knn.PAIRS), (500, 1000)):
        monkeypatch.setattr(knn, "PAIRS", pairs)
        found = metric()
        found.fit(Turned(EVENT), batches(x, labels, size))
        values.append(found.measure(Turned(EVENT), batches(y, truth, size))["knn"].value)
    assert values[0] == values[1] == values[2]


def test_fewer_examples_than_neighbours_all_vote_and_low_temperatures_do_not_overflow() -> None:
    found = metric(k=20, temperature=1e-4)
    found.remember(torch.eye(3)[:2].half(), torch.tensor([1, 0]), classes=2)
    assert found.predict(torch.tensor([[9.0, 1.0, 0.0], [1.0, 9.0, 0.0]]).half()).tolist() == [1, 0]


def test_what_cannot_be_measured_is_refused() -> None:
    with pytest.raises(ValueError, match="Mute does not encode"):
        metric().check(Mute(EVENT))
    with pytest.raises(ValueError, match="'point' has no classes to predict"):
        metric().check(Turned(zoo.Event("point", zoo.Shape(3))))
    with pytest.raises(ValueError, match="is conditioned on the label, which the codes must predict"):
        metric().check(Labelled(EVENT))
    with pytest.raises(zoo.DataError, match="codes are not finite"):
        metric().remember(torch.tensor([[torch.nan, 1.0, 1.0]]), torch.tensor([0]), classes=1)
    with pytest.raises(zoo.DataError, match="no training examples"):
        metric().fit(Turned(EVENT), [])
