"""The kind that brings data."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Literal

from torch import Tensor

from ..event import Event
from .component import Component
from .model import Batch

Split = Literal["train", "test"]


class Examples(ABC):
    """The examples of one split, each with a fixed number."""

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def read(self, indices: Tensor) -> dict[str, Tensor]:
        """The examples with these numbers (int64, on the CPU), as one batch on the CPU."""

    @abstractmethod
    def fingerprint(self) -> str:
        """A hash that changes when the data does."""

    def survey(self) -> Iterable[str]:
        """Warnings about these examples, one sentence each that names the column or file and the remedy.

        Called for every split before training starts; raises `zoo.DataError` where examples cannot be read as declared.
        """
        return ()

    def summary(self) -> str:
        """A description in one line, shown when training starts."""
        return f"{len(self):,} examples"

    def render(self, batch: Batch) -> Batch:
        """The batch for the model, from stored tensors: override it for images that are rendered, or noise.

        Called with every batch on the device that it is used on; what it draws comes from the default generators.
        """
        return batch


class InMemory(Examples):
    """Examples in memory: named tensors of one length, which training moves to the device.

    >>> import torch
    >>> InMemory({"point": torch.zeros(5, 2)}).read(torch.tensor([0, 3]))["point"].shape
    torch.Size([2, 2])
    """

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        lengths = {name: len(tensor) for name, tensor in tensors.items()}
        if len(set(lengths.values())) != 1:
            raise ValueError(f"the tensors must have equal lengths, got {lengths}")
        self.tensors = dict(tensors)

    def __len__(self) -> int:
        return len(next(iter(self.tensors.values())))

    def read(self, indices: Tensor) -> dict[str, Tensor]:
        return {name: tensor[indices] for name, tensor in self.tensors.items()}

    def fingerprint(self) -> str:
        digest = hashlib.sha256()
        for name, tensor in sorted(self.tensors.items()):
            digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
            digest.update(tensor.contiguous().numpy().tobytes())
        return f"sha256:{digest.hexdigest()[:32]}"


class Dataset(Component, ABC):
    """Data with a fixed train and test split."""

    places: ClassVar[Sequence[str] | None] = None
    """The parameters that name what is read from outside: paths, addresses, whether to download. If a share file
    sets one of them, zoo asks before any data is read. ``()`` says that there is none; None, that it is not known:
    then zoo always asks."""

    @property
    @abstractmethod
    def event(self) -> Event:
        """The form of one example, from the parameters or a file's header: no data is read for it."""

    @abstractmethod
    def split(self, name: Split) -> Examples:
        """The examples of a split; raises `zoo.DataError` with what to set or download if data is missing."""

    def fetch(self) -> Path | None:
        """Download missing files and verify their checksums; return the folder.

        A hook for data that is offered publicly: None where nothing can be downloaded. Raises `zoo.DataError` where it
        cannot be had.
        """
        return None
