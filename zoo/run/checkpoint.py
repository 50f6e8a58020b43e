"""Resume state: a directory that is whole or not there, verified before it is used. No pickle.

``step-N/`` holds ``state.safetensors`` (every tensor; where processes divide a model, a file for each of them),
``state.json`` (every other value, with references to tensors) and ``manifest.json`` (size and sha256 of each file),
written last.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Set
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from ..errors import DamagedFile, ZooError
from ..storage.atomic import remove, sync

KEPT = 2
"""The number of newest checkpoints of a run that are kept besides its best."""

STATE, TENSORS, MANIFEST = "state.json", "state.safetensors", "manifest.json"


@dataclass(frozen=True)
class Snapshot:
    """Copy of a state on the CPU, which can be written while training continues."""

    tensors: dict[str, Tensor]
    text: str


def snapshot(state: dict[str, Any]) -> Snapshot:
    """Copy a nested state of tensors and plain values."""
    tensors: dict[str, Tensor] = {}
    text = json.dumps(pack(state, tensors, take=_copied))
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.synchronize()
    return Snapshot(tensors, text)


def write(directory: Path, step: int, state: Snapshot, keep: Set[int] = frozenset()) -> Path:
    """Write a checkpoint aside, sync it, put it in place, and only then drop old ones that are not in ``keep``."""
    with writing(directory, step) as aside:
        (aside / STATE).write_text(state.text)
        save_file(state.tensors, aside / TENSORS)
        seal(aside)
    prune(directory, step, keep)
    return directory / f"step-{step}"


@contextmanager
def writing(directory: Path, step: int) -> Iterator[Path]:
    """A directory aside, put in place once the block has filled and sealed it; on failure nothing is left of it."""
    target, aside = directory / f"step-{step}", directory / f"step-{step}.tmp"
    try:
        # Not what is above it: a run that was moved meanwhile must not begin anew in its place.
        directory.mkdir(exist_ok=True)
        sync(directory.parent)
        remove(aside)
        aside.mkdir()
        yield aside
        # What stands there already did not verify, or it would have been taken.
        remove(target)
        aside.rename(target)
        sync(directory)
    except (OSError, SafetensorError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ZooError(f"the checkpoint {target} could not be written: {reason}") from error
    finally:
        remove(aside)


def seal(directory: Path) -> None:
    """Write the manifest of a checkpoint, and wait until all of it is on disk."""
    manifest = {file.name: _facts(file) for file in sorted(directory.iterdir())}
    (directory / MANIFEST).write_text(json.dumps(manifest))
    for file in directory.iterdir():
        sync(file)
    sync(directory)


def prune(directory: Path, step: int, keep: Set[int]) -> None:
    """Drop the checkpoints that are neither among the last up to ``step`` nor in ``keep``."""
    past = [each for each in steps(directory) if each <= step]
    for old in set(steps(directory)) - set(past[-KEPT:]) - keep:
        # Under its own name a checkpoint is whole: a kill amid removing must leave no half of one.
        gone = directory / f"step-{old}.tmp"
        with suppress(OSError):
            (directory / f"step-{old}").rename(gone)
            remove(gone)


def newest(directory: Path) -> tuple[int, list[str]]:
    """The step of the newest checkpoint that verifies, and the skipped ones with reasons."""
    skipped: list[str] = []
    for step in reversed(steps(directory)):
        try:
            verify(directory / f"step-{step}")
            return step, skipped
        except DamagedFile as error:
            skipped.append(str(error))
    reasons = "".join(f"\n  {reason}" for reason in skipped)
    raise DamagedFile(f"no usable checkpoint in {directory}{reasons}")


def verify(path: Path) -> None:
    """DamagedFile unless every file of a checkpoint matches its manifest."""
    try:
        manifest = json.loads((path / MANIFEST).read_text())
        held = {file.name for file in path.iterdir()} - {MANIFEST}
        if not isinstance(manifest, dict) or manifest.keys() != held or STATE not in held or len(held) < 2:
            raise DamagedFile(f"{path}: {MANIFEST} does not list the files of a checkpoint")
        for name, facts in manifest.items():
            if _facts(path / name) != facts:
                raise DamagedFile(f"{path}: checksum mismatch in {name}")
    except (OSError, ValueError, RecursionError) as error:
        raise DamagedFile(f"{path}: {type(error).__name__}: {error}") from None


def load(directory: Path, step: int) -> dict[str, Any]:
    """The state of a checkpoint that verifies."""
    path = directory / f"step-{step}"
    try:
        # Copies: what is read is the file itself, mapped into memory, and it will be pruned.
        tensors = {name: tensor.clone() for name, tensor in load_file(path / TENSORS).items()}
    except (OSError, ValueError, SafetensorError) as error:
        raise DamagedFile(f"{path}: {type(error).__name__}: {error}") from None
    return read(path, tensors)


def read(path: Path, tensors: dict[str, Tensor]) -> dict[str, Any]:
    """A checkpoint's state around its tensors."""
    restored = _read(path, lambda packed: unpack(packed, tensors))
    if not isinstance(restored, dict):
        raise DamagedFile(f"{path}: {STATE} has an invalid state: expected a mapping, got {type(restored).__name__}")
    return restored


