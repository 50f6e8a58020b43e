"""Draws from a model, as a file."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..engine.randomness import seeded
from ..engine.runtime import find_device, place, prepare
from ..errors import SpecError, UsageError
from ..interfaces import Condition, Model, Sampler, Samples, SamplesMeans, map_condition
from ..interfaces.boundary import trusted
from ..plot.images import picture, shown_of, write_png
from ..progress import counted
from ..registry.outputs import ending
from ..run.directory import file_to_open
from ..share.file import Share, read_share
from ..spec import Sample, Spec
from ..storage.atomic import write_through_memory, write_whole
from .conditions import condition

BATCH = Sample().batch
ARRAYS = (".npy", ".pt", ".csv")
ENDINGS = (".png", *ARRAYS)

Way = Callable[[Model], Sampler]
"""How a model is drawn from: a declared sampler, or `Means`."""


class Thinned(UserWarning):
    """A picture has no room for all that was asked for."""


def draw(
    model: Model,
    path: Path,
    *,
    n: int,
    temperature: float,
    seed: int,
    context: Condition | None = None,
    sampler: Way | None = None,
    batch: int = BATCH,
) -> Tensor:
    """``n`` draws of a model in a file of the form that its ending names; the same seed gives the same file."""
    write = writer(path, model)
    if ending(path) == ".png" and (shown := shown_of(n, model.event)) < n:
        warnings.warn(f"{path} shows {shown} of {n} draws: a .npy, .pt or .csv file has all", Thinned, stacklevel=2)
        n, context = shown, map_condition(lambda x: x[:shown], context)
    x = sample(model, n, temperature=temperature, seed=seed, context=context, sampler=sampler, batch=batch)
    write_whole(path, lambda aside: write(x, aside))
    return x


@torch.no_grad()
def sample(
    model: Model,
    n: int,
    *,
    temperature: float,
    seed: int,
    context: Condition | None = None,
    sampler: Way | None = None,
    batch: int = BATCH,
) -> Tensor:
    """``n`` draws, ``[n, *shape]``, on the CPU; without a context each class in turn.

    ``batch`` are drawn at a time. What a seed draws depends on it: the noise of one batch is drawn after another's.
    """
    if not isinstance(model, Samples):
        raise UsageError(f"'{_called(model)}' does not sample")
    device = device_of(model)
    way = model if sampler is None else _way(sampler, model)
    context = condition(model, n) if context is None else context
    pieces = []
    with trusted(), seeded(device, seed, "sample"):
        for start in counted(range(0, n, batch), -(-n // batch)):
            part = _some(context, slice(start, start + batch), device)
            pieces.append(way.sample(min(batch, n - start), part, temperature).cpu())
    return torch.cat(pieces)


def _some(context: Condition | None, rows: slice, device: torch.device) -> Condition | None:
    """Some rows of a condition, on the device of the model."""
    return map_condition(lambda x: x[rows].to(device), context)


class Means(Sampler):
    """Draws without the noise of the likelihood; UsageError for a model that has no such means."""

    def __init__(self, model: Model) -> None:
        if not isinstance(model, SamplesMeans):
            raise UsageError(f"'{_called(model)}' has no means: its draws are not a mean with noise around it")
        super().__init__(model)
        self.means = model

    def sample(self, n: int, context: Condition | None = None, temperature: float = 1.0) -> Tensor:
        return self.means.sample_mean(n, context, temperature)


def _called(model: Model) -> str:
    return model.declaration.name if model.declaration else type(model).__name__


def _way(sampler: Way, model: Model) -> Sampler:
    try:
        return sampler(model)
    except SpecError as error:
        raise UsageError(error.problems[0].message) from None


def device_of(model: Model) -> torch.device:
    """The device of a model."""
    return next((t.device for t in (*model.parameters(), *model.buffers())), torch.device("cpu"))


@dataclass(frozen=True)
class Drawn:
    """Result of sampling: the number of samples, and the time it took."""

    n: int
    seconds: float


@dataclass(frozen=True)
class Opened:
    """A model to sample from, with its device and settings."""

    share: Share
    model: Model
    spec: Spec
    n: int
    temperature: float


def sample_file(
    run_or_file: str | Path,
    output: Path,
    *,
    n: int | None = None,
    seed: int = 0,
    temperature: float | None = None,
    overrides: Sequence[str] = (),
    device: str = "auto",
    given: Mapping[str, str] | None = None,
    trust: bool = False,
    way: Way | None = None,
) -> Drawn:
    """Sample from a run or a share file into a file; defaults are those of its spec. ``given`` as in `condition`."""
    opened = open_to_draw(run_or_file, n, temperature, overrides, device, trust)
    context = condition(opened.model, opened.n, given)
    began = time.monotonic()
    how: dict[str, Any] = {"n": opened.n, "temperature": opened.temperature, "sampler": way or opened.spec.sample.way}
    how["batch"] = opened.spec.sample.batch
    drawn = draw(opened.model, output, seed=seed, context=context, **how)
    return Drawn(len(drawn), time.monotonic() - began)


def open_to_draw(
    run_or_file: str | Path,
    n: int | None,
    temperature: float | None,
    overrides: Sequence[str],
    device: str,
    trust: bool,
) -> Opened:
    """The model of a run or a share file on a device; settings that are not given are those of its spec."""
    if temperature is not None and not 0 < temperature < math.inf:
        raise UsageError(f"the temperature is above 0, not {temperature}")
    share = read_share(file_to_open(run_or_file, trust=trust))
    spec = share.respecified(overrides)
    on = find_device(device)
    prepare(spec, on)
    model = place(share.model(), on, spec.engine.channels_last)
    return Opened(share, model, spec, n or spec.sample.n, temperature or spec.sample.temperature)


def writer(path: Path, model: Model) -> Callable[[Tensor, Path], None]:
    """The writer of data for files with this ending, chosen before sampling."""
    if ending(path) == ".png":
        picture(torch.zeros(1, *model.event.shape), model.event)
        return lambda x, aside: write_png(picture(x, model.event), aside)
    return array_writer(path, ENDINGS)


def array_writer(path: Path, endings: Sequence[str] = ARRAYS) -> Callable[[Tensor, Path], None]:
    """The writer of arrays for files with this ending."""
    match ending(path):
        case ".npy":
            return _write_npy
        case ".pt":
            return _write_pt
        case ".csv":
            return _write_csv
    raise UsageError(f"'{path}' should end in one of {', '.join(endings)}")


def _write_npy(x: Tensor, path: Path) -> None:
    write_through_memory(path, lambda file: np.save(file, x.numpy()))


def _write_pt(x: Tensor, path: Path) -> None:
    # Given a path, torch would write its name into the file.
    write_through_memory(path, lambda file: torch.save(x, file))


def _write_csv(x: Tensor, path: Path) -> None:
    rows = x.flatten(1).numpy()
    with path.open("w") as file:
        np.savetxt(file, rows, delimiter=",", fmt="%d" if not x.is_floating_point() else "%.9g")
