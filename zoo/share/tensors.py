"""A model's tensors in a share file: how they lie there, whether they are the model's, and how they come and go."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from fnmatch import fnmatchcase
from pathlib import Path

import torch
from torch import Tensor

from ..errors import DamagedFile, UsageError
from ..format.digest import check_seal, in_threads, opened, read_into, write_all, write_from
from ..format.header import Header, TensorEntry
from ..interfaces import Model

DTYPES = {
    "F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "C64": torch.complex64,
    "I64": torch.int64, "I32": torch.int32, "I16": torch.int16, "I8": torch.int8, "U64": torch.uint64,
    "U32": torch.uint32, "U16": torch.uint16, "U8": torch.uint8, "BOOL": torch.bool,
}  # fmt: skip
NAMES = {dtype: name for name, dtype in DTYPES.items()}
HALVES = {"float16": torch.float16, "bfloat16": torch.bfloat16}
"""What numbers of 32 bits may be stored as; the model that a file opens as has 32 bits again."""


def untied(model: Model) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors of a model's state, each once, and the other names of those that have several."""
    tensors: dict[str, Tensor] = {}
    ties: dict[str, str] = {}
    first: dict[int, str] = {}
    for name, tensor in sorted(model.state_dict(keep_vars=True).items()):
        if not isinstance(tensor, Tensor):
            raise UsageError(
                f"the model's state has a {type(tensor).__name__} '{name}': a share file contains tensors only"
            )
        if id(tensor) in first:
            ties[name] = first[id(tensor)]
        else:
            first[id(tensor)] = name
            tensors[name] = tensor.detach()
    return tensors, ties


def halved(tensors: Mapping[str, Tensor], dtype: torch.dtype) -> dict[str, Tensor]:
    """Tensors with those of 32-bit floats rounded to a half type; UsageError where a value is beyond its range."""
    stored = {name: tensor.to(dtype) if tensor.dtype == torch.float32 else tensor for name, tensor in tensors.items()}
    for name, tensor in stored.items():
        if tensor.dtype == dtype and not torch.equal(tensor.isfinite(), tensors[name].isfinite()):
            raise UsageError(f"the tensor '{name}' has values beyond the range of {NAMES[dtype]}: use bfloat16")
    return stored


def _holds(entry: TensorEntry, tensor: Tensor) -> bool:
    """Whether an entry of a file can fill a tensor: the same shape and dtype, or halves of its 32-bit floats."""
    dtype = DTYPES[entry.dtype]
    same = dtype == tensor.dtype or (tensor.dtype == torch.float32 and dtype in HALVES.values())
    return same and entry.shape == tuple(tensor.shape)


def lay_out(tensors: Mapping[str, Tensor]) -> dict[str, TensorEntry]:
    """The layout of tensors in a file: wide elements first, so that each offset is a multiple of the element size."""
    entries: dict[str, TensorEntry] = {}
    reached = 0
    for name, tensor in sorted(tensors.items(), key=lambda item: (-item[1].element_size(), item[0])):
        if tensor.dtype not in NAMES:
            raise UsageError(f"a share file cannot store {tensor.dtype}, the dtype of the model's '{name}'")
        end = reached + tensor.numel() * tensor.element_size()
        entries[name] = TensorEntry(NAMES[tensor.dtype], tuple(tensor.shape), reached, end)
        reached = end
    return entries


def write(path: Path, tensors: Mapping[str, Tensor], entries: Mapping[str, TensorEntry], head: HeadOf) -> None:
    """Write a share file's tensors, then its head, which knows their hashes and is as long as that of none."""
    start = len(head({}))
    handle = os.open(path, os.O_WRONLY)
    try:
        hashes = in_threads(
            entries, lambda name, entry: write_from(_bytes(tensors[name].cpu()), handle, start + entry.start)
        )
        write_all(head(hashes), handle, 0)
    finally:
        os.close(handle)


HeadOf = Callable[[Mapping[str, str]], bytes]
"""From the sha256 of each tensor to the bytes before them all."""


def compare(model: Model, path: Path, header: Header) -> dict[str, Tensor]:
    """The model's tensors, where a share file has the same names, shapes and ties, and dtypes that can fill them."""
    expected, ties = untied(model)
    for name in sorted(expected.keys() | header.tensors.keys()):
        if name not in header.tensors:
            raise DamagedFile(f"{path} lacks the tensor '{name}' that its spec declares")
        if name not in expected:
            raise DamagedFile(f"{path} has a tensor '{name}' that its spec does not declare")
        entry, tensor = header.tensors[name], expected[name]
        if not _holds(entry, tensor):
            raise DamagedFile(
                f"{path}: the tensor '{name}' is {entry.dtype} {list(entry.shape)} where its spec declares "
                f"{NAMES.get(tensor.dtype)} {list(tensor.shape)}"
            )
    if header.meta["ties"] != ties:
        raise DamagedFile(f"{path} does not tie the tensors that its spec declares")
    return expected


