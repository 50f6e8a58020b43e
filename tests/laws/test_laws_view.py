"""Every registered view obeys the laws, and the laws find planted defects."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import zoo
from zoo.testing import VIEW_LAWS, Case, LawBroken, cases, check_component
from zoo.testing.pictured import Pictured

EVENT = zoo.Event("image", zoo.Shape(1, 8, 8), levels=2)
NET = {"type": "time_mlp", "width": 8, "depth": 1}
DIFFUSION = zoo.declare(zoo.Model, {"type": "diffusion", "net": NET, "solver": {"type": "euler", "steps": 4}})
CASES = [
    *cases(zoo.View),
    Case(
        "solver_steps", zoo.declare(zoo.View, {"type": "solver_steps", "steps": [1, 2, 4]}), (DIFFUSION(EVENT).eval(),)
    ),
]
"""All views, with a model of its own for the one that is of a single class of models."""


@pytest.mark.parametrize("law", VIEW_LAWS)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_law(case: Case, law: str) -> None:
    VIEW_LAWS[law](case.build())


def test_every_view_has_a_case() -> None:
    from zoo.registry.registry import installed

    assert {case.part.name for case in CASES} == {name for kind, name in installed().components() if kind == "view"}


class Sound(zoo.View):
    """Draws, and a row of three for each example: a correct view for defects to be planted in."""

    default_n = 20

    def draw(self, n: int, temperature: float, data: zoo.Batch | None = None) -> Tensor:
        assert isinstance(self.model, zoo.Samples)
        return self.picture(self.model.sample(3 * n).double(), n)

    def picture(self, x: Tensor, n: int) -> Tensor:
        return zoo.image_groups(torch.unflatten(x, 0, (n, 1, 3)), self.model.event)


class Strip(Sound):
    """Every example is below the one before."""

    def picture(self, x: Tensor, n: int) -> Tensor:
        return zoo.image_grid(x, self.model.event, 3)


class Row(Sound):
    """Every example is right of the one before."""

    def picture(self, x: Tensor, n: int) -> Tensor:
        return zoo.image_grid(x, self.model.event, 3 * n)


class Long(Sound):
    """Its default is a strip."""

    default_n = 65

    def picture(self, x: Tensor, n: int) -> Tensor:
        return super().picture(x, n) if n < 65 else zoo.image_grid(x, self.model.event, 3)


class LongGroup(Sound):
    def draw(self, n: int, temperature: float, data: zoo.Batch | None = None) -> Tensor:
        return zoo.image_groups(torch.zeros(n, 1, 20, 1, 8, 8), self.model.event)


class Blank(Sound):
    def picture(self, x: Tensor, n: int) -> Tensor:
        return super().picture(torch.full_like(x, torch.nan), n)


class Floats(Sound):
    def picture(self, x: Tensor, n: int) -> Tensor:
        return super().picture(x, n) / 255


PLANTED = [
    (Strip, "picture_is_near_a_square"),
    (Row, "picture_is_near_a_square"),
    (Long, "picture_is_near_a_square"),
    (LongGroup, "picture_is_near_a_square"),
    (Blank, "picture_is_rgb"),
    (Floats, "picture_is_rgb"),
]


@pytest.mark.parametrize("law", VIEW_LAWS)
def test_the_sound_one_obeys(law: str) -> None:
    VIEW_LAWS[law](Sound(Pictured(EVENT, 2)))


@pytest.mark.parametrize(("cls", "law"), PLANTED, ids=lambda value: getattr(value, "__name__", value))
def test_planted_defect_is_found(cls: type[Sound], law: str) -> None:
    with pytest.raises(LawBroken):
        VIEW_LAWS[law](cls(Pictured(EVENT, 2)))


def test_every_law_has_a_defect_that_it_finds() -> None:
    assert {law for _, law in PLANTED} == set(VIEW_LAWS)


def test_a_view_of_one_class_of_models_is_held_to_no_picture() -> None:
    @zoo.component("choosy")
    class Choosy(Sound):
        """Draws of a model that is not in the battery."""

        def __init__(self, model: zoo.Model) -> None:
            super().__init__(model)
            raise ValueError("needs a model of its own")

    check_component(Choosy)


def test_a_view_of_another_package_is_held_to_the_laws() -> None:
    @zoo.component("strip")
    class Installed(zoo.View):
        """Draws in one column."""

        def __init__(self, model: zoo.Model) -> None:
            super().__init__(model)
            if not isinstance(model, zoo.Samples) or zoo.image_problem(model.event):
                raise ValueError("needs images")

        def draw(self, n: int, temperature: float, data: zoo.Batch | None = None) -> Tensor:
            assert isinstance(self.model, zoo.Samples)
            return zoo.image_grid(self.model.event.unit(self.model.sample(n)), self.model.event, 1)

    with pytest.raises(LawBroken, match="the picture of 64 examples is 52 wide and 3202 high"):
        check_component(Installed)
