"""Share files, taken apart and put together again."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

from zoo.format.digest import digest
from zoo.format.header import TensorEntry, canonical

Header = dict[str, Any]
Change = Callable[[Header, bytes], tuple["Header | bytes", bytes]]
"""From a file's header and the bytes after it to others; the header may be the bytes that stand in the file."""


def opened(file: Path) -> tuple[Header, bytes]:
    """The header of a safetensors file, read by the book, and the bytes after it."""
    raw = file.read_bytes()
    (length,) = struct.unpack("<Q", raw[:8])
    return json.loads(raw[8 : 8 + length]), raw[8 + length :]


def joined(header: Header | bytes, data: bytes) -> bytes:
    """The bytes of a file with this header."""
    text = header if isinstance(header, bytes) else canonical(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def closed(file: Path, header: Header | bytes, data: bytes) -> None:
    file.write_bytes(joined(header, data))


def meta_of(header: Header) -> dict[str, Any]:
    """What the file says in its one metadata key."""
    meta: dict[str, Any] = json.loads(header["__metadata__"]["zoo"])
    return meta


def with_meta(header: Header, meta: dict[str, Any]) -> Header:
    """The header with other metadata, whose digest stays as it is."""
    return header | {"__metadata__": {"zoo": canonical(meta)}}


def sealed(header: Header, data: bytes) -> Header:
    """The header with the digest of what the file now holds: only what it declares can be wrong with it."""
    meta = meta_of(header)
    entries, hashes = {}, {}
    for name, entry in header.items():
        if name != "__metadata__":
            start, end = entry["data_offsets"]
            entries[name] = TensorEntry(entry["dtype"], tuple(entry["shape"]), start, end)
            hashes[name] = hashlib.sha256(data[start:end]).hexdigest()
    return with_meta(header, meta | {"digest": digest(entries, hashes, meta)})


def metadata(**values: Any) -> Change:
    """Other values under keys of the metadata; ``...`` takes a key away."""

    def change(header: Header, data: bytes) -> tuple[Header, bytes]:
        meta = meta_of(header) | values
        return with_meta(header, {key: value for key, value in meta.items() if value is not ...}), data

    change.__name__ = "metadata_" + "_".join(values)
    return change


def respecified(edit: Callable[[dict[str, Any]], None]) -> Change:
    """Another spec, under its own digest."""

    def change(header: Header, data: bytes) -> tuple[Header, bytes]:
        meta = meta_of(header)
        edit(meta["spec"])
        return sealed(with_meta(header, meta), data), data

    return change
