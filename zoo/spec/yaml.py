"""A stricter YAML, with the place of every node.

``1e-3`` is a number, only ``true`` and ``false`` are booleans, a key stands once, and a text that would grow without
bound (alias bombs, deep nesting, huge files) is refused before it does.
"""

from __future__ import annotations

import re
from typing import Any

import yaml
from yaml.composer import Composer
from yaml.events import AliasEvent
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from yaml.parser import Parser
from yaml.reader import Reader
from yaml.scanner import Scanner

from ..errors import Mark, Problem, Source, SpecError
from ..nodes import Entries, Items, Place, Text

MAX_BYTES = 1_000_000
MAX_DEPTH = 64
MAX_NODES = 100_000

_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9_]*|0x[0-9a-fA-F_]+)$")
_NUMBER = re.compile(r"[-+]?([0-9][0-9_]*)?(\.[0-9_]*)?([eE][-+]?[0-9]+)?$")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)$|\.(nan|NaN|NAN)$")


def read_yaml(text: str, name: str) -> Any:
    """The value of a YAML text as places-bearing nodes; SpecError where it is not what zoo accepts."""
    source = Source(name, text)
    if len(text) > MAX_BYTES:
        raise SpecError(Problem(None, "", f"{name} has {len(text):,} characters; a spec has at most {MAX_BYTES:,}"))
    try:
        node = _Composer(text).get_single_node()
    except yaml.MarkedYAMLError as error:
        told = error.problem_mark or error.context_mark
        mark = Mark(source, told.line + 1, told.column + 1) if told else None
        raise SpecError(Problem(mark, "", f"not YAML: {error.problem or error.context}")) from None
    except yaml.YAMLError as error:
        raise SpecError(Problem(Mark(source, 1, 1), "", f"not YAML: {error}")) from None
    except RecursionError:
        raise SpecError(Problem(Mark(source, 1, 1), "", f"nested deeper than {MAX_DEPTH} levels")) from None
    return None if node is None else _Construction(source).value(node, Place(), None)


class _Alias(Node):
    """``*name``: where it stands, and the node it stands for."""

    def __init__(self, target: Node, start_mark: Any) -> None:
        super().__init__("alias", target, start_mark, start_mark)


class _Composer(Reader, Scanner, Parser, Composer, yaml.resolver.BaseResolver):  # type: ignore[misc]
    """Composes nodes, and keeps where each alias stood."""

    def __init__(self, text: str) -> None:
        Reader.__init__(self, text)
        Scanner.__init__(self)
        Parser.__init__(self)
        Composer.__init__(self)
        yaml.resolver.BaseResolver.__init__(self)
        self._depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        alias = self.peek_event() if self.check_event(AliasEvent) else None
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise yaml.MarkedYAMLError(
                problem=f"nested deeper than {MAX_DEPTH} levels", problem_mark=self.peek_event().start_mark
            )
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node if alias is None else _Alias(node, alias.start_mark)


class _Construction:
    """Nodes -> values, once for each text."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.count = 0

    def mark(self, node: Node, alias: Mark | None) -> Mark:
        own = Mark(self.source, node.start_mark.line + 1, node.start_mark.column + 1)
        # What is reached through an alias stands there for the reader; the anchor's own line is named beside it.
        return own if alias is None else Mark(self.source, alias.line, alias.column, anchor=own)

    def value(self, node: Node, place: Place, alias: Mark | None, depth: int = 0) -> Any:
        if isinstance(node, _Alias):
            at = alias or Mark(self.source, node.start_mark.line + 1, node.start_mark.column + 1)
            return self.value(node.value, place, at, depth)
        self.count += 1
        place = Place(self.mark(node, alias), place.path)
        if self.count > MAX_NODES:
            raise self.refuse(place, f"its aliases unfold to more than {MAX_NODES:,} values")
        if depth > MAX_DEPTH:
            raise self.refuse(place, f"nested deeper than {MAX_DEPTH} levels")
        if not node.tag.startswith("tag:yaml.org,2002:") and node.tag != "?":
            raise self.refuse(place, f"tags are not accepted: {node.tag}")
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
                raise self.refuse(Place(key_mark, place.path), "a key is a plain word")
            key = key_node.value
            at = place.under(key, key_mark)
            if key == "<<":
                raise self.refuse(at, "merge keys are not accepted; use 'extends', or an alias for the whole value")
            if key in entries:
                first = entries.key_marks[key].line
                raise self.refuse(at, f"the key '{key}' stands twice; first in line {first}")
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
    """What an unquoted word means."""
    if text in ("", "~", "null"):
        return None
    if text in ("true", "false"):
        return text == "true"
    if _INTEGER.match(text):
        return int(text.replace("_", ""), 0)
    if any(c.isdigit() for c in text) and _NUMBER.match(text):
        return float(text.replace("_", ""))
    if _NOT_FINITE.match(text):
        return float(text.replace(".", "", 1).lower())
    return Text(text).at(place)
