"""Scores on held-out data."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from ..assembly.build import check_metrics, require_data_of
from ..data.batches import Source, held_out
from ..engine.randomness import seeded
from ..engine.runtime import find_device, place, prepare
from ..errors import SpecError, UsageError
from ..event import ENTRIES
from ..interfaces import Measurement, Metric, Model
from ..interfaces.boundary import trusted
from ..progress import counted, doing
from ..registry.part import Part
from ..run.directory import file_to_open
from ..share.file import Share, read_share
from ..spec import Spec
from .outside_data import require_agreed

BATCH = 500


@torch.no_grad()
def measure(model: Model, metrics: list[Part[Metric]], source: Source, seed: int) -> dict[str, Measurement]:
    """Every metric of a model on a source; the noise of each is a function of the seed alone."""
    found: dict[str, Measurement] = {}
    for part in metrics:
        with trusted(), seeded(source.device, seed, "evaluate", part.name), doing(f"scoring {part.name}"):
            try:
                batches = counted(source.in_order(BATCH), -(-len(source) // BATCH))
                found.update(part().measure(model, batches))
            except KeyError as error:  # a metric of a plugin may not say what it needs
                if error.args[0] not in ENTRIES:
                    raise
                raise UsageError(f"metric '{part.name}' needs the {error.args[0]} of each example") from error
    return found


def evaluate(share: Share, spec: Spec, device: str = "auto") -> dict[str, Measurement]:
    """The metrics that ``spec`` names, of a share file's model on the spec's held-out split."""
    model = share.model()
    problems = check_metrics(model, spec.evaluate)
    if problems:
        raise SpecError(problems)
    require_data_of(model, spec, spec.evaluate)
    on = find_device(device)
    prepare(spec, on)
    source = held_out(spec.data(), on)
    return measure(place(model, on, spec.engine.channels_last).eval(), spec.evaluate, source, spec.train.seed)


def evaluate_file(
    run_or_file: str | Path,
    metrics: list[str],
    overrides: list[str],
    device: str = "auto",
    *,
    trust: bool = False,
    data_of_file: bool = False,
) -> tuple[dict[str, Measurement], Spec]:
    """Score a run or a share file, and by what spec; ``metrics`` replace those that its own names.

    Data that only the file has chosen is read where ``data_of_file`` says so; ``trust`` as `zoo.load` has it.
    """
    share = read_share(file_to_open(run_or_file, trust=trust))
    require_agreed(run_or_file, share, overrides, data_of_file)
    spec = share.respecified(overrides, metrics)
    if metrics:
        by_name = {part.name: part for part in spec.evaluate}
        spec = spec.model_copy(update={"evaluate": [by_name[name] for name in metrics]})
    if not spec.evaluate:
        raise UsageError(f"{run_or_file} names no metric; choose one with --metric")
    return evaluate(share, spec, device), spec


def protocol(measured: Mapping[str, Measurement], spec: Spec, split: str) -> dict[str, Any]:
    """Figures as a share file records them: with what they were measured on, and how."""
    return {
        "split": split,
        "data": spec.data.resolved(),
        "declared": [part.resolved() for part in spec.evaluate],
        "figures": {
            name: {"value": m.value if math.isfinite(m.value) else None, "n": m.n, "kind": m.kind}
            for name, m in measured.items()
        },
    }
