"""What one example is: compared as a whole, said in words, kept in files."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

import zoo
from zoo.event import ENTRIES, require_same_event

EVENT = zoo.Event(
    "image",
    zoo.Shape(1, 2, 3),
    levels=4,
    range=(-1.0, 1.0),
    classes=3,
    vocabulary=("", "a", "b", "c"),
    features=2,
    factors={"shape": 3, "size": 6},
    columns=("a", "b", "c"),
    padding=1,
    also=(zoo.Event("text", zoo.Shape(2), levels=3),),
)
OTHER: dict[str, Any] = {
    "name": "row",
    "shape": zoo.Shape(1, 3, 2),
    "levels": 3,
    "range": (0.0, 1.0),
    "classes": 4,
    "vocabulary": ("", "a", "b", "d", "e"),
    "features": 3,
    "factors": {"shape": 3, "size": 5},
    "columns": ("a", "c", "b"),
    "padding": 2,
    "also": (zoo.Event("text", zoo.Shape(3), levels=3),),
}
DEFAULTS = {field.name: field.default for field in dataclasses.fields(zoo.Event)}
FIELDS = [field.name for field in dataclasses.fields(zoo.Event)]


@pytest.mark.parametrize("field", FIELDS)
def test_each_field_is_compared(field: str) -> None:
    other = dataclasses.replace(EVENT, **{field: OTHER[field]})
    named = "text.shape" if field == "also" else field
    assert EVENT.differences(other, ENTRIES) == [named]
    assert EVENT.differences(EVENT, ENTRIES) == []
    with pytest.raises(zoo.UsageError, match=f"different {named}") as refused:
        require_same_event(EVENT, other, ENTRIES)
    assert str(EVENT) in str(refused.value) and str(other) in str(refused.value) and str(EVENT) != str(other)


def test_all_differences_are_named_at_once() -> None:
    with pytest.raises(zoo.UsageError, match=r"levels, range, vocabulary, padding, columns and text\.shape"):
        require_same_event(EVENT, zoo.Event(**OTHER))


@pytest.mark.parametrize(("entry", "field"), ENTRIES.items())
def test_what_is_not_used_may_be_absent(entry: str, field: str) -> None:
    none: dict[str, Any] = {field: None}
    without = dataclasses.replace(EVENT, **none)
    assert EVENT.differences(without) == [] == without.differences(EVENT)
    assert EVENT.differences(without, [entry]) == [field]


@pytest.mark.parametrize("sides", [(EVENT, dataclasses.replace(EVENT, columns=None))])
def test_columns_without_names_are_not_compared(sides: tuple[zoo.Event, zoo.Event]) -> None:
    assert sides[0].differences(sides[1]) == [] == sides[1].differences(sides[0])


@pytest.mark.parametrize("field", [None, *FIELDS[2:]])
def test_an_event_comes_back_from_plain_values(field: str | None) -> None:
    none: dict[str, Any] = {} if field is None else {field: DEFAULTS[field]}
    if field == "levels":
        none["vocabulary"] = None
    event = dataclasses.replace(EVENT, **none)
    assert zoo.Event.from_dict(event.to_dict()) == event


def test_an_event_of_format_1_has_no_columns() -> None:
    assert "columns" not in dataclasses.replace(EVENT, columns=None).to_dict()
