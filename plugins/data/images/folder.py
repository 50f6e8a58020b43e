"""Images of a folder or an archive as a data set."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, PositiveInt

from zoo import DataError, Dataset, Event, Examples, Shape, component

from ..locate import locate
from ..split import fraction_of, hold_out
from .archive import in_archive
from .decode import WHITE, Colour, ImageFiles
from .folders import in_folder
from .index import Entry, Skipped, Tree

Level = Annotated[int, Field(ge=0, le=255)]
COLOURS: dict[str, Colour] = {"white": WHITE, "black": (0, 0, 0)}


@component("image_folder", example={"train": "images.tar", "size": 8, "classes": 2}, added={"background": "black"})
class ImageFolder(Dataset):
    """Images (jpeg and png) of a folder or an uncompressed ``.tar``, one folder a class.

    A batch has ``image``, uint8 ``[B, channels, size, size]``: the shorter side is resized, antialiased, and the centre
    cropped. Images are rotated by their EXIF orientation; of 16 bits the upper 8 are used. Images are decoded when they
    are read, so the data may be larger than memory. Without ``test`` a fixed fraction of ``train`` is held out; several
    names of the same file stay in the same split.

    With ``classes`` a batch has ``label``, int64 ``[B]``: the number of the image's folder among the sorted names of
    such folders in ``train``.

    Links are followed, in an archive only to its own members, and each folder is read once. Files and folders whose
    name starts with a dot or ``~$`` are ignored. Other files that are skipped are counted in a warning when training
    starts: broken links, FIFOs and devices, images of other formats.

    Raises ValueError if both ``test`` and ``test_fraction`` are given, and `zoo.DataError` for missing files, a folder
    that cannot be read, a truncated or damaged archive, other classes than declared, or an image that cannot be
    decoded, with its name.

    Args:
        train: The path of the training images, relative to the working directory or to ``$ZOO_DATA``.
        test: The path of the test images, likewise; ``null`` holds out a fraction of ``train``.
        test_fraction: The fraction of ``train`` that is held out; ``null`` for 0.1.
        size: The side of an image in pixels.
        channels: 3 for colours, 1 for grey.
        classes: The number of class folders; ``null`` for data without labels, whose images may lie in any folder.
        background: The colour behind transparent pixels: ``white``, ``black`` or ``[r, g, b]`` between 0 and 255.

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
        background: Literal["white", "black"] | tuple[Level, Level, Level] = "white",
    ) -> None:
        self.train, self.test = train, test
        self.test_fraction = fraction_of(test, test_fraction)
        self.shape = Shape(channels, size, size)
        self.classes = classes
        self.background = COLOURS[background] if isinstance(background, str) else background
        self._trees: dict[str, Tree] = {}

    @property
    def event(self) -> Event:
        return Event("image", self.shape, levels=256, classes=self.classes)

    def split(self, name: Literal["train", "test"]) -> Examples:
        images, notes = self._held_out(name) if self.test is None else self._declared(name, self.test)
        labels = None if self.classes is None else self._labels(images, self.classes)
        return ImageFiles(images, labels, self.shape, self.background, notes)

    def _held_out(self, name: Literal["train", "test"]) -> tuple[Sequence[Entry], Sequence[str]]:
        tree = self._tree(self.train)
        files: dict[tuple[int, ...], list[Entry]] = {}
        for image in tree.images:
            files.setdefault(image.identity, []).append(image)
        names = list(files.values())
        chosen = hold_out(len(names), self.test_fraction, name)
        return [image for number in chosen for image in names[number]], tree.notes if name == "train" else ()

    def _declared(self, name: Literal["train", "test"], test: str) -> tuple[Sequence[Entry], Sequence[str]]:
        tree = self._tree(self.train if name == "train" else test)
        if name == "train":
            return tree.images, tree.notes
        trained_on = {image.identity for image in self._tree(self.train).images}
        both = [image.name for image in tree.images if image.identity in trained_on]
        mixed = (
            f"{len(both)} of {len(tree.images)} test images are training images too, such as '{both[0]}'"
            if both
            else ""
        )
        return tree.images, [*tree.notes, *filter(None, [mixed])]

    def _labels(self, images: Sequence[Entry], classes: int) -> list[int]:
        names = sorted({image.folder for image in self._tree(self.train).images})
        if len(names) != classes:
            raise DataError(f"'{self.train}' has {len(names)} class folders, expected {classes}: {_listed(names)}")
        number = {name: index for index, name in enumerate(names)}
        unknown = sorted({image.folder for image in images} - set(names))
        if unknown:
            raise DataError(f"'{self.test}' has class folders that '{self.train}' does not have: {_listed(unknown)}")
        return [number[image.folder] for image in images]

    def _tree(self, path: str) -> Tree:
        if path not in self._trees:
            self._trees[path] = tree_of(locate(path))
        return self._trees[path]


def tree_of(path: Path) -> Tree:
    """Index of the jpeg and png images of a folder or an uncompressed tar archive.

    Raises `zoo.DataError` if there are none, or the archive or a folder cannot be read.
    """
    skipped = Skipped()
    found = {image.name: image for image in (in_folder if path.is_dir() else in_archive)(path, skipped)}
    notes = skipped.notes(path)
    if not found:
        raise DataError("; ".join([f"{path} contains no jpeg or png images", *notes]))
    return Tree([found[name] for name in sorted(found)], notes)


def _listed(names: Sequence[str]) -> str:
    shown = [f"'{name}'" for name in names[:8]]
    return ", ".join(shown) + (" ..." if len(names) > 8 else "")
