"""The header of a share file, judged without torch and before any tensor is read."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import DamagedFile, UsageError, ZooError
from ..event import Event
from .metadata import Unsound, is_line, judge_metadata, shown

MAX_HEADER = 8 << 20
MAX_PIECES = 400_000
"""Commas, colons and opening brackets of a header: some 25,000 tensors. They bound what a parser allocates."""
MAX_DIMS = 32
SIZES = {
    "F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U64": 8, "U32": 4, "U16": 2,
    "U8": 1, "BOOL": 1, "C64": 8,
}  # fmt: skip


class TensorEntry(NamedTuple):
    """One tensor, as the header declares it; offsets count from the end of the header."""

    dtype: str
    shape: tuple[int, ...]
    start: int
    end: int


class Stamp(NamedTuple):
    """Identity of an unchanged file."""

    device: int
    inode: int
    size: int
    changed: int

    @classmethod
    def of(cls, found: os.stat_result) -> Stamp:
        return cls(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)


@dataclass(frozen=True)
class Header:
    """Header of a share file: ``meta`` in today's format, whatever the format of the file."""

    tensors: dict[str, TensorEntry]
    meta: dict[str, Any]
    data_start: int
    event: Event
    written: Mapping[str, Any]
    """``meta`` as it stands in the file, which is what the digest covers."""
    stamp: Stamp | None = None


def read_header(path: Path) -> Header:
    """The checked header of a share file; `zoo.DamagedFile` if it is not one."""
    try:
        if not path.is_file():
            what = f"{path} is a directory, expected a share file" if path.is_dir() else f"file not found: {path}"
            raise UsageError(what)
        with path.open("rb") as file:
            stamp = Stamp.of(os.fstat(file.fileno()))
            start = file.read(8)
            length = int.from_bytes(start, "little")
            if len(start) < 8 or length > MAX_HEADER or length + 8 > stamp.size:
                raise _another(path, start, stamp.size)
            raw = file.read(length)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from None
    return replace(judge(path, raw, stamp.size - 8 - length), stamp=stamp)


def _another(path: Path, start: bytes, size: int) -> ZooError:
    """The message about a file that does not begin like a share file: its actual format, if known."""
    if path.suffix.lower() in SPEC_ENDINGS:
        return UsageError(f"{path} is a spec, expected a run or a share file: train it with 'zoo train {path}'")
    kind = next((kind for magic, kind in KINDS.items() if start.startswith(magic)), None)
    if kind is None and start.isascii() and start.decode().replace("\n", " ").replace("\t", " ").isprintable():
        kind = "a text file" if start else "empty"
    length = f"a file of {size:,} bytes, or damaged: a header of {int.from_bytes(start, 'little'):,} bytes does not fit"
    return DamagedFile(f"{path} is not a share file: it is {kind or length}")


SPEC_ENDINGS = (".yaml", ".yml")
KINDS = {
    b"\x89PNG": "a PNG image",
    b"\xff\xd8\xff": "a JPEG image",
    b"GIF8": "a GIF image",
    b"PK\x03\x04": "a zip archive, such as a torch checkpoint (.pt, .pth) or a numpy .npz file",
    b"\x80": "a pickle, such as an old torch checkpoint, which is not read because it could execute code",
    b"\x93NUMPY": "a numpy array",
    b"\x89HDF": "an HDF5 file",
    b"\x1f\x8b": "a gzip archive",
    b"%PDF": "a PDF document",
}
"""What files that are given in place of a share file begin with."""


