"""Images of a tar archive."""

from __future__ import annotations

import posixpath
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import IO

from zoo import DataError

from .index import AGAIN, DANGLING, SPECIAL, UNREAD, Entry, Skipped, is_image, is_other_image

END = 2 * tarfile.BLOCKSIZE
"""An archive ends with two blocks of zeros: without them it may be incomplete."""
CHUNK = 1 << 20
CIRCLE = 40
"""More links than this on the way to a file are a cycle."""
OUTSIDE = "links that lead out of the archive"


def in_archive(path: Path, skipped: Skipped) -> Iterator[Entry]:
    """The images of an uncompressed tar archive. Links within it are followed.

    Raises `zoo.DataError` for a file that is not such an archive, for one that is truncated, damaged or has data after
    its end, and for an image that is a link out of the archive.
    """
    files, links = _members(path, skipped)
    for name, file in files.items():
        if is_image(name):
            yield file
        elif is_other_image(name):
            skipped.add(UNREAD, name)
    folders = {parent for name in files for parent in _parents(name)}
    for name in links:
        target = _target(name, links)
        if is_image(name):
            if target == "..":
                raise DataError(f"{path}: the image '{name}' is a link that leads out of the archive: add its file")
            if target in files:
                yield replace(files[target], name=name)
            else:
                skipped.add(DANGLING, name)
        elif target == "..":
            skipped.add(OUTSIDE, name)
        elif target in folders:
            skipped.add(AGAIN, name)


def _members(path: Path, skipped: Skipped) -> tuple[dict[str, Entry], dict[str, str]]:
    """All files, including hard links, and the targets of symbolic links, by name; the last of the same name wins."""
    files: dict[str, Entry] = {}
    links: dict[str, str] = {}
    with _opened(path) as file:
        status = path.stat()
        archive = _archive(path, file)
        for member in _checked(path, archive):
            name = _normal(member.name)
            files.pop(name, None), links.pop(name, None)
            if member.issparse() or member.size < 0:
                raise DataError(f"{path}: '{name}' is stored in an unsupported way: create the archive without -S")
            if member.isreg():
                if member.offset_data + member.size > status.st_size:
                    raise _cut(path)
                identity = (status.st_dev, status.st_ino, member.offset_data)
                files[name] = Entry(name, path, member.offset_data, member.size, identity)
            elif member.islnk():
                if _normal(member.linkname) not in files:
                    raise DataError(
                        f"{path}: '{name}' is a hard link to a file that does not precede it in the archive"
                    )
                files[name] = replace(files[_normal(member.linkname)], name=name)
            elif member.issym():
                links[name] = member.linkname
            elif not member.isdir() and is_image(name):
                skipped.add(SPECIAL, name)
        _check_end(path, file, archive.offset)
    return files, links


def _opened(path: Path) -> IO[bytes]:
    try:
        return path.open("rb")
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror})") from error


def _archive(path: Path, file: IO[bytes]) -> tarfile.TarFile:
    try:
        return tarfile.open(fileobj=file, mode="r:")
    except (tarfile.TarError, ValueError, OSError) as error:
        raise DataError(f"{path} is neither a folder nor an uncompressed tar archive: {error}") from error


def _checked(path: Path, archive: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    try:
        yield from archive
    except (tarfile.TarError, ValueError, OSError, OverflowError) as error:
        raise _cut(path) from error


def _check_end(path: Path, file: IO[bytes], end: int) -> None:
    """Check the end of an archive, since Python's tarfile takes everything that it cannot read for the end."""
    file.seek(end)
    last = file.read(END)
    if last.strip(b"\0"):
        raise DataError(f"{path} is damaged at byte {end}: the rest cannot be read; create or copy it again")
    if len(last) < END:
        raise _cut(path)
    while more := file.read(CHUNK):
        if more.strip(b"\0"):
            raise DataError(f"{path} continues after its end, at byte {end}: join archives with 'tar --concatenate'")


def _cut(path: Path) -> DataError:
    return DataError(
        f"{path} is truncated or damaged: a complete archive ends with 1024 zeros; create or copy it again"
    )


def _target(name: str, links: dict[str, str]) -> str | None:
    """The name that a name leads to through links; ``..`` for one outside of the archive, None for a cycle."""
    for _ in range(CIRCLE):
        link = next((at for at in (*_parents(name), name) if at in links), None)
        if link is None:
            return name
        # An absolute target replaces all before it.
        name = _normal(posixpath.join(posixpath.dirname(link), links[link], name[len(link) + 1 :]))
        if name.startswith(("/", "../")) or name == "..":
            return ".."
    return None


def _parents(name: str) -> Iterator[str]:
    """The folders on the way to a name, from the top."""
    return (name[:at] for at, letter in enumerate(name) if letter == "/")


def _normal(name: str) -> str:
    return posixpath.normpath(name)
