"""Digests of share files, and hashing of bytes as they are read or written."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..errors import DamagedFile
from ..progress import counted
from .header import Header, Stamp, TensorEntry, canonical

CHUNK = 4 << 20
"""Bytes that are moved at a time, and hashed while they are near."""
LARGE = 1 << 20
"""Bytes of a tensor that are worth a thread."""
THREADS = 8


def digest(entries: Mapping[str, TensorEntry], hashes: Mapping[str, str], meta: Mapping[str, Any]) -> str:
    """A hash over all that a file says and holds, wherever the bytes of its tensors lie.

    The sha256 of the canonical JSON of ``[metadata, [[name, dtype, shape, sha256 of the bytes], ...]]``, by name, where
    the metadata has every key but ``digest``. In format 1 ``spec, event`` stood in place of ``metadata``.
    """
    sealed = [meta["spec"], meta["event"]] if meta["format"] == 1 else [{k: meta[k] for k in meta if k != "digest"}]
    tensors = [[name, entry.dtype, list(entry.shape), hashes[name]] for name, entry in sorted(entries.items())]
    return f"sha256:{hashlib.sha256(canonical([*sealed, tensors]).encode()).hexdigest()}"


def check_seal(path: Path, header: Header, hashes: Mapping[str, str]) -> None:
    """`zoo.DamagedFile` unless the digest matches these bytes and the declarations of the file."""
    known = hashes.keys() == header.tensors.keys()
    if not known or digest(header.tensors, hashes, header.written) != header.meta["digest"]:
        raise DamagedFile(f"{path} is damaged: its digest does not match its content")


@contextmanager
def opened(path: Path, header: Header) -> Iterator[int]:
    """The file whose header was checked, open for reading; `zoo.DamagedFile` if it cannot be read to its end."""
    try:
        handle = os.open(path, os.O_RDONLY)
        try:
            if Stamp.of(os.fstat(handle)) != header.stamp:
                raise DamagedFile(f"{path} was replaced while it was being opened; open it again")
            yield handle
        finally:
            os.close(handle)
    except (OSError, EOFError) as error:
        raise DamagedFile(f"{path} cannot be read: {error}") from None


def hash_file(path: Path, header: Header) -> dict[str, str]:
    """The sha256 of each tensor's bytes, which are not stored."""
    with opened(path, header) as handle:
        return in_threads(header.tensors, lambda name, entry: _skim(handle, header.data_start, entry))


def in_threads(entries: Mapping[str, TensorEntry], work: Callable[[str, TensorEntry], str]) -> dict[str, str]:
    """``work`` of every tensor: of the large ones in threads, since moving and hashing bytes lets others run."""
    sizes = {name: entry.end - entry.start for name, entry in entries.items()}
    large = sorted((name for name in entries if sizes[name] > LARGE), key=lambda name: -sizes[name])
    with ThreadPoolExecutor(min(THREADS, os.cpu_count() or 1)) as threads:
        begun = {name: threads.submit(work, name, entries[name]) for name in large}
        order = [*(name for name in entries if name not in begun), *begun]
        return {name: begun[name].result() if name in begun else work(name, entries[name])
                for name in counted(order, len(order))}  # fmt: skip


def read_into(memory: memoryview, handle: int, at: int) -> str:
    """Read a file from an offset into memory; return the sha256. EOFError if the file ends before."""
    total = hashlib.sha256()
    for begin in range(0, len(memory), CHUNK):
        piece = memory[begin : begin + CHUNK]
        _fill(piece, handle, at + begin)
        total.update(piece)
    return total.hexdigest()


def write_from(memory: memoryview, handle: int, at: int) -> str:
    """Write memory to a file at an offset; return the sha256."""
    total = hashlib.sha256()
    for begin in range(0, len(memory), CHUNK):
        piece = memory[begin : begin + CHUNK]
        total.update(piece)
        write_all(piece, handle, at + begin)
    return total.hexdigest()


def write_all(memory: memoryview | bytes, handle: int, at: int) -> None:
    """Write all of it, however often the system has to be asked."""
    while memory:
        count = os.pwrite(handle, memory, at)
        memory, at = memory[count:], at + count


def _skim(handle: int, data_start: int, entry: TensorEntry) -> str:
    total, size = hashlib.sha256(), entry.end - entry.start
    memory = memoryview(bytearray(min(CHUNK, size)))
    for begin in range(0, size, CHUNK):
        piece = memory[: size - begin]
        _fill(piece, handle, data_start + entry.start + begin)
        total.update(piece)
    return total.hexdigest()


def _fill(memory: memoryview, handle: int, at: int) -> None:
    while memory:
        count = os.preadv(handle, [memory], at)
        if not count:
            raise EOFError("unexpected end of file")
        memory, at = memory[count:], at + count
