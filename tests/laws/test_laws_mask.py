"""Every registered mask obeys the laws, and the laws find planted defects."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import zoo
from zoo.testing import MASK_LAWS, Case, LawBroken, cases

CASES = list(
    cases(zoo.Mask, odd={"type": "checkerboard", "odd": True}, swapped={"type": "channel", "swap": True}),
)


@pytest.mark.parametrize("law", MASK_LAWS)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_law(case: Case, law: str) -> None:
    MASK_LAWS[law](case.build())


class Halves(zoo.Mask):
    """A correct mask that shows the whole vector, for defects to be planted in."""

    def __init__(self) -> None:
        super().__init__(zoo.Shape(6), zoo.Shape(3), zoo.Shape(3))

    @property
    def seen(self) -> zoo.Shape:
        return self.shape

    def asked(self, times: int) -> zoo.Shape:
        return self.changed.channels(times)

    def split(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x[:, :3], x[:, 3:]

    def merge(self, kept: Tensor, changed: Tensor) -> Tensor:
        return torch.cat((kept, changed), dim=1)

    def show(self, kept: Tensor) -> Tensor:
        return torch.cat((kept, torch.zeros_like(kept)), dim=1)

    def answer(self, h: Tensor) -> Tensor:
        return h


class WholeAnswer(Halves):
    """Asks for the whole vector and takes the changed half."""

    def asked(self, times: int) -> zoo.Shape:
        return self.shape.channels(times)

    def answer(self, h: Tensor) -> Tensor:
        return h.unflatten(1, (-1, 6))[:, :, 3:].flatten(1)  # type: ignore[no-untyped-call, no-any-return]


class Losing(Halves):
    def split(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x[:, :3], x[:, 2:5]


class Misshapen(Halves):
    def split(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x[:, :2], x[:, 2:]


class Swapping(Halves):
    def merge(self, kept: Tensor, changed: Tensor) -> Tensor:
        return torch.cat((changed, kept), dim=1)


class Hiding(Halves):
    def show(self, kept: Tensor) -> Tensor:
        return torch.cat((kept[:, :2], kept.new_zeros(len(kept), 4)), dim=1)


class Mixing(Halves):
    def answer(self, h: Tensor) -> Tensor:
        return h.flip(1)


class Displacing(WholeAnswer):
    def show(self, kept: Tensor) -> Tensor:
        return torch.cat((torch.zeros_like(kept), kept), dim=1)


class AnsweringForKept(WholeAnswer):
    def answer(self, h: Tensor) -> Tensor:
        return h.unflatten(1, (-1, 6))[:, :, :3].flatten(1)  # type: ignore[no-untyped-call, no-any-return]


PLANTED = [
    (Losing, "pieces_partition"),
    (Misshapen, "pieces_partition"),
    (Swapping, "merge_inverts_split"),
    (Hiding, "shows_what_is_kept"),
    (Mixing, "answers_for_what_is_changed"),
    (Displacing, "shown_and_answered_places_agree"),
    (AnsweringForKept, "shown_and_answered_places_agree"),
]


@pytest.mark.parametrize("law", MASK_LAWS)
def test_the_sound_one_obeys(law: str) -> None:
    MASK_LAWS[law](WholeAnswer())


@pytest.mark.parametrize(("cls", "law"), PLANTED, ids=lambda value: getattr(value, "__name__", value))
def test_planted_defect_is_found(cls: type[Halves], law: str) -> None:
    with pytest.raises(LawBroken):
        MASK_LAWS[law](cls())


def test_every_law_has_a_defect_that_it_finds() -> None:
    assert {law for _, law in PLANTED} == set(MASK_LAWS)
