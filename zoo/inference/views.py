"""Pictures of a model, as files: the views, and the density that it learned."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from ..assembly.build import require_data_of
from ..data.batches import Source, held_out
from ..engine.randomness import seeded
from ..errors import DataError, SpecError, UsageError
from ..interfaces import Batch, Model, View
from ..interfaces.boundary import trusted
from ..plot.density import density_picture, density_problem
from ..plot.images import shown_of, write_png
from ..registry.outputs import ending
from ..registry.part import Part
from ..registry.registry import declare_named
from ..registry.shipped import is_shipped
from ..run.record import is_run
from ..spec import Spec
from ..storage.atomic import write_whole
from .outside_data import replaces_data, unagreed
from .sample import Drawn, Opened, device_of, open_to_draw

SHOWN = 10_000
"""The largest number of examples that are shown next to a picture."""

Picture = Callable[[Model, int, float, Batch | None], Tensor]
"""A picture of a model: of how many draws, at what temperature, next to what data."""


def view_file(
    run_or_file: str | Path,
    output: Path,
    view: str,
    *,
    n: int | None = None,
    seed: int = 0,
    temperature: float | None = None,
    overrides: Sequence[str] = (),
    device: str = "auto",
    trust: bool = False,
) -> Drawn:
    """Write a view of a run or a share file, with the parameters of its spec; ``n`` is by default the view's."""
    opened = open_to_draw(run_or_file, n, temperature, overrides, device, trust)
    built = built_view(_view_of(opened.spec, view), opened.model, seed)
    opened = replace(opened, n=n or built.default_n or opened.n)
    return _picture_file(run_or_file, output, drawn_by(built), opened, seed, overrides)


def density_file(
    run_or_file: str | Path,
    output: Path,
    *,
    n: int | None = None,
    seed: int = 0,
    temperature: float | None = None,
    overrides: Sequence[str] = (),
    device: str = "auto",
    trust: bool = False,
) -> Drawn:
    """Write a picture of the learned density of a run or a share file, next to the run's data."""
    opened = open_to_draw(run_or_file, n, temperature, overrides, device, trust)
    problem = density_problem(opened.model)
    if problem is not None:
        raise UsageError(f"the density of {run_or_file} cannot be drawn: it {problem}")
    return _picture_file(run_or_file, output, density_picture, opened, seed, overrides)


def draw_picture(
    draw: Picture, model: Model, path: Path, *, n: int, temperature: float, seed: int, data: Batch | None
) -> None:
    """A picture of a model in a file; the same seed gives the same file."""
    if ending(path) != ".png":
        raise UsageError(f"a picture must be written to a .png file, got '{path}'")
    if n > (room := shown_of(n, model.event)):
        raise UsageError(f"a picture has room for {room} images, got {n}: choose fewer with -n")
    with torch.no_grad(), trusted(), seeded(device_of(model), seed, "view"):
        image = draw(model, n, temperature, data)
    write_whole(path, lambda aside: write_png(image, aside))


def built_view(view: Part[View], model: Model, seed: int) -> View:
    """A view of a model; UsageError if it refuses the model."""
    with torch.no_grad(), trusted(), seeded(device_of(model), seed, "view"):
        try:
            built: View = view(model)
        except SpecError as error:
            raise UsageError(error.problems[0].message) from None
    return built


def drawn_by(view: View) -> Picture:
    """The picture of a view; UsageError if the view refuses what it is given."""

    def draw(model: Model, n: int, temperature: float, data: Batch | None) -> Tensor:
        try:
            return view.draw(n, temperature, data)
        except ValueError as error:
            message = str(error) if view.declaration is None else view.declaration.problem(str(error)).message
            raise UsageError(message) from None

    return draw


def first_examples(source: Source, most: int = SHOWN) -> Batch | None:
    """The first examples to show in a picture: the same ones at every call."""
    with seeded(source.device, 0, "beside"):
        return next(source.in_order(most), None)


def _picture_file(
    run_or_file: str | Path, output: Path, draw: Picture, opened: Opened, seed: int, overrides: Sequence[str]
) -> Drawn:
    data, missing = _data_of(run_or_file, opened, overrides)
    began = time.monotonic()
    model, n, temperature = opened.model, opened.n, opened.temperature
    try:
        draw_picture(draw, model, output, n=n, temperature=temperature, seed=seed, data=data)
    except UsageError as error:
        if missing is None:
            raise
        raise UsageError(f"{error}; the run's own data is not available: {missing}") from None
    return Drawn(n, output, time.monotonic() - began)


def _view_of(spec: Spec, name: str) -> Part[View]:
    declared = {part.name: part for part in spec.train.views}
    return declared.get(name) or declare_named(View, name)


def _data_of(
    run_or_file: str | Path, opened: Opened, overrides: Sequence[str]
) -> tuple[Batch | None, DataError | None]:
    """Held-out examples of a run, of shipped weights, or of an override, or the reason why they are missing.

    What data another share file names is its author's choice, and is not read; nor is that of a run made elsewhere.
    """
    chosen = any(override.startswith("data") for override in overrides)
    if not chosen and not is_run(Path(run_or_file)) and not is_shipped(opened.share.path):
        return None, None
    if not replaces_data(overrides) and unagreed(opened.share):
        return None, None
    try:
        require_data_of(opened.model, opened.spec)
        return first_examples(held_out(opened.spec.data(), device_of(opened.model))), None
    except DataError as error:
        if chosen:
            raise
        return None, error
