"""Which data sets of the shipped specs are on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ..errors import ZooError
from ..interfaces import Dataset
from ..registry.part import Part
from ..registry.shipped import shipped_specs
from ..spec import load_spec, parts_in


@dataclass(frozen=True)
class Found:
    """A data set that specs name: its held-out examples, or the reason why there are none."""

    name: str
    examples: int | None
    problem: str | None


def found() -> Iterator[Found]:
    """The data sets that shipped specs read, each as the first spec declares it. Nothing is downloaded."""
    parts: dict[str, Part[Dataset]] = {}
    for name in shipped_specs():
        for part in parts_in(load_spec(name, say=lambda message: None).data):
            if issubclass(part.cls, Dataset) and not any(issubclass(inner.cls, Dataset) for inner in _inner(part)):
                parts.setdefault(part.name, part)
    for name, part in sorted(parts.items()):
        try:
            yield Found(name, len(part().split("test")), None)
        except ZooError as error:
            yield Found(name, None, str(error))


def _inner(part: Part[Dataset]) -> Iterator[Part[Dataset]]:
    yield from (inner for inner in parts_in(part) if inner is not part)
