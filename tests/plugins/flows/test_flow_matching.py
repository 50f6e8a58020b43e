"""Flow matching of continuous flows: the velocity of straight lines is the target, in any unit of time."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

import zoo

POINT = zoo.Event("point", zoo.Shape(2))
NODE: dict[str, Any] = {"type": "continuous", "velocity": {"type": "mlp", "width": 8, "activation": "tanh"}}


def flow_of(transforms: list[Any], **objective: Any) -> Any:
    node = {"type": "flow", "base": "standard_normal", "transforms": transforms}
    return zoo.declare(zoo.Model, {**node, "objective": {"type": "flow_matching", **objective}})(POINT)


def matching(flow: Any, x: Tensor) -> float:
    torch.manual_seed(0)
    return float(flow({"point": x}, zoo.Clock(torch.tensor(0), 1)).loss)


class ToOnePoint(zoo.Conditioner):
    """The velocity of the lines from one point m at time 0: (x_t - m) / t."""

    def __init__(self, m: Tensor) -> None:
        super().__init__(zoo.Shape(3), zoo.Shape(2))
        self.m = m

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        return (x[:, :2] - self.m) / x[:, 2:]


@pytest.mark.parametrize("times", ["uniform", "logit_normal"])
def test_the_velocity_of_lines_from_one_point_has_no_error(times: str) -> None:
    m = torch.tensor([[0.3, -2.0]], dtype=torch.float64)
    flow = flow_of([{**NODE, "time": 2.0}], times=times).double()
    flow.transforms.of[0].velocity = ToOnePoint(m)
    assert matching(flow, m.expand(500, 2)) < 1e-20
    flow.transforms.of[0].velocity = ToOnePoint(m + 0.1)
    assert matching(flow, m.expand(500, 2)) > 1e-4


def test_transforms_before_it_prepare_the_data_and_get_no_gradient() -> None:
    flow = flow_of(["act_norm", NODE])
    flow.transforms.of[0].double()
    flow.double()({"point": torch.randn(8, 2, dtype=torch.float64)}, zoo.Clock(torch.tensor(0), 1)).loss.backward()
    assert all(p.grad is None for p in flow.transforms.of[0].parameters())
    assert any(p.grad is not None and p.grad.any() for p in flow.transforms.of[1].parameters())


@pytest.mark.parametrize("transforms", [["act_norm"], [NODE, "act_norm"], [NODE, NODE]])
def test_other_transforms_are_refused(transforms: list[Any]) -> None:
    with pytest.raises(zoo.SpecError, match="flow matching trains one 'continuous' transform, the last"):
        flow_of(transforms)
