"""Verification of share files: their bytes, their model, and the required packages. Nothing is written."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import PluginError
from ..format.digest import check_seal, hash_file
from ..format.header import Header, read_header
from ..format.metadata import parents_in

if TYPE_CHECKING:
    from .stored_spec import Need


PROBLEMS = {
    "older": "the installed version {} is newer",
    "newer": "the installed version {} is older",
    "unknown": "not in the installed version",
    "missing": "not installed",
    "file": "a Python file of the run, which is not executed; read it, and add --trust to compare the tensors as well",
}


@dataclass(frozen=True)
class Verification:
    """Result for a valid share file; ``missing`` says what to install before it opens."""

    file: Path
    header: Header
    parameters: int | None
    components: tuple[Need, ...]
    missing: PluginError | None

    @property
    def problems(self) -> list[str]:
        """The differences from when the file was made."""
        return [f"{need}: {PROBLEMS[need.state].format(need.here)}" for need in self.components if need.state != "ok"]

    def facts(self) -> dict[str, str]:
        """The contents of the file, for a person."""
        meta = self.header.meta
        count = "" if self.parameters is None else f"{self.parameters:,}"
        written = self.header.written["format"]
        rows = {"spec": meta["spec"]["name"], "format": written, "step": meta["step"], "parameters": count}
        rows |= {"digest": f"{meta['digest']}, sound"} | {key: meta[key] for key in ("data", "licence")}
        rows["stored as"] = ", ".join(sorted({entry.dtype for entry in self.header.tensors.values()}))
        rows["parent"] = ", ".join(parents_in(meta["parent"]))
        return {key: str(value) for key, value in rows.items() if value not in (None, "")}

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for programs."""
        meta = self.header.meta
        own = {"file": str(self.file), "name": meta["spec"]["name"], "parameters": self.parameters}
        facts = {key: meta[key] for key in ("format", "digest", "step", "seed", "data", "licence", "parent")}
        facts["format"] = self.header.written["format"]
        parents = parents_in(meta["parent"])
        facts |= {"parent": parents[0] if parents else None, "parents": parents}
        return own | facts | {"components": [vars(need) for need in self.components], "problems": self.problems}


def verify(run_or_file: str | Path, *, trust: bool = False) -> Verification:
    """Judge a share file in this order: its header, its bytes, and whether it is the model that its spec declares.

    Raises `zoo.DamagedFile`, or `zoo.SpecError` where the components that are installed do not take its spec. A
    missing plugin does not invalidate the file: the result names it. A damaged file is found without torch.
    No Python file of a run is executed, and the model that needs one is not built, unless ``trust`` says so.
    """
    file = _file_of(run_or_file, trust)
    header = read_header(file)
    check_seal(file, header, hash_file(file, header))

    from .skip_init import build_unfilled
    from .stored_spec import naming, needs, require, spec_of
    from .tensors import compare

    components = tuple(needs(header, Path(run_or_file) if file != Path(run_or_file) else None))
    missing = _missing(file, components)
    try:
        require(file, header, components)
    except PluginError:
        return Verification(file, header, None, components, missing)
    if any(need.state == "file" for need in components):
        return Verification(file, header, None, components, missing)
    spec = spec_of(header, file)
    with naming(file):
        model = build_unfilled(spec, header)
    compare(model, file, header)
    return Verification(file, header, sum(p.numel() for p in model.parameters()), components, missing)


def _missing(file: Path, components: tuple[Need, ...]) -> PluginError | None:
    """Error with the packages to install, including those without which a file still opens; None if all are there."""
    from .stored_spec import require_all

    try:
        require_all(file, components)
    except PluginError as missing:
        return missing
    return None


def _file_of(run_or_file: str | Path, trust: bool) -> Path:
    if Path(run_or_file).is_file():
        return Path(run_or_file)
    from ..run.directory import file_to_open, model_file

    return file_to_open(run_or_file, trust=True) if trust else model_file(run_or_file)
