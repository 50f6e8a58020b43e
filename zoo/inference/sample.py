"""Draws from a model, as a file."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..engine.randomness import seeded
from ..engine.runtime import find_device, place, prepare
from ..errors import SpecError, UsageError
from ..event import Event
from ..interfaces import Batch, Condition, Model, Sampler, Samples, SamplesEntries, SamplesMeans, map_condition
from ..interfaces.boundary import trusted
from ..interfaces.capabilities import drawn_entries
from ..plot.images import shown_of
from ..progress import counted
from ..registry.outputs import ending
from ..registry.outputs import output as to_write
from ..run.directory import file_to_open
from ..share.file import Share, read_share
from ..spec import Sample, Spec
from ..storage.atomic import write_whole
from .conditions import condition
from .outside_data import require_agreed_sampler
from .writers import FORMS, PICTURES, default_ending, either, possible, writer

BATCH = Sample().batch

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
) -> Batch:
    """``n`` draws of a model in a file of the form that its ending names; the same seed gives the same file."""
    entries = entries_by(model, sampler)
    write = writer(path, entries)
    if ending(path) in PICTURES and (shown := shown_of(n, model.event)) < n:
        others = either([end for end in possible(entries) if end not in PICTURES])
        warnings.warn(
            f"{path} shows {shown} of {n} draws: write a {others} file to get all of them", Thinned, stacklevel=2
        )
        n, context = shown, map_condition(lambda x: x[:shown], context)
    drawn = sample_entries(model, n, temperature=temperature, seed=seed, context=context, sampler=sampler, batch=batch)
    write_whole(path, lambda aside: write(drawn, aside))
    return drawn


def sample(model: Model, n: int, **how: Any) -> Tensor:
    """``n`` draws of the modelled entry, ``[n, *shape]``, on the CPU; as `sample_entries`."""
    return sample_entries(model, n, **how)[model.event.name]


@torch.no_grad()
def sample_entries(
    model: Model,
    n: int,
    *,
    temperature: float,
    seed: int,
    context: Condition | None = None,
    sampler: Way | None = None,
    batch: int = BATCH,
) -> Batch:
    """``n`` draws on the CPU, each entry that a model draws by its name ``[n, *shape]``; without a context each class
    in turn.

    ``batch`` are drawn at a time. What a seed draws depends on it: the noise of one batch is drawn after another's.
    """
    if not isinstance(model, Samples):
        raise UsageError(f"'{_called(model)}' does not sample")
    device = device_of(model)
    draw_some = _entries_of(model if sampler is None else _way(sampler, model), model.event.name)
    context = condition(model, n) if context is None else context
    pieces: list[Batch] = []
    with trusted(), seeded(device, seed, "sample"):
        for start in counted(range(0, n, batch), -(-n // batch)):
            part = _some(context, slice(start, start + batch), device)
            pieces.append(draw_some(min(batch, n - start), part, temperature))
    return {name: torch.cat([piece[name].cpu() for piece in pieces]) for name in pieces[0]}


def entries_by(model: Model, sampler: Way | None) -> Mapping[str, Event]:
    """The entries of draws: all that the model draws, or the modelled one where a sampler draws."""
    own = drawn_entries(model)
    return own if sampler is None else {model.event.name: own[model.event.name]}


def _entries_of(way: Samples | Sampler, name: str) -> Callable[[int, Condition | None, float], Batch]:
    """Draws as a batch: of all entries that a model has, or of the one that a sampler gives."""
    if isinstance(way, SamplesEntries):
        return way.sample_entries
    return lambda n, context, temperature: {name: way.sample(n, context, temperature)}


def _some(context: Condition | None, rows: slice, device: torch.device) -> Condition | None:
    """Some rows of a condition, on the device of the model."""
    return map_condition(lambda x: x[rows].to(device), context)


class Means(Sampler):
    """Draws without the noise of the likelihood; UsageError for a model that has no such means."""

    def __init__(self, model: Model) -> None:
        if not isinstance(model, SamplesMeans):
            raise UsageError(
                f"'{_called(model)}' does not support --mean: its draws are not a mean with noise around it"
            )
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
    """Result of sampling: the number of samples, their file, and the time it took."""

    n: int
    output: Path
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
    output: Path | None = None,
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
    """Sample from a run or a share file into a file; defaults are those of its spec. ``given`` as in `condition`.

    Without an ``output`` the file is called ``samples``, with the ending that suits the data.
    """
    opened = open_to_draw(run_or_file, n, temperature, overrides, device, trust)
    context = condition(opened.model, opened.n, given)
    began, sampler = time.monotonic(), way or opened.spec.sample.way
    if way is None and not any(override.startswith("sample") for override in overrides):
        require_agreed_sampler(run_or_file, opened.share)
    how: dict[str, Any] = {"n": opened.n, "temperature": opened.temperature, "sampler": sampler}
    how["batch"] = opened.spec.sample.batch
    where = output or to_write(Path(f"samples{default_ending(entries_by(opened.model, sampler))}"), FORMS)
    drawn = draw(opened.model, where, seed=seed, context=context, **how)
    return Drawn(len(drawn[opened.model.event.name]), where, time.monotonic() - began)


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
        raise UsageError(f"the temperature must be above 0, got {temperature}")
    share = read_share(file_to_open(run_or_file, trust=trust))
    spec = share.respecified(overrides)
    on = find_device(device)
    prepare(spec, on)
    model = place(share.model(), on, spec.engine.channels_last)
    return Opened(share, model, spec, n or spec.sample.n, temperature or spec.sample.temperature)
