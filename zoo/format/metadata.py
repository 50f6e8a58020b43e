"""Metadata of a share file, checked without torch: it is untrusted."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

from ..distribution import HOME
from ..event import Event
from .migrations import FORMAT, upgraded, version_of

KEYS = {
    "format", "spec", "event", "components", "data", "seed", "step", "metrics", "ties", "parent", "licence", "digest"
}  # fmt: skip
FIGURE_DETAILS = ("fitted_on", "standard_error", "features")
"""What a figure records where it is known."""
MAX_DEPTH = 64
MAX_EVENT = 1 << 28
"""Numbers of one example, in all of its entries."""
MAX_ENTRIES, MAX_PIECE = 64, 200
"""Of one event: further entries, and characters of a piece of text."""
MAX_VALUES, MAX_PARTS = 50_000, 5_000
"""Of one spec: values of all kinds, and components."""

_PLUGIN = r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}"
_WORD = re.compile(r"[a-z][a-z0-9_]{0,127}")
_TYPE = re.compile(rf"({_PLUGIN}\.)?[a-z][a-z0-9_]{{0,127}}")
_DISTRIBUTION = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,126}[A-Za-z0-9])?")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_SPEC_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_UNPRINTABLE = re.compile(
    # Controls but newline and tab, what turns the direction of writing, line separators, halves of characters.
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)


Parents = str | list[str] | None
"""The digests of the share files that a model's weights started from: one, a list of several, or none."""


def as_parents(digests: Iterable[str]) -> Parents:
    """Digests as a share file records them, each once.

    >>> as_parents([]), as_parents(["a", "a"]), as_parents(["a", "b"])
    (None, 'a', ['a', 'b'])
    """
    each = list(dict.fromkeys(digests))
    return each if len(each) > 1 else each[0] if each else None


def parents_in(recorded: Parents) -> list[str]:
    """The digests that a share file records.

    >>> parents_in(None), parents_in("a"), parents_in(["a", "b"])
    ([], ['a'], ['a', 'b'])
    """
    return recorded if isinstance(recorded, list) else [recorded] if recorded else []


class Unsound(Exception):
    """Metadata of a share file is invalid; the message follows the file's name."""


@dataclass(frozen=True)
class Metadata:
    """Valid metadata in today's format, its event, and the metadata as stored in the file."""

    values: dict[str, Any]
    event: Event
    written: dict[str, Any]


def judge_metadata(meta: Any, tensors: Collection[str]) -> Metadata:
    """The metadata of a file with these tensors; `Unsound` where something in it is not sound."""
    if not isinstance(meta, dict) or type(meta.get("format")) is not int:
        raise Unsound("is not a share file of zoo: its metadata has no format version")
    if meta["format"] > FORMAT:
        raise Unsound(f"has format {meta['format']}; this zoo reads format {FORMAT}: update zoo to open it")
    try:
        values = upgraded(meta)
    except LookupError:
        raise Unsound(f"has format {meta['format']}, which is no longer supported") from None
    if odd := sorted(KEYS ^ set(values)):
        raise Unsound(
            f"is not a share file of zoo: its metadata {'lacks' if odd[0] in KEYS else 'has'} {shown(odd[0])}"
        )
    for _, flaw in flaws_in(values):
        raise Unsound(flaw)
    _require(isinstance(values["components"], list), "components")
    for component in values["components"]:
        _judge_component(component)
    kinds = [(component["kind"], component["name"]) for component in values["components"]]
    _require(len(set(kinds)) == len(kinds), "components")
    _judge_spec(values["spec"], {name for _, name in kinds})
    _judge_metrics(values["metrics"])
    _judge_ties(values["ties"], tensors)
    _judge_facts(values)
    return Metadata(values, _event(values["event"]), meta)


def shown(text: str) -> str:
    """Untrusted text for a message, without control characters."""
    return ascii(text if len(text) <= 80 else f"{text[:77]}...")


def is_plugin_name(name: str) -> bool:
    """Whether a name can stand before a component's: one word, safe in a shell."""
    return bool(re.fullmatch(_PLUGIN, name))


def is_spec_name(name: str) -> bool:
    """Whether a spec can be called this."""
    return bool(_SPEC_NAME.fullmatch(name))


def is_line(value: Any, most: int = 200) -> bool:
    """Whether a value is a text of one line."""
    return isinstance(value, str) and 0 < len(value) <= most and value.isprintable()


