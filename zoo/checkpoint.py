"""Resume state: a directory that is whole or not there, verified before it is used. No pickle.

``step-N/`` holds ``state.safetensors`` (every tensor), ``state.json`` (every other value, with references to tensors)
and ``manifest.json`` (size and sha256 of both), written last.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from .errors import DamagedFile, ZooError
from .files import sync

KEPT = 2
"""How many checkpoints of a run are kept."""


def save(directory: Path, step: int, state: dict[str, Any]) -> Path:
    """Write a checkpoint aside, sync it, put it in place, and only then drop the oldest."""
    target = directory / f"step-{step}"
    aside = directory / f"step-{step}.tmp"
    try:
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(parents=True)
        tensors: dict[str, Tensor] = {}
        (aside / "state.json").write_text(json.dumps(pack(state, tensors)))
        save_file(tensors, aside / "state.safetensors")
        manifest = {name: _facts(aside / name) for name in ("state.json", "state.safetensors")}
        (aside / "manifest.json").write_text(json.dumps(manifest))
        for file in aside.iterdir():
            sync(file)
        sync(aside)
        shutil.rmtree(target, ignore_errors=True)
        aside.rename(target)
        sync(directory)
    except (OSError, SafetensorError) as error:
        shutil.rmtree(aside, ignore_errors=True)
        raise ZooError(f"the checkpoint {target} could not be written: {error}") from error
    for old in steps(directory)[:-KEPT]:
        shutil.rmtree(directory / f"step-{old}", ignore_errors=True)
    return target


def load_newest(directory: Path) -> tuple[int, dict[str, Any], list[str]]:
    """The newest checkpoint that verifies, its step, and what was skipped and why."""
    skipped: list[str] = []
    for step in reversed(steps(directory)):
        try:
            return step, _load(directory / f"step-{step}"), skipped
        except DamagedFile as error:
            skipped.append(str(error))
    reasons = "".join(f"\n  {reason}" for reason in skipped)
    raise DamagedFile(f"there is no usable checkpoint in {directory}{reasons}")


def steps(directory: Path) -> list[int]:
    """The steps that have a checkpoint, oldest first."""
    names = [path.name.removeprefix("step-") for path in directory.glob("step-*") if path.is_dir()]
    return sorted(int(name) for name in names if name.isdigit())


def pack(value: Any, tensors: dict[str, Tensor], path: str = "") -> Any:
    """A nested state as JSON values; tensors go into ``tensors`` under their path and leave a reference."""
    if isinstance(value, Tensor):
        tensors[path] = value.detach().clone(memory_format=torch.contiguous_format).cpu()
        return {"$tensor": path}
    if isinstance(value, dict):
        # JSON's keys are texts; an optimizer's are numbers.
        return {"$items": [[key, pack(item, tensors, f"{path}/{key}")] for key, item in value.items()]}
    if isinstance(value, list | tuple):
        return [pack(item, tensors, f"{path}/{index}") for index, item in enumerate(value)]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"{path}: a {type(value).__name__} cannot be saved")


def unpack(value: Any, tensors: dict[str, Tensor]) -> Any:
    """The inverse of `pack`; tuples come back as lists."""
    if isinstance(value, list):
        return [unpack(item, tensors) for item in value]
    if isinstance(value, dict):
        if "$tensor" in value:
            return tensors[value["$tensor"]]
        return {key: unpack(item, tensors) for key, item in value["$items"]}
    return value


def _load(path: Path) -> dict[str, Any]:
    try:
        manifest = json.loads((path / "manifest.json").read_text())
        for name, facts in manifest.items():
            if _facts(path / name) != facts:
                raise DamagedFile(f"{path}: {name} is not what was written")
        state = json.loads((path / "state.json").read_text())
        restored: dict[str, Any] = unpack(state, load_file(path / "state.safetensors"))
        return restored
    except (OSError, ValueError, KeyError, TypeError, AttributeError, SafetensorError) as error:
        raise DamagedFile(f"{path}: {type(error).__name__}: {error}") from None


def _facts(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        return {"bytes": path.stat().st_size, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}
