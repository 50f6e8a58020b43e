"""Draws from a model, as a file."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from .drawing import picture, write_png
from .engine import find_device, place, prepare
from .errors import UsageError
from .exporting import open_share, respecified
from .files import write_whole
from .interfaces import Model, Samples
from .randomness import seeded
from .run import model_file

BATCH = 1000
ENDINGS = (".png", ".npy", ".pt", ".csv")


def draw(model: Model, path: Path, *, n: int, temperature: float, seed: int) -> Tensor:
    """``n`` draws of a model in a file of the form that its ending names; the same seed gives the same file."""
    write = writer(path, model)
    x = sample(model, n, temperature=temperature, seed=seed)
    write_whole(path, lambda aside: write(x, aside))
    return x


@torch.no_grad()
def sample(model: Model, n: int, *, temperature: float, seed: int) -> Tensor:
    """``n`` draws, ``[n, *shape]``, on the CPU."""
    if not isinstance(model, Samples):
        raise UsageError(f"'{model.declaration.name if model.declaration else type(model).__name__}' does not sample")
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    with seeded(device, seed, "sample"):
        pieces = [model.sample(min(BATCH, n - start), temperature=temperature).cpu() for start in range(0, n, BATCH)]
    return torch.cat(pieces)


@dataclass(frozen=True)
class Drawn:
    """How many draws were written, and how long drawing them took."""

    n: int
    seconds: float


def sample_file(
    run_or_file: Path,
    output: Path,
    n: int | None,
    seed: int,
    temperature: float | None,
    overrides: list[str],
    device: str = "auto",
) -> Drawn:
    """Draw from a run or a share file into a file; what is not said, its spec says."""
    if temperature is not None and not temperature > 0:
        raise UsageError(f"the temperature is above 0, not {temperature}")
    file = model_file(run_or_file)
    spec = respecified(file, overrides)
    on = find_device(device)
    prepare(spec, on)
    model = place(open_share(file)[0], on, spec.engine.channels_last)
    count = n or spec.sample.n
    began = time.monotonic()
    draw(model, output, n=count, temperature=temperature or spec.sample.temperature, seed=seed)
    return Drawn(count, time.monotonic() - began)


def writer(path: Path, model: Model) -> Callable[[Tensor, Path], None]:
    """How data is written in files of this ending; asked before anything is drawn."""
    match path.suffix:
        case ".png":
            picture(torch.zeros(1, *model.event.shape), model.event)
            return lambda x, aside: write_png(picture(x, model.event), aside)
        case ".npy":
            return _write_npy
        case ".pt":
            return torch.save
        case ".csv":
            return _write_csv
    raise UsageError(f"'{path}' should end in one of {', '.join(ENDINGS)}")


def _write_npy(x: Tensor, path: Path) -> None:
    with path.open("wb") as file:
        np.save(file, x.numpy())


def _write_csv(x: Tensor, path: Path) -> None:
    rows = x.flatten(1).numpy()
    with path.open("w") as file:
        np.savetxt(file, rows, delimiter=",", fmt="%d" if not x.is_floating_point() else "%.9g")