def _require(sound: bool, what: str) -> None:
    if not sound:
        raise Unsound(f"is not a share file of zoo: its metadata has an invalid '{what}'")


Steps = tuple[str | int, ...]
"""Keys and indices that lead to a value."""


def flaws_in(root: Any) -> Iterator[tuple[Steps, str]]:
    """The forbidden contents of metadata with their places: texts must be harmless, numbers and nesting bounded."""
    pending: list[tuple[Steps, Any]] = [((), root)]
    while pending:
        steps, value = pending.pop()
        if len(steps) > MAX_DEPTH:
            yield steps, f"is nested deeper than {MAX_DEPTH} levels"
        elif isinstance(value, str):
            if not value.isprintable() and _UNPRINTABLE.search(value):
                yield steps, f"has a control character: {shown(value)}"
        elif isinstance(value, dict):
            for key, inner in value.items():
                if not is_line(key, 1000):
                    yield steps, f"has a key that is not plain text of at most 1,000 characters: {shown(key)}"
                pending.append(((*steps, key), inner))
        elif isinstance(value, list):
            pending += [((*steps, index), inner) for index, inner in enumerate(value)]
        elif isinstance(value, int | float) and not is_number(value):
            yield steps, f"has a number that is not finite, or of more than 19 characters: {shown(str(value))}"


def flaws_of_spec(spec: Mapping[str, Any]) -> Iterator[tuple[Steps, str]]:
    """The further errors of a share file's spec: it must be resolved and bounded, with each ``type`` a plain name."""
    if not (isinstance(spec.get("name"), str) and is_spec_name(spec["name"])):
        yield ("name",), "has an invalid name: expected at most 128 letters, digits, '.', '_' and '-'"
    plugins = spec.get("plugins", [])
    for index, name in enumerate(plugins if isinstance(plugins, list) else [plugins]):
        if not (isinstance(name, str) and is_plugin_name(name)):
            text = f"has {shown(str(name))} among its plugins: not a plugin name, and share files contain no code"
            yield ("plugins", index), text
    values = parts = 0
    pending: list[tuple[Steps, Any]] = [((), spec)]
    while pending:
        steps, value = pending.pop()
        values += 1
        if isinstance(value, list):
            pending += [((*steps, index), inner) for index, inner in enumerate(value)]
        elif isinstance(value, dict):
            pending += [((*steps, key), inner) for key, inner in value.items()]
            name = value.get("type")
            parts += name is not None
            if isinstance(name, str) and not _TYPE.fullmatch(name):
                yield (*steps, "type"), f"has {shown(name)} in its spec: not a component name"
            if "repeat" in value and "type" not in value:
                yield steps, "has a repetition in its spec; expected a resolved one"
    if values > MAX_VALUES or parts > MAX_PARTS:
        yield (), f"has a spec of more than {MAX_VALUES:,} values, or {MAX_PARTS:,} parts"


def is_number(value: float) -> bool:
    """Whether a number can stand in a share file."""
    return -(10**18) < value < 10**19 if isinstance(value, int) else math.isfinite(value)


def _judge_component(value: Any) -> None:
    """Check the kind, name, distribution and version of a component, which appear in a ``pip install`` line."""
    _require(isinstance(value, dict) and value.keys() == {"kind", "name", "distribution", "version"}, "components")
    _require(all(isinstance(text, str) for text in value.values()), "components")
    bare = "." not in value["name"]
    sound = (
        _TYPE.fullmatch(value["kind"])
        and _TYPE.fullmatch(value["name"])
        and _DISTRIBUTION.fullmatch(value["distribution"])
        and version_of(value["version"]) is not None
        and bare == (value["distribution"] == HOME)
    )
    if not sound:
        raise Unsound(f"records an invalid component: {shown(' '.join(value.values()))}")


def _judge_spec(spec: Any, recorded: Collection[str]) -> None:
    """Nothing is merged or unrolled, and every ``type`` is a plain name that the components record."""
    _require(isinstance(spec, dict), "spec")
    if "extends" in spec:
        raise Unsound("has a spec with 'extends'; expected a resolved one")
    for _, flaw in flaws_of_spec(spec):
        raise Unsound(flaw)
    pending: list[Any] = [spec]
    while pending:
        value = pending.pop()
        pending += value if isinstance(value, list) else value.values() if isinstance(value, dict) else ()
        name = value.get("type") if isinstance(value, dict) else None
        if isinstance(name, str) and "." in name and name not in recorded:
            raise Unsound(f"uses '{name}' in its spec, but does not record that component")