def restore(model: Model, path: Path, header: Header) -> None:
    """Fill a model with a share file's tensors, once names, shapes and dtypes are known to be those of the model.

    What is hashed is what the model then holds: bytes are read into its own memory, once. After a `zoo.DamagedFile`
    the model is of no use.
    """
    tensors = compare(model, path, header)
    with opened(path, header) as handle:
        hashes = in_threads(
            header.tensors,
            lambda name, entry: _fill(tensors[name], name, entry, handle, header.data_start + entry.start),
        )
    check_seal(path, header, hashes)


def restore_some(model: Model, path: Path, header: Header, match: str, into: str = "") -> None:
    """Fill those of a model's tensors whose names match a pattern with a share file's of the same names.

    With ``into`` those of this part of the model, by their names in the part. `zoo.UsageError`, before anything is
    filled, where one of them has no counterpart or another form there; it names the patterns that fit.
    """
    own = untied(model)[0]
    named = _within(own, into)
    if not named:
        raise UsageError(f"the model has no part '{into}' with tensors")
    mine = {name: tensor for name, tensor in named.items() if fnmatchcase(name, match)}
    theirs = {name: entry for name, entry in header.tensors.items() if fnmatchcase(name, match)}
    if (problem := _mismatch(mine, theirs)) is not None:
        raise UsageError(f"what '{match}' matches in {path} does not fit the model: {problem}{_fitting(own, header)}")
    # The rest is read as well: a digest is of the whole file.
    rest = {n: torch.empty(e.shape, dtype=DTYPES[e.dtype]) for n, e in header.tensors.items() if n not in theirs}
    with opened(path, header) as handle:
        hashes = in_threads(
            header.tensors, lambda name, e: _fill((mine | rest)[name], name, e, handle, header.data_start + e.start)
        )
    check_seal(path, header, hashes)


def _within(tensors: Mapping[str, Tensor], part: str) -> dict[str, Tensor]:
    """The tensors of a part of a model by their names in it; of all of it where the part has no name."""
    lead = f"{part}." if part else ""
    return {name.removeprefix(lead): tensor for name, tensor in tensors.items() if name.startswith(lead)}


def _mismatch(mine: Mapping[str, Tensor], theirs: Mapping[str, TensorEntry]) -> str | None:
    """The first difference between a model's tensors and a file's."""
    if not mine and not theirs:
        return "neither has a matching tensor"
    if odd := sorted(mine.keys() ^ theirs.keys()):
        return f"the tensor '{odd[0]}' is only in the {'model' if odd[0] in mine else 'file'}"
    for name, entry in theirs.items():
        if not _holds(entry, mine[name]):
            there = f"{entry.dtype} {list(entry.shape)}"
            return f"the tensor '{name}' is {there} in the file and {_form(mine[name])} in the model"
    return None


def _fitting(mine: Mapping[str, Tensor], header: Header) -> str:
    """The patterns, or the part of the model, that would fit a file; the widest ones."""
    fits: list[str] = []
    for part in _prefixes(mine):
        lead = f"{part}."
        ours = {name: tensor for name, tensor in mine.items() if name.startswith(lead)}
        theirs = {name: entry for name, entry in header.tensors.items() if name.startswith(lead)}
        if not any(lead.startswith(wider) for wider in fits) and _mismatch(ours, theirs) is None:
            fits.append(lead)
    into = [part for part in _prefixes(mine) if _mismatch(_within(mine, part), header.tensors) is None]
    words = [f"match: '{lead}*'" for lead in fits] + [f"into: '{part}'" for part in into]
    return f"; what fits: {', '.join(words[:8])}" if words else "; no part of it fits"


def _prefixes(names: Iterable[str]) -> list[str]:
    """The parts that have tensors, the widest first."""
    pieces = (name.split(".")[:-1] for name in names)
    found = {".".join(parts[:depth]) for parts in pieces for depth in range(1, len(parts) + 1)}
    return sorted(found, key=lambda part: (part.count("."), part))


def _form(tensor: Tensor) -> str:
    return f"{NAMES.get(tensor.dtype)} {list(tensor.shape)}"


def _fill(tensor: Tensor, name: str, entry: TensorEntry, handle: int, at: int) -> str:
    dtype = DTYPES[entry.dtype]
    in_place = _rests(tensor) and tensor.dtype == dtype
    memory = tensor if in_place else torch.empty(tensor.shape, dtype=dtype)
    digest = read_into(_bytes(memory), handle, at)
    if memory.dtype == torch.bool and memory.numel() and int(memory.view(torch.uint8).max()) > 1:
        raise DamagedFile(f"the tensor '{name}' has booleans other than 0 and 1")
    if memory is not tensor:
        tensor.copy_(memory)
    return digest


def _rests(tensor: Tensor) -> bool:
    return tensor.device.type == "cpu" and tensor.is_contiguous()


def _bytes(tensor: Tensor) -> memoryview:
    """The memory of a tensor on the CPU; of a copy, unless it lies in one piece."""
    flat: memoryview = tensor.reshape(-1).view(torch.uint8).numpy().data
    return flat