def _read(path: Path, take: Callable[[Any], Any]) -> Any:
    try:
        return take(json.loads((path / STATE).read_text()))
    except RecursionError:
        raise DamagedFile(f"{path}: {STATE} is nested too deeply") from None
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise DamagedFile(f"{path}: {STATE} has an invalid state: {type(error).__name__}: {error}") from None


def read_plain(path: Path, key: str) -> Any:
    """A value without tensors of a checkpoint's state; None if there is none under this key."""
    return _read(path, lambda packed: next((unpack(v, {}) for name, v in packed["$items"] if name == key), None))


def steps(directory: Path) -> list[int]:
    """The steps that have a checkpoint, oldest first."""
    names = [re.fullmatch(r"step-(0|[1-9][0-9]*)", path.name) for path in directory.glob("step-*")]
    return sorted(int(name[1]) for name in names if name)


def pack(value: Any, tensors: dict[str, Tensor], path: str = "", *, take: Callable[[Tensor], Tensor]) -> Any:
    """A nested state as JSON values; ``take`` stores its tensors in ``tensors`` under their paths."""
    if isinstance(value, Tensor):
        # Numbered, since two paths may read the same: the key 'a/b', and the key 'b' within 'a'.
        name = f"{len(tensors)}{path}"
        tensors[name] = take(value.detach())
        return {"$tensor": name}
    if isinstance(value, dict):
        # JSON's keys are texts; an optimizer's are numbers.
        return {"$items": [[key, pack(item, tensors, f"{path}/{key}", take=take)] for key, item in value.items()]}
    if isinstance(value, list | tuple):
        return [pack(item, tensors, f"{path}/{index}", take=take) for index, item in enumerate(value)]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"{path}: cannot save a {type(value).__name__} in a checkpoint")


def unpack(value: Any, tensors: dict[str, Tensor]) -> Any:
    """The inverse of `pack`; tuples come back as lists."""
    if isinstance(value, list):
        return [unpack(item, tensors) for item in value]
    if isinstance(value, dict):
        if "$tensor" in value:
            return tensors[value["$tensor"]]
        return {key: unpack(item, tensors) for key, item in value["$items"]}
    return value


def _copied(x: Tensor) -> Tensor:
    if x.device.type == "cpu":
        return x.clone(memory_format=torch.contiguous_format)
    if x.device.type != "cuda":
        return x.cpu().contiguous()
    # Into pinned memory, which torch keeps for the next checkpoint, copies go several times faster, and side by side.
    return torch.empty(x.shape, dtype=x.dtype, pin_memory=True).copy_(x, non_blocking=True)


def _facts(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        return {"bytes": path.stat().st_size, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}
