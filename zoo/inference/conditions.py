"""Conditions of samples: entries that a user gives, or each class in turn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from ..errors import DataError, UsageError, listed
from ..event import Event
from ..interfaces import Condition, Model
from .given import read_entry


def parse_given(texts: Sequence[str]) -> dict[str, str]:
    """The entries of ``--given KEY=VALUE`` options; UsageError for one without a key, or twice the same.

    >>> parse_given(["label=3", "image=cat.png"])
    {'label': '3', 'image': 'cat.png'}
    """
    found: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not (equals and name and value):
            raise UsageError(f"--given {text}: expected KEY=VALUE or KEY=FILE, such as label=3")
        if name in found:
            raise UsageError(f"--given {text}: duplicate '{name}'")
        found[name] = value
    return found


def condition(model: Model, n: int, given: Mapping[str, str] | None = None) -> Condition | None:
    """The condition of ``n`` samples, on the CPU; None for an unconditional model.

    ``given`` has a value or a file for each entry, of one example for all draws or of one for each. A label that is not
    given is each class in turn. UsageError for an entry that is missing, or that the model does not take.
    """
    given = dict(given or {})
    for name in given:
        if name not in model.conditions:
            takes = f"is conditioned on {listed(model.conditions)}" if model.conditions else "is unconditional"
            raise UsageError(f"'{name}' has no effect: this model {takes}")
    return {name: _entry(model, name, given.get(name), n) for name in model.conditions} or None


def placeholder(model: Model, n: int) -> Condition | None:
    """A condition of the right form whose values do not matter."""
    return model.given(model.event.example(n, "cpu"))


def _entry(model: Model, name: str, text: str | None, n: int) -> Tensor:
    entry = model.event.entries.get(name)
    if entry is None:
        raise UsageError(f"this model is conditioned on '{name}', but its event does not describe it")
    if text is None:
        if name != "label":
            raise UsageError(f"draws of this model require '{name}': set it with --given {name}={_example(entry)}")
        return torch.arange(n).remainder(entry.levels or 1)
    x = read_entry(entry, text)
    if len(x) not in (1, n):
        raise DataError(f"'{text}' has {len(x)} examples of '{name}'; expected 1, or {n}: one for each draw")
    return x.expand(n, *entry.shape)


def _example(entry: Event) -> str:
    """Placeholder for a value of an entry, for usage messages."""
    if entry.vocabulary is not None:
        return "TEXT"
    return "IMAGE.png" if len(entry.shape) == 3 else "FILE.npy" if len(entry.shape) else "NUMBER"