def judge(path: Path, raw: bytes, data: int) -> Header:
    """The header in this JSON text, before ``data`` bytes of tensors; `zoo.DamagedFile` if it is invalid."""
    try:
        entries = _parsed(raw.decode("latin-1"))
        text = canonical(entries)
        held = entries.pop("__metadata__", None)
        if not isinstance(held, dict) or held.keys() != {"zoo"} or not isinstance(held["zoo"], str):
            raise Unsound("is not a share file of zoo: its metadata must have exactly the key 'zoo'")
        tensors = {name: _entry(name, entry) for name, entry in entries.items()}
        _judge_offsets(tensors, data)
        meta = judge_metadata(_parsed(held["zoo"]), tensors)
        # Other texts may say the same, and no digest of what they say would notice.
        if meta.written["format"] > 1 and (text, canonical(meta.written)) != (raw.decode().rstrip(" "), held["zoo"]):
            raise Unsound("is damaged: its header is not canonical JSON")
    except Unsound as unsound:
        raise DamagedFile(f"{path} {unsound}") from None
    return Header(tensors, meta.values, 8 + len(raw), meta.event, meta.written)


def canonical(value: Any) -> str:
    """The one JSON text of a value."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def fits(text: str) -> bool:
    """Whether a text, a spec's, leaves room in a header for as much again."""
    return 2 * len(text) <= MAX_HEADER and 2 * _pieces(text) <= MAX_PIECES


def _pieces(text: str) -> int:
    return sum(text.count(mark) for mark in ",:[{")


def _parsed(text: str) -> dict[str, Any]:
    """A JSON object; `Unsound` if it is not one, or too large to parse."""
    # The writer escapes what is not ASCII; other texts would take four times the memory.
    if not text.isascii():
        raise Unsound("is not a share file of zoo: its header is not ASCII")
    if _pieces(text) > MAX_PIECES:
        raise Unsound(f"is not a share file of zoo: its header has more than {MAX_PIECES:,} pieces")
    try:
        found = json.loads(
            text, object_pairs_hook=_unique, parse_int=_whole, parse_float=_finite, parse_constant=_finite
        )
    except (ValueError, RecursionError):
        raise Unsound("is not a share file of zoo: its header cannot be read") from None
    if not isinstance(found, dict):
        raise Unsound("is not a share file of zoo: its header is not a mapping")
    return found


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise Unsound(f"has the duplicate key {shown(key)}")
        found[key] = value
    return found


def _whole(text: str) -> int:
    if len(text) > 19:
        raise ValueError
    return int(text)


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError
    return number


def _entry(name: str, entry: Any) -> TensorEntry:
    if not is_tensor_name(name):
        raise Unsound(f"has a tensor with the invalid name {shown(name)}")
    try:
        dtype, shape, (start, end) = entry["dtype"], tuple(entry["shape"]), entry["data_offsets"]
        sound = entry.keys() == {"dtype", "shape", "data_offsets"} and len(shape) <= MAX_DIMS
        sound = sound and all(type(size) is int and size >= 0 for size in (*shape, start, end))
        sound = sound and end - start == math.prod(shape) * SIZES[dtype]
    except (KeyError, TypeError, ValueError, AttributeError):
        sound = False
    if not sound:
        raise Unsound(f"has an invalid declaration of the tensor '{name}'")
    return TensorEntry(dtype, shape, start, end)


def is_tensor_name(name: str) -> bool:
    """Whether a model's state can have a tensor of this name, and no path is like it.

    >>> [is_tensor_name(name) for name in ("net.0.weight", "", "a..b", "../a", "a/b", "a" * 600)]
    [True, False, False, False, False, False]
    """
    return is_line(name, 512) and all(name.split(".")) and not any(mark in name for mark in "/\\")


def _judge_offsets(tensors: Mapping[str, TensorEntry], data: int) -> None:
    """The tensors follow each other without overlap or gap, and fill the file."""
    reached = 0
    for name, tensor in sorted(tensors.items(), key=lambda item: (item[1].start, item[1].end)):
        if tensor.start != reached:
            raise Unsound(f"has overlapping tensors, or a gap, at '{name}'")
        reached = tensor.end
    if reached != data:
        raise Unsound(f"has {data:,} bytes of tensors, expected the {reached:,} that its header declares")
