"""The data sets that torchvision knows how to fetch and read."""

from __future__ import annotations

from abc import ABC
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch

from zoo import DataError, Dataset, Event, Examples, InMemory, Shape, component

from .places import data_home


class TorchvisionDataset(Dataset, ABC):
    """Images of ten classes with 256 levels: uint8 ``image`` ``[B, C, H, W]`` and int64 ``label`` ``[B]``.

    The files are sought in ``root``, else in ``$ZOO_DATA``, else in the user's cache; ``download`` fetches what is
    missing there. The split is the one that the data set is published with.
    """

    places = ("root", "download")

    archive: ClassVar[str]
    """What torchvision calls the data set."""

    folder: ClassVar[str]
    """Where its files lie under the root."""

    shape: ClassVar[Shape]

    def __init__(self, *, root: str | None = None, download: bool = False) -> None:
        self.root = root
        self.download = download

    @property
    def event(self) -> Event:
        return Event("image", self.shape, levels=256, classes=10)

    def split(self, name: Literal["train", "test"]) -> Examples:
        held = self._read(name == "train")
        image = torch.as_tensor(held.data)
        image = image.unsqueeze(1) if image.dim() == 3 else image.permute(0, 3, 1, 2).contiguous()
        return InMemory({"image": image, "label": torch.as_tensor(held.targets)})

    def _read(self, train: bool) -> Any:
        root = Path(self.root).expanduser() if self.root else data_home()
        try:
            return getattr(import_module("torchvision.datasets"), self.archive)(
                str(root), train=train, download=self.download
            )
        # torchvision reports missing, damaged and unreachable files by whatever its own reading raises.
        except (RuntimeError, OSError, ValueError, AssertionError, IndexError, EOFError) as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            remedy = (
                "it could not be downloaded there"
                if self.download
                else "set ZOO_DATA, or 'root', to the folder that holds it, or 'download: true' to fetch it"
            )
            raise DataError(f"no usable '{self.folder}' in {root} ({reason}): {remedy}") from error


@component("mnist")
class MNIST(TorchvisionDataset):
    """Handwritten digits: 60000 and 10000 grey images of 28x28 in ten classes.

    References: LeCun et al., Gradient-based learning applied to document recognition, Proc. IEEE 86(11), 1998.

    >>> MNIST().event.shape
    Shape(1, 28, 28)
    """

    archive = "MNIST"
    folder = "MNIST/raw"
    shape = Shape(1, 28, 28)


@component("fashion_mnist")
class FashionMNIST(TorchvisionDataset):
    """Articles of clothing: 60000 and 10000 grey images of 28x28 in ten classes.

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
    """Cursive Japanese characters: 60000 and 10000 grey images of 28x28 in ten classes.

    References: Clanuwat et al., Deep Learning for Classical Japanese Literature, 2018, arXiv:1812.01718.

    >>> KMNIST().event.shape
    Shape(1, 28, 28)
    """

    archive = "KMNIST"
    folder = "KMNIST/raw"
    shape = Shape(1, 28, 28)


@component("cifar10")
class CIFAR10(TorchvisionDataset):
    """Photographs of animals and vehicles: 50000 and 10000 colour images of 32x32 in ten classes.

    References: Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009, chapter 3.

    >>> CIFAR10().event.shape
    Shape(3, 32, 32)
    """

    archive = "CIFAR10"
    folder = "cifar-10-batches-py"
    shape = Shape(3, 32, 32)
