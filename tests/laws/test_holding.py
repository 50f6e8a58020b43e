"""What `laws_of` and `check_component` hold a component to."""

from __future__ import annotations

from typing import ClassVar

import pytest
import torch
from torch import Tensor

import zoo
from zoo.testing import CAUSAL_LAWS, COMPONENT_LAWS, MODEL_LAWS, LawBroken, check_component, laws_of
from zoo.testing.cases import cases_of


def test_everything_that_a_plugin_brings_is_held() -> None:
    """Also components of kinds that have no laws of their own."""
    held = {str(law).partition("-")[0] for law in laws_of("training")}
    assert {"adam", "cosine"} <= held


def test_a_causal_model_is_held_to_causality() -> None:
    held = [law for law in laws_of("autoregressive") if law.case.part.name == "autoregressive"]
    assert {law.law for law in held} == {*COMPONENT_LAWS, *MODEL_LAWS, *CAUSAL_LAWS}
    next(law for law in held if law.law == "nothing_leaks")()


@zoo.component("half_flip")
class HalfFlip(zoo.Bijection):
    """Changes the sign of what lies above a bound; its log-determinant is right, and it cannot be inverted."""

    def __init__(self, shape: zoo.Shape, *, above: float = 1e9) -> None:
        super().__init__(shape)
        self.above = above

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return torch.where(x > self.above, -x, x), zoo.sum_event(torch.zeros_like(x))

    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return z, zoo.sum_event(torch.zeros_like(z))


def test_further_parameters_are_held_as_well() -> None:
    check_component(HalfFlip)
    with pytest.raises(LawBroken):
        check_component(HalfFlip, low={"above": 0.1})


def test_what_is_no_component_is_told() -> None:
    with pytest.raises(zoo.UsageError, match="no laws for an optimizer"):
        check_component(zoo.declare(zoo.Optimizer, "adam").cls)


@zoo.component("where")
class Where(zoo.Bijection):
    """The identity of rows, which remembers where its tensors were made, and may ask for their values."""

    devices: ClassVar[list[str]] = []

    def __init__(self, shape: zoo.Shape, *, asks: bool = False) -> None:
        super().__init__(shape)
        if len(tuple(shape)) > 1:
            raise ValueError("needs a row")
        made = torch.ones(tuple(shape))
        self.devices.append(made.device.type)
        if asks and made.sum().item() < 0:
            raise ValueError("needs a positive sum")

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return x, zoo.sum_event(torch.zeros_like(x))

    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return z, zoo.sum_event(torch.zeros_like(z))


@pytest.mark.parametrize(("asks", "devices"), [(False, {"meta"}), (True, {"meta", "cpu"})])
def test_what_a_component_takes_is_decided_on_the_meta_device(asks: bool, devices: set[str]) -> None:
    Where.devices.clear()
    taken = [case.given for case in cases_of(Where, asking={"asks": asks}) if case.label == "asking"]
    assert taken and all(len(tuple(shape)) == 1 for (shape,) in taken)
    assert set(Where.devices) >= devices
    assert ("cpu" in Where.devices) is asks
