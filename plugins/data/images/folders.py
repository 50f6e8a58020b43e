"""Images of a folder."""

from __future__ import annotations

import os
import stat
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from zoo import DataError

from .index import AGAIN, DANGLING, SPECIAL, UNREAD, Entry, Skipped, is_ignored, is_image, is_other_image


def in_folder(root: Path, skipped: Skipped) -> Iterator[Entry]:
    """The images of a folder, links followed; each folder once, preferably under its name without links.

    Raises `zoo.DataError` for a folder that cannot be read.
    """
    folders, links = deque([root]), deque[Path]()
    seen: set[tuple[int, int]] = set()
    while folders or links:
        folder = (folders or links).popleft()
        with _named(folder, root):
            status, children = folder.stat(), sorted(os.scandir(folder), key=lambda child: child.name)
        if (status.st_dev, status.st_ino) in seen:
            skipped.add(AGAIN, _relative(folder, root))
            continue
        seen.add((status.st_dev, status.st_ino))
        for child in children:
            path = Path(child.path)
            if is_ignored(child.name):
                continue
            if child.is_dir(follow_symlinks=False):
                folders.append(path)
            elif child.is_symlink() and path.is_dir():
                links.append(path)
            elif is_image(child.name):
                yield from _file(path, root, skipped)
            elif is_other_image(child.name):
                skipped.add(UNREAD, _relative(path, root))


def _file(path: Path, root: Path, skipped: Skipped) -> Iterator[Entry]:
    name = _relative(path, root)
    try:
        status = path.stat()
    except OSError:  # also a circle of links
        skipped.add(DANGLING, name)
        return
    if stat.S_ISREG(status.st_mode):
        yield Entry(name, path, 0, status.st_size, (status.st_dev, status.st_ino))
    else:
        skipped.add(SPECIAL, name)


@contextmanager
def _named(folder: Path, root: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        remedy = f": allow reading it, or move it out of {root}" if folder != root else ""
        raise DataError(f"the folder {folder} cannot be read ({error.strerror}){remedy}") from error


def _relative(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix()
