"""Scores on held-out data."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import torch

from ..assembly.build import check_metrics, require_data_of
from ..data.batches import Source, held_out, sources
from ..engine.randomness import seeded
from ..engine.runtime import find_device, place, prepare
from ..errors import DataError, SpecError, UsageError
from ..event import ENTRIES
from ..format.metadata import FIGURE_DETAILS
from ..interfaces import Batch, Measurement, Metric, Model
from ..interfaces.boundary import trusted
from ..interfaces.metric import needs_training_data, one_evaluation
from ..progress import counted, doing
from ..registry.part import Part
from ..run.directory import file_to_open
from ..share.file import Share, read_share
from ..spec import Evaluate, Spec
from .outside_data import require_agreed, require_agreed_metrics

BATCH = Evaluate().batch


@torch.no_grad()
def measure(
    model: Model,
    metrics: Sequence[Part[Metric]],
    source: Source,
    seed: int,
    *,
    batch: int = BATCH,
    trained_on: Callable[[], Source] | None = None,
) -> dict[str, Measurement]:
    """Every metric of a model on a source; the noise of each is a function of the seed alone.

    ``trained_on`` gives the examples that the model was trained on; it is called where a metric asks for them.
    """
    found: dict[str, Measurement] = {}
    with one_evaluation():
        for part in metrics:
            with trusted(), seeded(source.device, seed, "evaluate", part.name), _needs_named(part, model):
                metric, taken = part(), None
                if needs_training_data(metric):
                    taken = _fit(metric, part.name, model, trained_on, seed, batch)
                with doing(f"scoring {part.name}"):
                    measured = metric.measure(model, _in_order(source, batch))
            found.update(measured if taken is None else {k: replace(m, fitted_on=taken) for k, m in measured.items()})
    return found


def _fit(
    metric: Metric, name: str, model: Model, trained_on: Callable[[], Source] | None, seed: int, batch: int
) -> int:
    """Let a metric learn from the training examples; how many of them it took."""
    if trained_on is None or not len(source := trained_on()):
        raise DataError(f"metric '{name}' needs training examples, got none")
    taken = 0

    def batches() -> Iterator[Batch]:
        nonlocal taken
        for some in _in_order(source, batch):
            taken = min(taken + batch, len(source))
            yield some

    with seeded(source.device, seed, "fit", name), doing(f"fitting {name}"):
        metric.fit(model, batches())
    return taken


def _in_order(source: Source, batch: int) -> Iterator[Batch]:
    return counted(source.in_order(batch), -(-len(source) // batch))


@contextmanager
def _needs_named(part: Part[Metric], model: Model) -> Iterator[None]:
    """UsageError where a batch lacks an entry: a metric of a plugin may not say what it needs."""
    try:
        yield
    except KeyError as error:
        if error.args[0] not in {*ENTRIES, *model.event.entries}:
            raise
        raise UsageError(f"metric '{part.name}' needs the {error.args[0]} of each example") from error


def evaluate(share: Share, spec: Spec, device: str = "auto") -> dict[str, Measurement]:
    """The metrics that ``spec`` names, of a share file's model on the spec's held-out split."""
    model = share.model()
    metrics = spec.evaluate.metrics
    problems = check_metrics(model, metrics)
    if problems:
        raise SpecError(problems)
    require_data_of(model, spec, metrics)
    on = find_device(device)
    prepare(spec, on)
    data = spec.data()
    model = place(model, on, spec.engine.channels_last).eval()
    trained_on = cache(lambda: sources(data.split("train"), spec.train.validation, on)[0])
    how: dict[str, Any] = {"batch": spec.evaluate.batch, "trained_on": trained_on}
    return measure(model, metrics, held_out(data, on), spec.train.seed, **how)


def evaluate_file(
    run_or_file: str | Path,
    metrics: list[str],
    overrides: list[str],
    device: str = "auto",
    *,
    trust: bool = False,
    data_of_file: bool = False,
) -> tuple[dict[str, Measurement], Spec]:
    """Score a run or a share file; ``metrics`` replace those of its spec.

    Data that only the file has chosen is read where ``data_of_file`` says so; ``trust`` as `zoo.load` has it.
    """
    share = read_share(file_to_open(run_or_file, trust=trust))
    return evaluate_opened(run_or_file, share, metrics, overrides, device, data_of_file=data_of_file)


def evaluate_opened(
    run_or_file: str | Path,
    share: Share,
    metrics: Sequence[str] = (),
    overrides: Sequence[str] = (),
    device: str = "auto",
    *,
    data_of_file: bool = False,
) -> tuple[dict[str, Measurement], Spec]:
    """Score a share file whose header was read, as `evaluate_file` does; messages name ``run_or_file``."""
    require_agreed(run_or_file, share, overrides, data_of_file)
    spec = share.respecified(overrides, metrics)
    if metrics:
        by_name = {part.name: part for part in spec.evaluate.metrics}
        chosen = spec.evaluate.model_copy(update={"metrics": [by_name[name] for name in metrics]})
        spec = spec.model_copy(update={"evaluate": chosen})
    require_agreed_metrics(run_or_file, share, spec.evaluate.metrics, data_of_file)
    if not spec.evaluate.metrics:
        raise UsageError(f"{run_or_file} declares no metric; choose one with --metric")
    return evaluate(share, spec, device), spec


def protocol(measured: Mapping[str, Measurement], spec: Spec, split: str) -> dict[str, Any]:
    """Figures as a share file records them, with all that they depend on: split, data, metrics, seed.

    Where a metric was fitted, ``fitted_on`` is the number of training examples.
    """
    return {
        "split": split,
        "seed": spec.train.seed,
        "data": spec.data.resolved(),
        "declared": [part.resolved() for part in spec.evaluate.metrics],
        "figures": {
            name: {"value": m.value if math.isfinite(m.value) else None, "n": m.n, "kind": m.kind}
            | {key: value for key in FIGURE_DETAILS if (value := getattr(m, key)) is not None}
            for name, m in measured.items()
        },
    }
