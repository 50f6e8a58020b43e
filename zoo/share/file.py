"""The share file: one safetensors file that describes itself and opens without running any code from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..errors import DamagedFile, UsageError, listed
from ..format.digest import digest
from ..format.header import Header, TensorEntry, canonical, judge, read_header
from ..format.metadata import Parents
from ..format.migrations import FORMAT
from ..interfaces import Model
from ..progress import doing
from ..registry.part import Absent
from ..registry.python_file import comes_from_a_file, is_python_file
from ..registry.registry import installed
from ..run.directory import file_to_open
from ..spec import Spec, load_spec
from ..storage.atomic import write_whole
from . import tensors
from .budget import judge_sizes
from .skip_init import build_unfilled
from .stored_spec import WithAbsent, naming, needs, spec_of
from .tensors import restore

ENDING = ".safetensors"
"""How a share file's name ends."""
UNHASHED = "0" * 64


def export(
    path: Path,
    spec: Spec,
    model: Model,
    *,
    step: int,
    data: str | None,
    metrics: Mapping[str, Any] | None = None,
    parent: Parents = None,
    licence: str | None = None,
    dtype: torch.dtype | None = None,
) -> Path:
    """Write a model's share file. The same weights and spec give the same bytes.

    With a half ``dtype`` weights of 32 bits are rounded to it in the file.
    """
    made_of = {"data": data, "metrics": dict(metrics or {}), "parent": parent, "licence": licence}
    held, head = _judged(path, spec, model, step=step, dtype=dtype, **made_of)
    with doing(f"writing {path.name}"):
        write_whole(path, lambda aside: tensors.write(aside, held, tensors.lay_out(held), head))
    return path


def check_shareable(spec: Spec, model: Model, *, data: str | None, parent: Parents) -> None:
    """UsageError where the share file of a model that is to be trained would be refused, afterwards."""
    held, _ = _judged(Path(f"{spec.name}.safetensors"), spec, model, step=0, data=data, metrics={}, parent=parent)
    judge_sizes(spec, model.event, tensors.lay_out(held))


def _judged(
    path: Path, spec: Spec, model: Model, dtype: torch.dtype | None = None, **facts: Any
) -> tuple[dict[str, Tensor], Callable[[Mapping[str, str]], bytes]]:
    """A share file's tensors, and the bytes before them from their hashes; UsageError if the file would be refused."""
    held, ties = tensors.untied(model)
    held = held if dtype is None else tensors.halved(held, dtype)
    entries = tensors.lay_out(held)
    about = {"format": FORMAT, "spec": _shared(spec), "event": model.event.to_dict(), "components": _components(spec)}
    meta = {"licence": None, "seed": spec.train.seed, "ties": ties, **about, **facts}

    def head(hashes: Mapping[str, str]) -> bytes:
        return _head(entries, meta, hashes or dict.fromkeys(entries, UNHASHED))

    try:
        judge(path, head({})[8:], sum(entry.end - entry.start for entry in entries.values()))
    except DamagedFile as error:
        raise UsageError(f"this model cannot be shared: its file could not be opened again. {error}") from None
    return held, head


def load(path: str | Path, *, trust: bool = False) -> Model:
    """The model of a share file, ready to use: ``zoo.load("realnvp.safetensors").sample(16)``.

    A run directory has one, and so has an address: ``zoo.load("hf://acme/realnvp")``. Of a run, the Python files that
    its spec names are executed where this user has trained with them here, or says to ``trust`` them.

    Raises `zoo.DamagedFile` where the file is not what it says, `zoo.PluginError` where a plugin is missing.
    """
    return read_share(file_to_open(path, trust=trust)).model()


@dataclass(frozen=True)
class Share:
    """A share file whose header was read, once, and judged."""

    path: Path
    header: Header

    @cached_property
    def spec(self) -> Spec:
        """The spec that the file carries."""
        return spec_of(self.header, self.path)

    def model(self) -> Model:
        """The model with the file's weights, in evaluation mode."""
        spec = self.spec
        with naming(self.path):
            model = build_unfilled(spec, self.header)
        with doing(f"reading {self.path.name}"):
            restore(model, self.path, self.header)
        return model.eval()

    def respecified(self, overrides: Sequence[str], metrics: Sequence[str] = ()) -> Spec:
        """A share file's spec with overrides for scoring and sampling; the model cannot be changed.

        Any ``metrics`` that it does not name are evaluated too, so that overrides can give them parameters.
        """
        for override in overrides:
            if override.startswith("model"):
                raise UsageError(f"--set {override}: the model of a share file cannot be changed; train another model")
        if not overrides and not metrics:
            return self.spec
        node = self.spec.resolved()
        if metrics:
            declared = self.spec.evaluate.metrics
            new = [name for name in metrics if name not in {part.name for part in declared}]
            every = [*(part.resolved() for part in declared), *new]
            node = {**node, "evaluate": {"metrics": every, "batch": self.spec.evaluate.batch}}
        # A plugin of something else than the model may be missing: what needs it will say so.
        lookup = WithAbsent(installed(), self.path, self.header, needs(self.header))
        return load_spec({**node, "plugins": []}, overrides, lookup=lookup)


