"""A stricter YAML, with the place of every node.

``1e-3`` is a number, only ``true`` and ``false`` are booleans, a key stands once, and a text that would grow without
bound (alias bombs, deep nesting, huge files) is refused before it does.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml
from yaml.composer import Composer
from yaml.events import AliasEvent
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from yaml.parser import Parser
from yaml.reader import Reader
from yaml.scanner import Scanner

from ..errors import Mark, Problem, Source, SpecError
from .nodes import NOWHERE, Entries, Items, Place, Text

MAX_BYTES = 1_000_000
MAX_DEPTH = 64
MAX_NODES = 100_000
UNFOLDED, PER_CHARACTER = 10_000, 4
"""Values that a text may unfold to by its aliases, and how many more for each of its characters."""

_INTEGER = re.compile(r"[-+]?(0|[1-9](_?[0-9]){0,99}|0x[0-9a-fA-F]{1,99})$")
_NUMBER = re.compile(r"[-+]?([0-9](_?[0-9])*(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?$")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)$|\.(nan|NaN|NAN)$")


def read_yaml(text: str, name: str, path: Path | None = None) -> Any:
    """The value of a YAML text as nodes with places; SpecError if zoo does not accept it."""
    return read_within(Source(name, text, path), text)


def read_within(source: Source, text: str, place: Place = NOWHERE) -> Any:
    """The value of a text whose lines and columns are those of ``source``, for a place in a spec."""
    if len(text) > MAX_BYTES:
        message = f"{source.name} has {len(text):,} characters; a spec has at most {MAX_BYTES:,}"
        raise SpecError(Problem(None, "", message))
    try:
        node = _Composer(text).get_single_node()
    except _Refused as error:
        raise SpecError(Problem(_mark(source, error.problem_mark), place.path, str(error.problem))) from None
    except yaml.MarkedYAMLError as error:
        message = ", ".join(part for part in (error.context, error.problem) if part)
        mark = _mark(source, error.problem_mark or error.context_mark)
        raise SpecError(Problem(mark, place.path, f"invalid YAML: {message}")) from None
    except yaml.reader.ReaderError as error:
        line, column = text.count("\n", 0, error.position), error.position - text.rfind("\n", 0, error.position)
        message = f"invalid YAML: the character {chr(error.character)!r} is not allowed"
        raise SpecError(Problem(Mark(source, line + 1, column), place.path, message)) from None
    return None if node is None else _Construction(source).value(node, place, None)


def write_yaml(value: Any) -> str:
    """The text of plain values; `read_yaml` gives them back."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True)


class _Dumper(yaml.SafeDumper):
    """YAML dumper that quotes texts like ``1e3``, which our reader, unlike PyYAML's, takes for a number."""


def _quoted(dumper: yaml.SafeDumper, text: str) -> ScalarNode:
    unclear = not isinstance(plain_scalar(text, NOWHERE), str)
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="'" if unclear else None)


_Dumper.add_representer(str, _quoted)


class _Refused(yaml.MarkedYAMLError):
    """YAML that zoo does not accept."""


def _mark(source: Source, found: Any) -> Mark:
    return Mark(source, found.line + 1, found.column + 1)


class _Alias(Node):
    """An alias ``*name``: its place, and the node that it refers to."""

    def __init__(self, target: Node, start_mark: Any) -> None:
        super().__init__("alias", target, start_mark, start_mark)


