"""Data sets of torchvision."""

from __future__ import annotations

import shlex
import sys
from abc import ABC
from contextlib import redirect_stdout
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch

from zoo import DataError, Dataset, Event, Examples, InMemory, Shape, component

from ..locate import data_home

MOST = 300
"""The largest length of torchvision's message that is quoted."""
FAILED = "the download failed; check the connection and the folder, or copy the data there"


class TorchvisionDataset(Dataset, ABC):
    """Images of ten classes with 256 levels: uint8 ``image`` ``[B, C, H, W]`` and int64 ``label`` ``[B]``.

    The split is the published one.

    Args:
        root: The folder of the files; ``null`` for ``$ZOO_DATA``, or else the user's cache.
        download: Download missing files, as ``zoo data fetch`` does.
    """

    places = ("root", "download")

    archive: ClassVar[str]
    """The name of the data set in torchvision."""

    folder: ClassVar[str]
    """The folder of its files under the root."""

    shape: ClassVar[Shape]

    def __init__(self, *, root: str | None = None, download: bool = False) -> None:
        self.root = root
        self.download = download

    @property
    def event(self) -> Event:
        return Event("image", self.shape, levels=256, classes=10)

    def split(self, name: Literal["train", "test"]) -> Examples:
        held = self._read(name == "train", self.download)
        image = torch.as_tensor(held.data)
        image = image.unsqueeze(1) if image.dim() == 3 else image.permute(0, 3, 1, 2).contiguous()
        return InMemory({"image": image, "label": torch.as_tensor(held.targets)})

    def fetch(self) -> Path:
        for train in (True, False):
            self._read(train, download=True)
        return self._root() / self.folder

    def _root(self) -> Path:
        return Path(self.root).expanduser() if self.root else data_home()

    def _read(self, train: bool, download: bool) -> Any:
        try:
            # What is printed on the way is no result of a command.
            with redirect_stdout(sys.stderr):
                return getattr(import_module("torchvision.datasets"), self.archive)(
                    str(self._root()), train=train, download=download
                )
        # torchvision reports missing, damaged and unreachable files by whatever its own reading raises.
        except (RuntimeError, OSError, ValueError, AssertionError, IndexError, EOFError) as error:
            reason = " ".join(str(error).split())[:MOST] or type(error).__name__
            remedy = FAILED if download else self._remedy()
            raise DataError(f"no usable '{self.folder}' in {self._root()} ({reason}): {remedy}") from error

    def _remedy(self) -> str:
        name, path = ("", "") if self.declaration is None else (self.declaration.name, self.declaration.place.path)
        command = f"zoo data fetch {name}" + (f" --set data.root={shlex.quote(self.root)}" if self.root else "")
        option = f"--set {path}.download=true" if path else "'download: true'"
        return f"fetch it with: {command}; or set ZOO_DATA, or 'root', to the folder that contains it, or use {option}"


@component("mnist")
class MNIST(TorchvisionDataset):
    """MNIST: handwritten digits, 60000 and 10000 grey images of 28x28 in ten classes.

    References: LeCun et al., Gradient-based learning applied to document recognition, Proc. IEEE 86(11), 1998.

    >>> MNIST().event.shape
    Shape(1, 28, 28)
    """

    archive = "MNIST"
    folder = "MNIST/raw"
    shape = Shape(1, 28, 28)


@component("fashion_mnist")
class FashionMNIST(TorchvisionDataset):
    """Fashion-MNIST: articles of clothing, 60000 and 10000 grey images of 28x28 in ten classes.

    References: Xiao et al., Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine Learning Algorithms, 2017,
    arXiv:1708.07747.

    >>> FashionMNIST().event.shape
    Shape(1, 28, 28)
    """

    archive = "FashionMNIST"
    folder = "FashionMNIST/raw"
    shape = Shape(1, 28, 28)


@component("kmnist")
class KMNIST(TorchvisionDataset):
    """KMNIST: cursive Japanese characters, 60000 and 10000 grey images of 28x28 in ten classes.

    References: Clanuwat et al., Deep Learning for Classical Japanese Literature, 2018, arXiv:1812.01718.

    >>> KMNIST().event.shape
    Shape(1, 28, 28)
    """

    archive = "KMNIST"
    folder = "KMNIST/raw"
    shape = Shape(1, 28, 28)


@component("cifar10")
class CIFAR10(TorchvisionDataset):
    """CIFAR-10: photographs of animals and vehicles, 50000 and 10000 colour images of 32x32 in ten classes.

    References: Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009, chapter 3.

    >>> CIFAR10().event.shape
    Shape(3, 32, 32)
    """

    archive = "CIFAR10"
    folder = "cifar-10-batches-py"
    shape = Shape(3, 32, 32)
