"""Every registered energy obeys the laws of energies, and each law finds its planted defect."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

import zoo
from zoo.testing import ENERGY_LAWS, Case, LawBroken, cases, laws_of_kind

HELD = [pytest.param(case, law, id=f"{case}-{law}") for case in cases(zoo.Energy) for law in ENERGY_LAWS]


@pytest.mark.parametrize(("case", "law"), HELD)
def test_law(case: Case, law: str) -> None:
    laws = laws_of_kind(zoo.Energy)
    assert laws is not None
    laws.hold(case.build(), laws.by_name[law])


class Normal(zoo.Energy):
    """The energy of a standard normal."""

    extent = 8.0

    def __init__(self, shape: zoo.Shape) -> None:
        super().__init__(shape)
        self.weight = torch.nn.Parameter(torch.ones(()))

    def forward(self, x: Tensor) -> Tensor:
        return 0.5 * zoo.sum_event((self.weight * x).square())


class Centred(Normal):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x - x.mean(0))


class Detached(Normal):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) + x.detach().flatten(1).sum(1)


class Flat(Normal):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).tanh()


class Narrow(Normal):
    extent = 2.0


class Double(Normal):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).double()


@pytest.mark.parametrize(
    ("defect", "law"), list(zip((Centred, Detached, Flat, Narrow, Double), ENERGY_LAWS, strict=True)), ids=str
)
def test_planted_defect_is_found(defect: Callable[[zoo.Shape], Any], law: str) -> None:
    with pytest.raises(LawBroken):
        ENERGY_LAWS[law](defect(zoo.Shape(2)).double())
    ENERGY_LAWS[law](Normal(zoo.Shape(2)).double())
