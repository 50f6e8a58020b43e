"""Data sets side by side without pairs, and images in other colours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch

import zoo
from zoo.testing import check_component

if TYPE_CHECKING:
    from plugins.data.wrappers.recoloured import Recoloured
    from plugins.data.wrappers.unpaired import Unpaired
else:
    from zoo.plugins.data.wrappers.recoloured import Recoloured
    from zoo.plugins.data.wrappers.unpaired import Unpaired

DARK: dict[str, Any] = {"type": "recoloured", "of": "digits", "ink": [0.25], "paper": [1.0]}
FEW: dict[str, Any] = {"type": "subset", "of": DARK, "train": 50}


def data(node: Any) -> zoo.Dataset:
    found = zoo.declare(zoo.Dataset, node)()
    assert isinstance(found, zoo.Dataset)
    return found


def everything(examples: zoo.Examples) -> zoo.Batch:
    return examples.render(examples.read(torch.arange(len(examples))))


def test_they_obey_the_laws() -> None:
    check_component(Unpaired)
    check_component(Recoloured)


def test_colours_are_mixtures_of_ink_and_paper() -> None:
    node = {"type": "recoloured", "of": "digits", "ink": [1.0, 0.5, 0.0], "paper": [0.0, 0.5, 1.0]}
    x, y = everything(data("digits").split("test")), everything(data(node).split("test"))
    assert torch.equal(y["image"][:, :1], x["image"])
    assert torch.equal(y["image"][:, 2:], 16 - x["image"])
    assert (y["image"][:, 1] == 8).all()
    assert torch.equal(x["label"], y["label"])


@pytest.mark.parametrize(("of", "condition"), [("digits", FEW), (FEW, "digits")])
def test_all_training_examples_of_both_come(of: Any, condition: Any) -> None:
    both = everything(data({"type": "unpaired", "of": of, "condition": condition}).split("train"))
    for node, entry in ((of, "image"), (condition, "condition")):
        expected = everything(data(node).split("train"))["image"]
        assert {*map(bytes, both[entry].numpy())} == {*map(bytes, expected.numpy())}
    assert len(both["image"]) == 1437


def test_examples_are_no_pairs_and_the_test_split_has_each_once() -> None:
    node = {"type": "unpaired", "of": "digits", "condition": DARK}
    both = data(node)
    batch = everything(both.split("test"))
    assert torch.equal(batch["image"], everything(data("digits").split("test"))["image"])
    dark = everything(data(DARK).split("test"))["image"]
    assert not torch.equal(batch["condition"], dark)
    assert torch.equal(batch["condition"].flatten(1).sum(1).sort().values, dark.flatten(1).sum(1).sort().values)
    for name, entry in both.event.entries.items():
        assert entry.flaw(batch[name]) is None
    assert both.split("test").fingerprint() != data({**node, "condition": "digits"}).split("test").fingerprint()


def test_noise_of_the_other_data_is_drawn_as_it_is_used() -> None:
    """The other data set's own rendering is applied: new bits each time."""
    node = {"type": "unpaired", "of": "digits", "condition": {"type": "binarised", "of": "digits"}}
    examples = data(node).split("test")
    assert data(node).event.also[0].levels == 2
    first, second = everything(examples), everything(examples)
    assert first["condition"].max() == 1 and not torch.equal(first["condition"], second["condition"])
    assert torch.equal(first["image"], second["image"])


@pytest.mark.parametrize(
    ("node", "message"),
    [
        ({**DARK, "paper": [0.0, 1.0]}, "equally many numbers, got 1 and 2"),
        ({**DARK, "of": {"type": "toy2d", "figure": "two_moons"}}, "colours grey images with levels"),
        ({"type": "unpaired", "of": {"type": "degraded", "of": "digits", "by": "downsampled"}, "condition": DARK},
         "must have different names"),
    ],
)  # fmt: skip
def test_what_cannot_be_made_is_refused(node: Any, message: str) -> None:
    with pytest.raises(zoo.SpecError, match=message):
        data(node)
