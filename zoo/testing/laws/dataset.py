"""Laws of data: the event matches the examples, reading is deterministic, and the splits are disjoint."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import torch
from torch import Tensor

from ...interfaces.dataset import Dataset, Examples, Split
from ...interfaces.model import Batch
from ..errors import require

SPLITS: tuple[Split, Split] = ("train", "test")
MOST = 4096
"""Examples that are read at most."""


def examples_are_as_described(dataset: Dataset) -> None:
    """Every entry of an example has the shape that the event says, its levels lie below `levels`, its numbers in
    `range`."""
    event = dataset.event
    for split in SPLITS:
        examples = dataset.split(split)
        require(len(examples) > 0, f"the {split} split is empty")
        batch = _rendered(examples)
        for name in event.entries:
            require(name in batch, f"the {split} split has no '{name}', which its event describes")
        lengths = {name: len(x) for name, x in batch.items()}
        require(len(set(lengths.values())) == 1, f"the entries of a batch differ in length: {lengths}")
        for name, entry in event.entries.items():
            flaw = entry.flaw(batch[name])
            require(flaw is None, f"'{name}' of the {split} split {flaw}")


def reading_is_a_function(dataset: Dataset) -> None:
    """The same indices give the same examples, in their order, at every call."""
    for split in SPLITS:
        examples, again = dataset.split(split), dataset.split(split)
        chosen = _some(examples)
        first, second, other = examples.read(chosen), examples.read(chosen), again.read(chosen)
        backwards = examples.read(chosen.flip(0))
        for name, x in first.items():
            require(torch.equal(x, second[name]), f"'{name}' differs when it is read a second time: {split}")
            require(torch.equal(x, other[name]), f"'{name}' differs in a second split of the same name: {split}")
            require(torch.equal(x, backwards[name].flip(0)), f"'{name}' does not follow the requested order")


def splits_are_disjoint(dataset: Dataset) -> None:
    """No example of the test split is one of training."""
    trained = set(_digests(dataset, "train"))
    shared = sum(digest in trained for digest in _digests(dataset, "test"))
    require(shared == 0, f"{shared} examples of the test split are examples of training as well")


def fingerprint_tells(dataset: Dataset) -> None:
    """The fingerprint is the same for the same data, and another for other data."""
    train, test = (dataset.split(split).fingerprint() for split in SPLITS)
    require(dataset.split("train").fingerprint() == train, "the fingerprint of the same split changes")
    require(train != test, "the fingerprints of training and test are equal: they must identify the examples")


def examples_lie_on_the_cpu(dataset: Dataset) -> None:
    """Examples are read to the CPU: the engine moves them."""
    for split in SPLITS:
        examples = dataset.split(split)
        for name, x in examples.read(_some(examples)).items():
            require(x.device.type == "cpu", f"'{name}' of the {split} split is on {x.device}, expected the CPU")


def _some(examples: Examples) -> Tensor:
    count = min(len(examples), 16)
    return torch.arange(count) * (len(examples) // count)


def _rendered(examples: Examples) -> Batch:
    """The batch for a model, from stored tensors."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return examples.render(examples.read(_some(examples)))


def _digests(dataset: Dataset, split: Split) -> Iterator[bytes]:
    """A digest of each example without its label, over its stored tensors, since rendering may be random."""
    examples = dataset.split(split)
    batch = examples.read(torch.arange(min(len(examples), MOST)))
    kept = [x.reshape(len(x), -1).numpy() for name, x in batch.items() if name != "label"]
    for row in zip(*kept, strict=True):
        yield hashlib.sha256(b"".join(x.tobytes() for x in row)).digest()
