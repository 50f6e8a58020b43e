"""Coverage of modes: against shares that are known, and what the metric refuses."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

import zoo

EVENT = zoo.Event("point", zoo.Shape(2))


class Given(zoo.Model, zoo.Samples):
    """Draws the first rows of a table."""

    def __init__(self, event: zoo.Event, draws: Tensor) -> None:
        super().__init__(event)
        self.draws = draws

    def forward(self, batch: zoo.Batch, clock: zoo.Clock) -> zoo.Terms:
        return zoo.Terms(torch.zeros(()), {})

    def sample(self, n: int, context: zoo.Condition | None = None, temperature: float = 1.0) -> Tensor:
        return self.draws[:n]


def metric(**values: Any) -> Any:
    return zoo.declare(zoo.Metric, {"type": "mode_coverage", **values})()


def measured(draws: Tensor, **values: Any) -> dict[str, float]:
    figures = metric(**values).measure(Given(EVENT, draws), [{"point": torch.zeros(len(draws), 2)}])
    return {name: figure.value for name, figure in figures.items()}


def data(n: int = 4000) -> Tensor:
    toy = zoo.declare(zoo.Dataset, {"type": "toy2d", "figure": "eight_gaussians", "size": n})()
    points: Tensor = toy.split("train").read(torch.arange(n))["point"]
    return points


def test_data_covers_its_modes() -> None:
    found = measured(data())
    assert found["modes"] == 8
    assert found["inside"] == pytest.approx(1 - math.exp(-8), abs=2e-3)  # Rayleigh's
    assert 0 <= found["kl"] < 3 * 7 / (2 * 4000)


def test_shares_are_compared_with_equal_ones() -> None:
    """A mode with three quarters of the draws inside, one with a quarter, and six without any."""
    centres = metric().centres
    draws = torch.cat([centres[:1].expand(6, 2), centres[3:4].expand(2, 2), torch.zeros(8, 2)]).float()
    found = measured(draws)
    assert (found["modes"], found["inside"]) == (2, 0.5)
    assert found["kl"] == pytest.approx(0.75 * math.log(6) + 0.25 * math.log(2))


def test_nothing_inside_has_no_shares() -> None:
    found = measured(torch.zeros(5, 2))
    assert (found["modes"], found["inside"], found["kl"]) == (0, 0, math.log(8))


def test_the_radius_is_in_standard_deviations() -> None:
    draws = torch.tensor([[0.0, 0.39], [0.0, 0.41]])
    for within, inside in ((4.0, 0.5), (3.8, 0.0), (4.2, 1.0)):
        assert measured(draws, centres=[[0.0, 0.0]], within=within)["inside"] == inside


def test_other_data_is_refused() -> None:
    metric().check_data([{"point": data(100)}])
    with pytest.raises(zoo.DataError, match=r"of the data lies within 0\.4 of a centre"):
        metric().check_data([{"point": 0.5 * data(100)}])
    with pytest.raises(ValueError, match="the centres have 1 numbers, but 'point' has the shape 2"):
        metric(centres=[[0.0]]).check(Given(EVENT, data(2)))
    with pytest.raises(zoo.SpecError, match="equally many numbers"):
        metric(centres=[[0.0], [0.0, 1.0]])
