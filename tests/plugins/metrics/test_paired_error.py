"""Errors of translations: in closed form, and what the metric refuses."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

import zoo

GREY = zoo.Event("grey", zoo.Shape(1, 2, 2), levels=11)
EVENT = zoo.Event("image", zoo.Shape(1, 2, 2), levels=11, classes=2, also=(GREY,))


class Brighter(zoo.Model, zoo.Samples):
    """Draws the condition, one level brighter."""

    conditioned_on = "grey"

    def forward(self, batch: zoo.Batch, clock: zoo.Clock) -> zoo.Terms:
        return zoo.Terms(torch.zeros(()), {})

    def sample(self, n: int, context: zoo.Condition | None = None, temperature: float = 1.0) -> Tensor:
        assert context is not None
        return context["grey"] + 1


class OfLabel(Brighter):
    conditioned_on = "label"


def test_errors_are_of_each_example_and_its_own_draw() -> None:
    grey = torch.randint(8, (6, 1, 2, 2), dtype=torch.uint8)
    batches = [{"image": grey[:4] + 3, "grey": grey[:4]}, {"image": grey[4:] + 3, "grey": grey[4:]}]
    found = zoo.declare(zoo.Metric, "paired_error")().measure(Brighter(EVENT), batches)
    assert found["paired_error"].value == pytest.approx(0.2)
    assert found["psnr"].value == pytest.approx(-20 * math.log10(0.2))
    assert found["psnr"].n == 6


def test_a_model_that_does_not_translate_is_refused() -> None:
    metric = zoo.declare(zoo.Metric, "paired_error")()
    with pytest.raises(ValueError, match="does not translate"):
        metric.check(OfLabel(EVENT))
    with pytest.raises(ValueError, match="'point' is continuous"):
        metric.check(Brighter(zoo.Event("point", zoo.Shape(2), also=(GREY,))))
