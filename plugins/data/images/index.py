"""Index of the images of a folder or a tar archive, by which each is read separately."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

IMAGES = (".jpg", ".jpeg", ".png")
OTHER_IMAGES = (".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif", ".heic", ".jp2", ".ppm", ".pgm")
IGNORED = (".", "~$")
"""Prefixes of names that are not data: hidden files, and the lock files of editors."""


@dataclass(frozen=True, slots=True)
class Entry:
    """Location of one image: a range of bytes of a file. Each read opens the file, so that threads and forks share
    nothing.

    ``identity`` is the same for two names of the same bytes, by links.
    """

    name: str
    path: Path
    start: int
    size: int
    identity: tuple[int, ...]

    @property
    def folder(self) -> str:
        """The folder that holds the image: its class."""
        return self.name.rpartition("/")[0].rpartition("/")[2]

    def read(self) -> bytes:
        with self.path.open("rb") as file:
            file.seek(self.start)
            return file.read(self.size)


class Skipped:
    """Skipped files of an index, counted by reason, each with the first name."""

    def __init__(self) -> None:
        self._names: dict[str, list[str]] = {}

    def add(self, reason: str, name: str) -> None:
        self._names.setdefault(reason, []).append(name)

    def notes(self, path: Path) -> list[str]:
        """One warning for each reason."""
        return [f"{path}: skipped {len(names)} {reason}, such as '{names[0]}'" for reason, names in self._names.items()]


@dataclass(frozen=True)
class Tree:
    """Images of a folder or an archive in the order of their names, with ``notes`` on skipped files."""

    images: Sequence[Entry]
    notes: Sequence[str]


SPECIAL = "that are not regular files (a FIFO, a socket, a device)"
DANGLING = "broken links"
AGAIN = "links to folders whose images are already read under another name"
UNREAD = "images of an unsupported format (convert them to png or jpeg)"


def is_image(name: str) -> bool:
    """Whether a name, with its folders, is that of an image that can be read."""
    return name.lower().endswith(IMAGES) and not is_ignored(name)


def is_other_image(name: str) -> bool:
    """Whether a name is that of an image in a format that is not read."""
    return name.lower().endswith(OTHER_IMAGES) and not is_ignored(name)


def is_ignored(name: str) -> bool:
    """Whether a file, or a folder on its path, is skipped without a warning."""
    return any(part.startswith(IGNORED) and part not in (".", "..") for part in name.split("/"))
