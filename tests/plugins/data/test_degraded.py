"""Images with degraded versions: pairs, degradations in closed form, planted defects of their laws."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor

import zoo
from zoo.testing import LawBroken, check_component

if TYPE_CHECKING:
    from plugins.data.degradations import Degradation, Downsampled, Grey
    from plugins.data.laws import degradation
    from plugins.data.wrappers.degraded import Degraded
else:
    from zoo.plugins.data.degradations import Degradation, Downsampled, Grey
    from zoo.plugins.data.laws import degradation
    from zoo.plugins.data.wrappers.degraded import Degraded

RGB = zoo.Shape(3, 8, 8)


def pairs(**values: Any) -> zoo.Dataset:
    data = zoo.declare(zoo.Dataset, {"type": "degraded", "of": "digits", "by": "downsampled", **values})()
    assert isinstance(data, zoo.Dataset)
    return data


def test_they_obey_the_laws() -> None:
    check_component(Degraded)
    for cls in (Grey, Downsampled):
        check_component(cls)


def test_each_image_has_its_own_condition() -> None:
    data = pairs(by={"type": "downsampled", "by": 4})
    examples = data.split("test")
    rows = torch.tensor([7, 3])
    batch = examples.render(examples.read(rows))
    plain = zoo.declare(zoo.Dataset, "digits")().split("test").read(rows)
    assert torch.equal(batch["image"], plain["image"]) and torch.equal(batch["label"], plain["label"])
    means = plain["image"].double().unflatten(2, (2, 4)).unflatten(4, (2, 4)).mean((3, 5))
    assert torch.equal(batch["condition"], means.round().to(torch.uint8))
    for name, entry in data.event.entries.items():
        assert entry.flaw(batch[name]) is None


def test_the_fingerprint_knows_the_degradation() -> None:
    found = {pairs(by={"type": "downsampled", "by": k}).split("test").fingerprint() for k in (2, 4)}
    assert len(found) == 2


def test_the_luma_of_colours() -> None:
    colours = torch.eye(3).reshape(3, 3, 1, 1)
    assert Grey(zoo.Shape(3, 1, 1))(colours).flatten().tolist() == pytest.approx([0.299, 0.587, 0.114])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"by": "grey"}, "needs images of three channels, got 1x8x8"),
        ({"by": {"type": "downsampled", "by": 3}}, "the sides of an image must be multiples of 3, got 1x8x8"),
        ({"of": {"type": "toy2d", "figure": "two_moons"}}, r"degrades images \[C, H, W\], got 2"),
        ({"of": {"type": "degraded", "of": "digits", "by": "downsampled"}}, "must have different names"),
    ],
)
def test_what_cannot_be_degraded_is_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(zoo.SpecError, match=message):
        pairs(**values)


class Squared(Grey):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).square()


class Summed(Downsampled):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * 4


class Whole(Degradation):
    def __init__(self, in_shape: zoo.Shape) -> None:
        super().__init__(in_shape)
        self.out_shape = in_shape

    def forward(self, x: Tensor) -> Tensor:
        return x


PLANTED = [(Squared, "it_is_linear"), (Summed, "one_value_stays"), (Whole, "something_is_lost")]


@pytest.mark.parametrize(("cls", "law"), PLANTED)
def test_planted_defect_is_found(cls: type[Degradation], law: str) -> None:
    with pytest.raises(LawBroken):
        degradation.LAWS.hold(cls(RGB), degradation.LAWS.by_name[law])
    degradation.LAWS.hold(Grey(RGB), degradation.LAWS.by_name[law])
    assert {law for _, law in PLANTED} == set(degradation.LAWS.by_name)
