"""The header of a share file, judged without torch and before any tensor is read."""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import DamagedFile, UsageError

MAX_HEADER = 8 << 20
FORMAT = 1
KEYS = {
    "format", "spec", "event", "components", "data", "seed", "step", "metrics", "ties", "parent", "licence", "digest"
}  # fmt: skip
FORMS = {"spec": dict, "event": dict, "metrics": dict, "ties": dict, "components": list, "digest": str}
SIZES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1}


@dataclass(frozen=True)
class TensorEntry:
    """One tensor, as the header declares it; offsets count from the end of the header."""

    dtype: str
    shape: tuple[int, ...]
    start: int
    end: int


@dataclass(frozen=True)
class Header:
    """What a share file says about itself."""

    tensors: dict[str, TensorEntry]
    meta: dict[str, Any]
    data_start: int


def read_header(path: Path) -> Header:
    """The checked header of a share file; `zoo.DamagedFile` where it is not one."""
    if not path.is_file():
        raise UsageError(
            f"there is no file {path}" if not path.exists() else f"{path} is a directory, not a share file"
        )
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(8)
        if len(start) < 8:
            raise DamagedFile(f"{path} is no share file: it has {size} bytes")
        (length,) = struct.unpack("<Q", start)
        if length > MAX_HEADER or length + 8 > size:
            raise DamagedFile(f"{path} is no share file: its header would have {length:,} bytes")
        raw = file.read(length)
    try:
        entries = json.loads(raw, object_pairs_hook=_unique)
        meta = json.loads(entries.pop("__metadata__")["zoo"], object_pairs_hook=_unique)
    except _Twice as twice:
        raise DamagedFile(f"{path} names '{twice}' twice") from None
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise DamagedFile(f"{path} is no share file of zoo: its header cannot be read") from None
    if not isinstance(meta, dict) or not set(meta) >= KEYS - {"licence", "parent"}:
        raise DamagedFile(f"{path} is no share file of zoo: its metadata lacks keys")
    if meta["format"] != FORMAT:
        raise DamagedFile(f"{path} has format {meta['format']}; this zoo reads format {FORMAT}: update zoo to open it")
    if odd := [key for key, form in FORMS.items() if not isinstance(meta[key], form)]:
        raise DamagedFile(f"{path} is no share file of zoo: its metadata has no sound '{odd[0]}'")
    return Header(_tensors(path, entries, size - 8 - length), meta, 8 + length)


class _Twice(Exception):
    """A key stands twice in a JSON object."""


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise _Twice(key)
        found[key] = value
    return found


def _tensors(path: Path, entries: dict[str, Any], data: int) -> dict[str, TensorEntry]:
    tensors: dict[str, TensorEntry] = {}
    for name, entry in entries.items():
        try:
            dtype, shape = entry["dtype"], tuple(entry["shape"])
            start, end = entry["data_offsets"]
            count = 1
            for size in shape:
                count *= size if type(size) is int and size >= 0 else -1
            sound = type(start) is int and type(end) is int and count >= 0 and end - start == count * SIZES[dtype]
        except (KeyError, TypeError, ValueError):
            sound = False
        if not sound:
            raise DamagedFile(f"{path}: the tensor '{name}' is declared wrongly")
        tensors[name] = TensorEntry(dtype, shape, start, end)
    end_of_last = 0
    for name, tensor in sorted(tensors.items(), key=lambda item: (item[1].start, item[1].end)):
        if tensor.start != end_of_last:
            raise DamagedFile(f"{path}: the bytes of the tensor '{name}' overlap others, or leave a gap")
        end_of_last = tensor.end
    if end_of_last != data:
        raise DamagedFile(f"{path} has {data:,} bytes of tensors where its header declares {end_of_last:,}")
    return tensors
