"""The share file: one safetensors file that describes itself and opens without running any code from it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from .assembly import build
from .errors import DamagedFile, SpecError, UsageError
from .event import Event
from .files import write_whole
from .header import FORMAT, Header, read_header
from .interfaces import Model
from .registry import installed
from .run import model_file
from .spec import Spec, load_spec

DTYPES = {
    "F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "I64": torch.int64,
    "I32": torch.int32, "I16": torch.int16, "I8": torch.int8, "U8": torch.uint8, "BOOL": torch.bool,
}  # fmt: skip
NAMES = {dtype: name for name, dtype in DTYPES.items()}


def canonical(value: Any) -> str:
    """The one JSON text of a value."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def export(
    path: Path,
    spec: Spec,
    model: Model,
    *,
    step: int,
    data: str | None,
    metrics: Mapping[str, Any] | None = None,
    parent: str | None = None,
    licence: str | None = None,
) -> Path:
    """Write a model's share file. The same weights and spec give the same bytes."""
    tensors, ties = _untied(model)
    resolved = spec.resolved()
    meta = {
        "format": FORMAT,
        "spec": resolved,
        "event": model.event.to_dict(),
        "components": _components(spec),
        "data": data,
        "seed": spec.train.seed,
        "step": step,
        "metrics": dict(metrics or {}),
        "ties": ties,
        "parent": parent,
        "licence": licence,
        "digest": digest(tensors, resolved),
    }
    write_whole(path, lambda aside: save_file(tensors, aside, metadata={"zoo": canonical(meta)}))
    return path


def load(path: str | Path) -> Model:
    """The model of a share file, ready to use: ``zoo.load("realnvp.safetensors").sample(16)``.

    Raises `zoo.DamagedFile` where the file is not what it says, `zoo.PluginError` where a plugin is missing.
    """
    return open_share(Path(path))[0]


def open_share(path: Path) -> tuple[Model, Spec, Header]:
    """The model of a share file, in evaluation mode, with its spec and header."""
    header = read_header(path)
    spec = spec_of(header, path)
    model = build(spec, event_of(header, path))
    restore(model, path, header)
    return model.eval(), spec, header


def respecified(file: Path, overrides: Sequence[str]) -> Spec:
    """A share file's spec with overrides, for scoring and sampling; the model itself stays what it is."""
    header = read_header(file)
    for override in overrides:
        if override.startswith("model"):
            raise UsageError(f"--set {override}: the model of a share file is what it is; train another")
    return load_spec(header.meta["spec"], overrides) if overrides else spec_of(header, file)


def reexport(run: Path, output: Path | None, licence: str | None) -> tuple[Path, str]:
    """Write a run's share file anew, verified, with the terms that it is shared under; its path and digest."""
    if not run.is_dir():
        raise UsageError(f"{run} is no run directory")
    model, spec, header = open_share(model_file(run))
    target = output or Path(f"{spec.name}.safetensors")
    export_again(target, model, spec, header, licence=licence or header.meta["licence"])
    return target, str(header.meta["digest"])


def export_again(path: Path, model: Model, spec: Spec, header: Header, **changes: Any) -> Path:
    """Write an opened share file anew: what is not among the changes stays as its header has it."""
    kept = {key: header.meta[key] for key in ("step", "data", "metrics", "parent", "licence")}
    return export(path, spec, model, **{**kept, **changes})


def spec_of(header: Header, path: Path) -> Spec:
    """The spec that a share file carries."""
    try:
        return load_spec(header.meta["spec"], say=lambda message: None)
    except SpecError as error:
        raise SpecError([p.__class__(None, f"{path}: {p.path}", p.message) for p in error.problems]) from None


def event_of(header: Header, path: Path) -> Event:
    """The event that a share file's model was trained on."""
    try:
        return Event.from_dict(header.meta["event"])
    except (KeyError, TypeError, ValueError) as error:
        raise DamagedFile(f"{path} describes no sound event: {error}") from None


def restore(model: Model, path: Path, header: Header) -> None:
    """Fill a model with a share file's tensors, once names, shapes and dtypes are known to be those of the model."""
    expected, ties = _untied(model)
    for name in sorted(expected.keys() | header.tensors.keys()):
        if name not in header.tensors:
            raise DamagedFile(f"{path} lacks the tensor '{name}' that its spec declares")
        if name not in expected:
            raise DamagedFile(f"{path} has a tensor '{name}' that its spec does not declare")
        entry, tensor = header.tensors[name], expected[name]
        if entry.shape != tuple(tensor.shape) or entry.dtype != NAMES.get(tensor.dtype):
            raise DamagedFile(
                f"{path}: the tensor '{name}' is {entry.dtype} {list(entry.shape)} where its spec declares "
                f"{NAMES.get(tensor.dtype)} {list(tensor.shape)}"
            )
    if header.meta["ties"] != ties:
        raise DamagedFile(f"{path} ties other tensors than its spec declares")
    try:
        stored = load_file(path)
    except (SafetensorError, OSError) as error:
        raise DamagedFile(f"{path} cannot be read: {error}") from None
    if digest(stored, header.meta["spec"]) != header.meta["digest"]:
        raise DamagedFile(f"{path} is damaged: its digest does not match what it holds")
    own = model.state_dict(keep_vars=True)
    with torch.no_grad():
        for name, tensor in stored.items():
            own[name].copy_(tensor)


def digest(tensors: Mapping[str, Tensor], spec: Any) -> str:
    """A hash over names, dtypes, shapes, bytes and the spec: what the file is, whatever the order of its bytes."""
    total = hashlib.sha256(canonical(spec).encode())
    for name, tensor in sorted(tensors.items()):
        total.update(f"{name}\0{NAMES[tensor.dtype]}\0{list(tensor.shape)}\0".encode())
        total.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return f"sha256:{total.hexdigest()}"


def _untied(model: Model) -> tuple[dict[str, Tensor], dict[str, str]]:
    """A model's tensors, each stored once, and the other names of those that have several."""
    tensors: dict[str, Tensor] = {}
    ties: dict[str, str] = {}
    first: dict[int, str] = {}
    for name, tensor in sorted(model.state_dict(keep_vars=True).items()):
        if id(tensor) in first:
            ties[name] = first[id(tensor)]
        else:
            first[id(tensor)] = name
            tensors[name] = tensor.detach().cpu().contiguous() if tensor.device.type != "cpu" else tensor.detach()
    return {name: t if t.is_contiguous() else t.contiguous() for name, t in tensors.items()}, ties


def _components(spec: Spec) -> list[dict[str, str]]:
    """Who brought the parts: kind, name, distribution, version."""
    registry = installed()
    found = {}
    for part in spec.parts():
        plugin = registry.plugin_of(part.cls)
        found[part.kind, part.name] = {
            "kind": part.kind,
            "name": part.name,
            "distribution": plugin.distribution,
            "version": plugin.version,
        }
    return [found[key] for key in sorted(found)]