class _Composer(Reader, Scanner, Parser, Composer, yaml.resolver.BaseResolver):
    """YAML composer that records the places of aliases, and counts the nodes that they expand to."""

    def __init__(self, text: str) -> None:
        Reader.__init__(self, text)
        Scanner.__init__(self)
        Parser.__init__(self)
        Composer.__init__(self)
        yaml.resolver.BaseResolver.__init__(self)
        self._depth = self._count = 0
        self._most = min(MAX_NODES, UNFOLDED + PER_CHARACTER * len(text))
        self._sizes: dict[Node, int] = {}

    def fetch_flow_collection_start(self, token: Any) -> None:
        # Each open bracket may be a key, which the scanner looks for after each word of the next 1,024 characters.
        if self.flow_level + len(self.indents) >= MAX_DEPTH:
            raise _Refused(problem=f"nested deeper than {MAX_DEPTH} levels", problem_mark=self.get_mark())
        super().fetch_flow_collection_start(token)

    def compose_node(self, parent: Any, index: Any) -> Any:
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        alias = isinstance(event, AliasEvent)
        if getattr(event, "tag", None) is not None:
            tag = event.tag.replace("tag:yaml.org,2002:", "!!")
            raise _Refused(problem=f"tags are not supported: {tag}", problem_mark=event.start_mark)
        before = self._count
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise _Refused(problem=f"nested deeper than {MAX_DEPTH} levels", problem_mark=event.start_mark)
        node: Any = super().compose_node(parent, index)
        self._depth -= 1
        if alias and node not in self._sizes:
            raise _Refused(
                problem=f"the alias '*{event.anchor}' refers to a value that contains it", problem_mark=event.start_mark
            )
        self._count += self._sizes[node] if alias else 1
        if self._count > self._most:
            raise _Refused(problem=f"expands to more than {self._most:,} values", problem_mark=event.start_mark)
        self._sizes[node] = self._count - before
        return _Alias(node, event.start_mark) if alias else node


class _Construction:
    """Nodes -> values, once for each text."""

    def __init__(self, source: Source) -> None:
        self.source = source

    def mark(self, node: Node, alias: Mark | None) -> Mark:
        own = Mark(self.source, node.start_mark.line + 1, node.start_mark.column + 1)
        # What is reached through an alias stands there for the reader; the anchor's own line is named too.
        return own if alias is None else Mark(self.source, alias.line, alias.column, anchor=own)

    def value(self, node: Node, place: Place, alias: Mark | None, depth: int = 0) -> Any:
        if isinstance(node, _Alias):
            at = alias or Mark(self.source, node.start_mark.line + 1, node.start_mark.column + 1)
            return self.value(node.value, place, at, depth)
        place = Place(self.mark(node, alias), place.path)
        if depth > MAX_DEPTH:
            raise self.refuse(place, f"nested deeper than {MAX_DEPTH} levels")
        if isinstance(node, MappingNode):
            return self.mapping(node, place, alias, depth)
        if isinstance(node, SequenceNode):
            items = Items(place=place)
            for index, child in enumerate(node.value):
                value = self.value(child, place.under(index, None), alias, depth + 1)
                items.append(value)
                items.places.append(place.under(index, self.mark_of(child, alias)))
            return items
        return self.scalar(node, place)

    def mapping(self, node: MappingNode, place: Place, alias: Mark | None, depth: int) -> Entries:
        entries = Entries(place=place)
        for key_node, child in node.value:
            key_mark = self.mark_of(key_node, alias)
            if not isinstance(key_node, ScalarNode):
                raise self.refuse(Place(key_mark, place.path), "a key must be a plain word")
            key = key_node.value
            at = place.under(key, key_mark)
            if key == "<<":
                raise self.refuse(at, "merge keys are not supported; use 'extends', or an alias for the whole value")
            if key in entries:
                first = entries.key_marks[key].line
                raise self.refuse(at, f"duplicate key '{key}'; first in line {first}")
            entries.put(key, self.value(child, at, alias, depth + 1), key_mark, self.mark_of(child, alias))
        return entries

    def mark_of(self, node: Node, alias: Mark | None) -> Mark:
        if isinstance(node, _Alias):
            at = Mark(self.source, node.start_mark.line + 1, node.start_mark.column + 1)
            return self.mark(node.value, alias or at)
        return self.mark(node, alias)

    def scalar(self, node: Node, place: Place) -> Any:
        text = str(node.value)
        plain = isinstance(node, ScalarNode) and node.style is None
        if not plain:
            return Text(text).at(place)
        return plain_scalar(text, place)

    def refuse(self, place: Place, message: str) -> SpecError:
        return SpecError(Problem(place.mark, place.path, message))


def plain_scalar(text: str, place: Place) -> Any:
    """The value of an unquoted word."""
    if text in ("", "~", "null"):
        return None
    if text in ("true", "false"):
        return text == "true"
    if _INTEGER.match(text):
        return int(text.replace("_", ""), 0)
    if _NUMBER.match(text) and any(c in text for c in ".eE"):
        return float(text.replace("_", ""))
    if _NOT_FINITE.match(text):
        return float(text.replace(".", "", 1).lower())
    return Text(text).at(place)
