"""A model's program for other runtimes: written, run there, and held against the model."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from ..document.diagnostics import described
from ..engine.randomness import seeded
from ..errors import UsageError, ZooError, nearest
from ..format.header import canonical
from ..registry.outputs import ending
from ..run.directory import file_to_open
from ..share.file import ENDING, open_share
from ..storage.atomic import write_whole
from .formats import FORMATS, Format
from .program import Program, program_of

SHARE = "safetensors"
ENDINGS = {SHARE: ENDING} | {form.name: form.ending for form in FORMATS.values()}
"""Format -> how its files' names end."""
ROWS, OTHER_ROWS = 3, (1, 7)
"""How many rows a program is written with, and how many it is tried with."""
ROUNDING = 1e-5
"""What rounding may come to, in parts of the largest number: some 80 units of the last place of float32."""


@dataclass(frozen=True)
class Translation:
    """A program that was written, and the digest of the share file that it comes from."""

    output: Path
    digest: str
    format: str
    function: str


def format_named(name: str | None, output: Path | None) -> str:
    """The format that is asked for, or that the file's ending names; a share file's otherwise."""
    if name is None:
        return next((form for form, end in ENDINGS.items() if output is not None and end == ending(output)), SHARE)
    if name not in ENDINGS:
        raise UsageError(f"unknown format '{name}'{nearest(name, ENDINGS)}")
    return name


def translate(
    run_or_file: str | Path,
    output: Path | None = None,
    *,
    form: str | None = None,
    function: str | None = None,
    licence: str | None = None,
    trust: bool = False,
) -> Translation:
    """Write a model's program in a format of `FORMATS`: its sampling, or its scoring if it cannot sample.

    Raises `zoo.UsageError` where the model does neither, `zoo.PluginError` where packages are missing,
    `zoo.ZooError` where the program cannot be written.
    """
    name = format_named(form, output)
    if name == SHARE:
        raise UsageError(f"expected a format to translate to: {', '.join(FORMATS)}")
    written_as = FORMATS[name]()
    model, spec, header = open_share(file_to_open(run_or_file, trust=trust))
    program = program_of(model.requires_grad_(False), function)
    kept = {key: header.meta[key] for key in ("spec", "event", "digest", "licence")}
    about = {**kept, "name": spec.name, "licence": licence or kept["licence"]}
    target = write(program, output or Path(f"{spec.name}{written_as.ending}"), written_as, about)
    return Translation(target, header.meta["digest"], name, program.name)


@torch.no_grad()
def write(program: Program, path: Path, form: Format, about: Mapping[str, Any]) -> Path:
    """Write a program; the file is created only if its own runtime gives the model's outputs, up to rounding.

    It is tried with other numbers of rows than it was written with. Raises `zoo.ZooError` where it does not.
    """
    x = _inputs(program, ROWS)
    interface = {
        "function": program.name,
        "input": _form(program.takes, x),
        "output": _form(program.gives, program(x)),
    }
    text = canonical({**about, **interface})
    try:
        write_whole(path, lambda aside: _write(program, form, aside, text))
    except _Untranslated as reason:
        message = f"{path} was not written: '{program.name}' cannot be translated to {form.name}: {reason}"
        raise ZooError(message) from reason
    return path


def differences(program: Program, run: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """The differences of another runtime from the model that rounding does not explain.

    Rounding explains what the model itself gives for inputs that differ by `ROUNDING`: an integer may be another
    only where its continuous value lies at the edge of a level.
    """
    want, got = cast(Tensor, program(x)), run(x)
    if (got.shape, got.dtype) != (want.shape, want.dtype):
        raise ValueError(
            f"it returns {got.dtype} {list(got.shape)} where the model returns {want.dtype} {list(want.shape)}"
        )
    near = [want]
    if x.is_floating_point():
        steps = [ROUNDING * x.abs().max() * torch.randn_like(x) for _ in range(4)]
        # Bounded data has bounded neighbours.
        near += [program((x + step).clamp(x.min(), x.max())) for once in steps for step in (once, -once)]
    slack = ROUNDING * want.abs().max().double() if want.is_floating_point() else 0.0
    low, high = torch.stack(near).double().aminmax(dim=0)
    want, got = want.double(), got.double()
    agree = (got == want) | ((got >= low - slack) & (got <= high + slack))
    return (got - want).abs()[~agree]


def _form(name: str, x: Tensor) -> dict[str, Any]:
    return {"name": name, "dtype": str(x.dtype).removeprefix("torch."), "shape": ["n", *x.shape[1:]]}


def _inputs(program: Program, n: int) -> Tensor:
    with seeded(torch.device("cpu"), 0, "translate", n):
        return program.inputs(n)


class _Untranslated(Exception):
    """A program cannot be written in a format, or is another one there."""


def _root(error: Exception) -> Exception:
    """The root cause of an exporter's error."""
    while isinstance(error.__cause__, Exception):
        error = error.__cause__
    return error


def _write(program: Program, form: Format, path: Path, about: str) -> None:
    try:
        with warnings.catch_warnings(), seeded(torch.device("cpu"), 0, "check"):
            # TorchScript is deprecated, and its tracer warns of what the check below finds out.
            warnings.simplefilter("ignore")
            form.write(program, _inputs(program, ROWS), path, about)
            run = form.open(path)
            found = torch.cat([differences(program, run, _inputs(program, n)) for n in OTHER_ROWS])
    except OSError:
        raise
    except Exception as error:
        raise _Untranslated(described(_root(error))) from error
    if len(found):
        raise _Untranslated(f"{len(found)} numbers of its output differ from the model's, by up to {found.max():.3g}")
