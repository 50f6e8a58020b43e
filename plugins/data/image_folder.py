"""One's own images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field, PositiveInt

from zoo import DataError, Dataset, Event, Examples, Shape, component

from .holdout import fraction_of, hold_out
from .image_files import ImageFiles
from .image_tree import Entry, entries_of
from .places import locate


@component("image_folder", example={"train": "images.tar", "size": 8, "classes": 2})
class ImageFolder(Dataset):
    """The jpeg and png images below a folder or in an uncompressed ``.tar``, one folder a class.

    A batch has ``image``, uint8 ``[B, channels, size, size]``: the shorter side is resized to ``size``, antialiased,
    and the centre cut out; three ``channels`` are colours, one is grey. Images are decoded when they are read, so the
    data may be larger than memory. ``train`` and ``test`` are paths, relative to the working directory or to
    ``$ZOO_DATA``. Without ``test`` the fixed fraction ``test_fraction`` (0.1) of ``train`` is held out.

    With ``classes``, a batch has ``label``, int64 ``[B]``: the number of the folder that holds the image among those
    folders' sorted names in ``train``. Without it there are no labels, and images may lie anywhere.

    Raises ValueError where both ``test`` and ``test_fraction`` are given, and `zoo.DataError` for missing files, other
    classes than declared, or an image that cannot be decoded, with its name.

    >>> ImageFolder(train="cats.tar", size=64).event.shape
    Shape(3, 64, 64)
    """

    places = ("train", "test")

    def __init__(
        self,
        *,
        train: str,
        test: str | None = None,
        test_fraction: Annotated[float, Field(gt=0.0, lt=1.0)] | None = None,
        size: PositiveInt,
        channels: Literal[1, 3] = 3,
        classes: PositiveInt | None = None,
    ) -> None:
        self.train, self.test = train, test
        self.test_fraction = fraction_of(test, test_fraction)
        self.shape = Shape(channels, size, size)
        self.classes = classes
        self._trees: dict[str, Sequence[Entry]] = {}

    @property
    def event(self) -> Event:
        return Event("image", self.shape, levels=256, classes=self.classes)

    def split(self, name: Literal["train", "test"]) -> Examples:
        if self.test is None:
            images = self._tree(self.train)
            images = [images[index] for index in hold_out(len(images), self.test_fraction, name)]
        else:
            images = self._tree(self.train if name == "train" else self.test)
        labels = None if self.classes is None else self._labels(images, self.classes)
        return ImageFiles(images, labels, self.shape)

    def _labels(self, images: Sequence[Entry], classes: int) -> list[int]:
        names = sorted({image.folder for image in self._tree(self.train)})
        if len(names) != classes:
            raise DataError(f"'{self.train}' has {len(names)} class folders, not {classes}: {_listed(names)}")
        number = {name: index for index, name in enumerate(names)}
        strangers = sorted({image.folder for image in images} - set(names))
        if strangers:
            raise DataError(f"'{self.test}' has class folders that '{self.train}' has not: {_listed(strangers)}")
        return [number[image.folder] for image in images]

    def _tree(self, path: str) -> Sequence[Entry]:
        if path not in self._trees:
            self._trees[path] = entries_of(locate(path))
        return self._trees[path]


def _listed(names: Sequence[str]) -> str:
    shown = [f"'{name}'" for name in names[:8]]
    return ", ".join(shown) + (" ..." if len(names) > 8 else "")
