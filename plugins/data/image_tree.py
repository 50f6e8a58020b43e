"""Where the images of a folder or a tar archive lie: an index, made once, by which each is read alone."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from zoo import DataError

ENDINGS = (".jpg", ".jpeg", ".png")


@dataclass(frozen=True, slots=True)
class Entry:
    """The bytes of one image: a piece of a file. Reading opens the file anew, so threads and forks share nothing."""

    name: str
    path: Path
    start: int
    size: int

    @property
    def folder(self) -> str:
        """The folder that holds the image: its class."""
        return self.name.rpartition("/")[0].rpartition("/")[2]

    def read(self) -> bytes:
        with self.path.open("rb") as file:
            file.seek(self.start)
            return file.read(self.size)


def entries_of(path: Path) -> Sequence[Entry]:
    """All jpeg and png images below a folder or in an uncompressed tar archive, in the order of their names.

    Names that start with a dot are passed over. Raises `zoo.DataError` where there are none, or no such archive.
    """
    found = {entry.name: entry for entry in (_in_folder(path) if path.is_dir() else _in_tar(path))}
    if not found:
        raise DataError(f"{path} holds no jpeg or png images")
    return [found[name] for name in sorted(found)]


def _in_folder(root: Path) -> Iterator[Entry]:
    for folder, _, files in os.walk(root, followlinks=True):
        for file in files:
            path = Path(folder, file)
            name = path.relative_to(root).as_posix()
            if _is_image(name):
                yield Entry(name, path, 0, path.stat().st_size)


def _in_tar(path: Path) -> Iterator[Entry]:
    length = path.stat().st_size
    try:
        with tarfile.open(path, "r:") as archive:
            for member in archive:
                name = member.name.removeprefix("./")
                if not (member.isreg() and _is_image(name)):
                    continue
                if member.offset_data + member.size > length:
                    raise DataError(f"{path} is cut short: '{name}' reaches beyond its end")
                yield Entry(name, path, member.offset_data, member.size)
    except tarfile.TarError as error:
        raise DataError(f"{path} is neither a folder nor an uncompressed tar archive: {error}") from error


def _is_image(name: str) -> bool:
    return name.lower().endswith(ENDINGS) and not any(part.startswith(".") for part in name.split("/"))
