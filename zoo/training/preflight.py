"""Checks before step 0: problems of a run's data are found before anything is timed, created or trained."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from ..data.batches import Splits, divided
from ..engine.randomness import seeded
from ..errors import DataError, Problem, SpecError, ZooError
from ..event import Event
from ..interfaces import Batch, Examples, InMemory, Metric
from ..interfaces.metric import needs_training_data
from ..registry.part import Part
from ..spec import Spec

SAMPLE = 64
"""Examples of a split that are read, evenly spread over it, where they do not lie in memory anyway."""

Say = Callable[[str], None]


def preflight(spec: Spec, splits: Splits, say: Say) -> None:
    """Open every split and compare it with the spec; ``say`` gets a line on each and the warnings.

    Raises `SpecError` with the line of what cannot work on this data, `zoo.DataError` where data is missing, damaged
    or other than declared.
    """
    with seeded(torch.device("cpu"), spec.train.seed, "preflight"):
        for name in ("train", "test"):
            with blamed_on(spec.data):
                examples = splits[name]
                _check_split(f"the {name} split", examples, splits.dataset.event)
                say(f"{name} data: {examples.summary()}")
                for warning in examples.survey():
                    say(f"warning: {name} data: {warning}")
        trained, held = divided(splits["train"], spec.train.validation)
        problems = [*_check_division(spec, len(trained), len(held))]
        if not problems:
            problems += _check_augmentations(spec, splits["train"], splits.dataset.event)
            scored = [(splits["test"], torch.arange(len(splits["test"])))]
            scored += [(splits["train"], held)] if spec.train.validate_every else []
            for part in spec.evaluate.metrics:
                fitted = [(splits["train"], trained)] if needs_training_data(part()) else []
                looked_at = [check_metric_data(part, *on, spec.evaluate.batch) for on in (*scored, *fitted)]
                problems += [problem for found in looked_at for problem in found]
    if problems:
        raise SpecError(problems)
    for sink in spec.train.sinks:
        sink().check()


@contextmanager
def blamed_on(part: Part[Any]) -> Iterator[None]:
    """Context manager that reports a component's exception with its line, unless it is meant for the user."""
    try:
        yield
    except ZooError:
        raise
    except Exception as error:
        raise SpecError(part.failure(error)) from error


def check_metric_data(metric: Part[Metric], examples: Examples, numbers: Tensor, batch: int) -> Iterator[Problem]:
    """Why examples with these numbers cannot be measured on, where a metric says so."""
    try:
        with blamed_on(metric):
            metric().check_data(_batches(examples, numbers, batch))
    except SpecError as error:
        yield from error.problems
    except DataError as error:
        yield metric.problem(str(error))


def misfits(event: Event, batch: Batch) -> Iterator[str]:
    """The differences of a batch from an event: missing entries, shapes, types and values."""
    for name, entry in event.entries.items():
        if name not in batch:
            yield f"a batch has no '{name}': it has {', '.join(batch)}"
        elif (flaw := entry.flaw(batch[name])) is not None:
            yield f"'{name}' {flaw}"


def _check_split(what: str, examples: Examples, event: Event) -> None:
    """DataError unless a split has examples, and the checked ones match the event."""
    if not len(examples):
        raise DataError(f"{what} has no examples")
    for problem in misfits(event, _looked_at(examples)):
        raise DataError(f"{what} does not match the declared data: {problem}")


def _looked_at(examples: Examples) -> Mapping[str, Tensor]:
    """The examples to check: all that lie in memory as they are used, or else some of them."""
    if isinstance(examples, InMemory) and type(examples).render is Examples.render:
        return examples.tensors
    return _some(examples)


def _some(examples: Examples) -> Batch:
    n = len(examples)
    return examples.render(examples.read(torch.linspace(0, n - 1, min(n, SAMPLE), dtype=torch.float64).long()))


def _batches(examples: Examples, numbers: Tensor, batch: int) -> Iterator[Batch]:
    return (examples.render(examples.read(some)) for some in torch.split(numbers, batch))


def _check_division(spec: Spec, trained: int, held: int) -> Iterator[Problem]:
    """Check the held-out part of the train split, and the rest."""
    text = f"{spec.train.validation:g} of the {trained + held} examples of the train split leaves none to"
    if not trained:
        yield spec.problem("train.validation", f"{text} train on: choose less")
    if spec.train.validate_every and not held:
        yield spec.problem("train.validation", f"{text} validate on: choose more, or drop train.validate_every")


def _check_augmentations(spec: Spec, examples: Examples, event: Event) -> Iterator[Problem]:
    """Augmentations that fail, or give something other than the data."""
    batch = _some(examples) if spec.train.augment else {}
    for part in spec.train.augment:
        with blamed_on(part):
            batch = part(event)(batch)
        yield from (part.problem(f"its output is not valid data: {text}") for text in misfits(event, batch))
