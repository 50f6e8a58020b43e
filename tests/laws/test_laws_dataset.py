"""Every registered dataset whose data is here obeys the laws, and the laws find planted defects."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import zoo
from zoo.testing import DATASET_LAWS, Case, LawBroken, cases

CASES = list(cases(zoo.Dataset, labelled={"type": "digits"}, rings={"type": "toy2d", "figure": "rings"}))


@pytest.mark.parametrize("law", DATASET_LAWS)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_law(case: Case, law: str) -> None:
    try:
        dataset = case.build()
        dataset.split("train")
    except zoo.DataError as error:
        pytest.skip(str(error))
    DATASET_LAWS[law](dataset)


class Rows(zoo.Examples):
    """Numbered examples."""

    def __init__(self, numbers: Tensor) -> None:
        self.numbers = numbers

    def __len__(self) -> int:
        return len(self.numbers)

    def read(self, indices: Tensor) -> dict[str, Tensor]:
        chosen = self.numbers[indices]
        return {"image": torch.stack([chosen // 16 % 16, chosen % 16], dim=1).to(torch.uint8), "label": chosen % 3}

    def fingerprint(self) -> str:
        return str(int(self.numbers.sum()))


class Sound(zoo.Dataset):
    """Correct data, for defects to be planted in."""

    event = zoo.Event("image", zoo.Shape(2), levels=16, classes=3)
    train, test = torch.arange(0, 200), torch.arange(200, 250)

    def split(self, name: str) -> zoo.Examples:
        return self.rows(self.train if name == "train" else self.test)

    def rows(self, numbers: Tensor) -> zoo.Examples:
        return Rows(numbers)


class OffScale(Sound):
    event = zoo.Event("image", zoo.Shape(2), levels=8, classes=3)


class Misshapen(Sound):
    event = zoo.Event("image", zoo.Shape(3), levels=16, classes=3)


class Misnamed(Sound):
    event = zoo.Event("picture", zoo.Shape(2), levels=16, classes=3)


class NewLabels(Sound):
    event = zoo.Event("image", zoo.Shape(2), levels=16, classes=2)


class Real(Sound):
    """Says that its integers are real numbers."""

    event = zoo.Event("image", zoo.Shape(2))


class Empty(Sound):
    test = torch.arange(0)


class Augmented(Sound):
    """Every reading is another."""

    def rows(self, numbers: Tensor) -> zoo.Examples:
        class Noisy(Rows):
            def read(self, indices: Tensor) -> dict[str, Tensor]:
                batch = super().read(indices)
                batch["image"] = (batch["image"] + torch.randint(2, (len(indices), 2))) % 16
                return batch

        return Noisy(numbers)


class Sorted(Sound):
    """Gives the examples in its own order."""

    def rows(self, numbers: Tensor) -> zoo.Examples:
        class InOrder(Rows):
            def read(self, indices: Tensor) -> dict[str, Tensor]:
                return super().read(indices.sort().values)

        return InOrder(numbers)


class Shuffled(Sound):
    """Every split is shuffled anew."""

    def rows(self, numbers: Tensor) -> zoo.Examples:
        return Rows(numbers[torch.randperm(len(numbers))])


class Leaking(Sound):
    test = torch.arange(190, 250)


class Nameless(Sound):
    """Its fingerprint tells nothing."""

    def rows(self, numbers: Tensor) -> zoo.Examples:
        class Plain(Rows):
            def fingerprint(self) -> str:
                return "mine"

        return Plain(numbers)


class Elsewhere(Sound):
    """What it reads lies on another device."""

    def rows(self, numbers: Tensor) -> zoo.Examples:
        class Meta(Rows):
            def read(self, indices: Tensor) -> dict[str, Tensor]:
                return {name: x.to("meta") for name, x in super().read(indices).items()}

        return Meta(numbers)


class Lacking(Sound):
    """Its event describes a text that the examples do not have."""

    event = zoo.Event("image", zoo.Shape(2), levels=16, also=(zoo.Event("text", zoo.Shape(2), levels=4),))


class BeyondTheVocabulary(Sound):
    """An entry has more levels than its event says."""

    event = zoo.Event("image", zoo.Shape(2), levels=16, also=(zoo.Event("text", zoo.Shape(2), levels=15),))

    def rows(self, numbers: Tensor) -> zoo.Examples:
        class Texts(Rows):
            def read(self, indices: Tensor) -> dict[str, Tensor]:
                image = super().read(indices)["image"]
                return {"image": image, "text": image}

        return Texts(numbers)


PLANTED = [
    (Lacking, "examples_are_as_described"),
    (BeyondTheVocabulary, "examples_are_as_described"),
    (OffScale, "examples_are_as_described"),
    (Misshapen, "examples_are_as_described"),
    (Misnamed, "examples_are_as_described"),
    (NewLabels, "examples_are_as_described"),
    (Real, "examples_are_as_described"),
    (Empty, "examples_are_as_described"),
    (Augmented, "reading_is_a_function"),
    (Sorted, "reading_is_a_function"),
    (Shuffled, "reading_is_a_function"),
    (Leaking, "splits_are_disjoint"),
    (Nameless, "fingerprint_tells"),
    (Elsewhere, "examples_lie_on_the_cpu"),
]


@pytest.mark.parametrize("law", DATASET_LAWS)
def test_the_sound_one_obeys(law: str) -> None:
    DATASET_LAWS[law](Sound())


@pytest.mark.parametrize(("cls", "law"), PLANTED, ids=lambda value: getattr(value, "__name__", value))
def test_planted_defect_is_found(cls: type[Sound], law: str) -> None:
    with pytest.raises(LawBroken):
        DATASET_LAWS[law](cls())


def test_every_law_has_a_defect_that_it_finds() -> None:
    assert {law for _, law in PLANTED} == set(DATASET_LAWS)