def _judge_metrics(metrics: Any) -> None:
    _require(isinstance(metrics, dict) and isinstance(metrics.get("figures", {}), dict), "metrics")
    for name, figure in metrics.get("figures", {}).items():
        known = figure.keys() - FIGURE_DETAILS if isinstance(figure, dict) else None
        sound = known == {"value", "n", "kind"} and is_line(name)
        sound = sound and (figure["value"] is None or type(figure["value"]) in (int, float))
        sound = sound and all(type(figure[key]) is int for key in figure.keys() & {"n", "fitted_on"})
        sound = sound and type(figure.get("standard_error", 0.0)) in (int, float)
        sound = sound and ("features" not in figure or _is_digest(figure["features"]))
        _require(sound and is_line(figure["kind"]), "metrics")


def _judge_ties(ties: Any, tensors: Collection[str]) -> None:
    _require(isinstance(ties, dict), "ties")
    for name, first in ties.items():
        _require(name not in tensors and isinstance(first, str) and first in tensors, "ties")


def _judge_facts(values: Mapping[str, Any]) -> None:
    for key in ("seed", "step"):
        _require(type(values[key]) is int and values[key] >= 0, key)
    for key in ("data", "licence"):
        _require(values[key] is None or is_line(values[key]), key)
    _require(_is_digest(values["digest"]), "digest")
    _require(are_parents(values["parent"]), "parent")


def are_parents(recorded: Any) -> bool:
    """Whether a value is what `as_parents` gives."""
    if isinstance(recorded, list):
        return len(recorded) > 1 and all(map(_is_digest, recorded)) and len(set(recorded)) == len(recorded)
    return recorded is None or _is_digest(recorded)


def _is_digest(value: Any) -> bool:
    return isinstance(value, str) and bool(_DIGEST.fullmatch(value))


def _event(value: Any) -> Event:
    """The event; keys that older files do not have are None."""
    fields_of = _event_fields(value)
    _require(0 < len(fields_of["shape"]) <= 8, "event")
    also = fields_of["also"] or []
    _require(isinstance(also, list) and len(also) <= MAX_ENTRIES, "event")
    entries = [_event_fields(entry) for entry in also]
    _require(all(len(entry["shape"]) <= 8 and not entry["also"] for entry in entries), "event")
    _require(sum(math.prod(each["shape"]) for each in (fields_of, *entries)) <= MAX_EVENT, "event")
    try:
        return Event.from_dict(fields_of)
    except ValueError as error:
        raise Unsound(f"describes an invalid event: {shown(str(error))}") from None


def _event_fields(written: Any) -> dict[str, Any]:
    """The fields of an event or an entry; those that a file lacks, since they were added later, are None."""
    known = {field.name for field in fields(Event)}
    _require(isinstance(written, dict) and {"name", "shape"} <= written.keys() <= known, "event")
    value: dict[str, Any] = dict.fromkeys(known) | written
    shape, span, factors, columns = value["shape"], value["range"], value["factors"], value["columns"]
    _require(isinstance(value["name"], str) and bool(_WORD.fullmatch(value["name"])), "event")
    _require(isinstance(shape, list) and all(_counts(size) for size in shape), "event")
    counts = [value[key] for key in ("levels", "classes", "features") if value[key] is not None]
    _require(factors is None or (isinstance(factors, dict) and all(is_line(name) for name in factors)), "event")
    _require(all(_counts(count) for count in [*counts, *(factors or {}).values()]), "event")
    bounds = span if isinstance(span, list) else [] if span is None else [None]
    _require(len(bounds) in (0, 2) and all(type(bound) in (int, float) for bound in bounds), "event")
    named = isinstance(columns, list) and len(columns) == shape[-1] and all(map(is_line, columns))
    _require(columns is None or named, "event")
    pieces, padding = value["vocabulary"], value["padding"]
    texts = isinstance(pieces, list) and all(isinstance(piece, str) and len(piece) <= MAX_PIECE for piece in pieces)
    _require(pieces is None or texts, "event")
    _require(padding is None or type(padding) in (int, float), "event")
    return value


def _counts(value: Any) -> bool:
    return type(value) is int and 0 < value < 2**31