def read_share(path: Path) -> Share:
    """A share file with its header read; `zoo.DamagedFile` where it is not one."""
    return Share(path, read_header(path))


def open_share(path: Path) -> tuple[Model, Spec, Header]:
    """The model of a share file, in evaluation mode, with its spec and header."""
    share = read_share(path)
    return share.model(), share.spec, share.header


def reexport(
    run: Path, output: Path | None, licence: str | None, *, dtype: str | None = None, trust: bool = False
) -> tuple[Path, str]:
    """Rewrite a run's share file, verified, with its licence terms; return its path and digest.

    With a ``dtype``, ``float16`` or ``bfloat16``, the weights are rounded to it, and figures that were measured before
    are left out.
    """
    if not run.is_dir():
        raise UsageError(f"{run} is not a run directory")
    model, spec, header = open_share(file_to_open(run, trust=trust))
    _refuse_files(run, header)
    target = output or Path(f"{spec.name}.safetensors")
    changes: dict[str, Any] = {"licence": licence or header.meta["licence"]}
    if dtype is not None:
        changes |= {"dtype": half(dtype), "metrics": {}}
    export_again(target, model, spec, header, **changes)
    return target, str(read_header(target).meta["digest"])


def half(dtype: str) -> torch.dtype:
    """The half type of a name; UsageError for another."""
    if dtype not in tensors.HALVES:
        raise UsageError(f"unknown dtype '{dtype}'; expected {' or '.join(tensors.HALVES)}")
    return tensors.HALVES[dtype]


def _refuse_files(run: Path, header: Header) -> None:
    files = {component["distribution"] for component in header.meta["components"]
             if comes_from_a_file(component["distribution"], component["version"])}  # fmt: skip
    if files:
        raise UsageError(
            f"{run} uses components of {listed(sorted(files))}: a share file contains no code, so others could not "
            "open it; move them into a package that others can install ('zoo new plugin' creates one)"
        )


def export_again(path: Path, model: Model, spec: Spec, header: Header, **changes: Any) -> Path:
    """Rewrite an opened share file with changes of its header."""
    kept = {key: header.meta[key] for key in ("step", "data", "metrics", "parent", "licence")}
    return export(path, spec, model, **{**kept, **changes})


def _head(entries: Mapping[str, TensorEntry], meta: Mapping[str, Any], hashes: Mapping[str, str]) -> bytes:
    """The bytes before the tensors: how many, and the header in JSON, padded so that the tensors are aligned."""
    sealed = {**meta, "digest": digest(entries, hashes, meta)}
    listed = {
        name: {"dtype": entry.dtype, "shape": entry.shape, "data_offsets": [entry.start, entry.end]}
        for name, entry in entries.items()
    }
    text = canonical({"__metadata__": {"zoo": canonical(sealed)}, **listed}).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


def _shared(spec: Spec) -> dict[str, Any]:
    """The resolved spec without the paths of Python files: their components are recorded."""
    resolved = spec.resolved()
    return resolved | {"plugins": [name for name in spec.plugins if not is_python_file(name)]}


def _components(spec: Spec) -> list[dict[str, str]]:
    """The components of the parts: kind, name, distribution, version."""
    registry = installed()
    found = {}
    for part in spec.parts():
        # What is not installed here is recorded as the file has it that the model came from.
        plugin = part.cls if issubclass(part.cls, Absent) else registry.plugin_of(part.cls)
        kind = part.cls.recorded_kind if issubclass(part.cls, Absent) else registry.recorded_kind(part.cls)
        found[kind, part.name] = {
            "kind": kind,
            "name": part.name,
            "distribution": plugin.distribution,
            "version": plugin.version,
        }
    return [found[key] for key in sorted(found)]
