"""Strict YAML: what is read, what is refused, and at what cost."""

from __future__ import annotations

import sys
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from zoo.document.nodes import Entries
from zoo.document.yaml import MAX_BYTES, read_yaml, write_yaml
from zoo.errors import SpecError, UsageError
from zoo.spec.load import read_merged

SCALARS: list[tuple[str, Any]] = [
    ("1e-3", 1e-3),
    ("1.0e-3", 1e-3),
    ("1E5", 1e5),
    (".5", 0.5),
    ("5.", 5.0),
    ("-1.5", -1.5),
    ("12", 12),
    ("-3", -3),
    ("1_000", 1000),
    ("0x1F", 31),
    (".inf", float("inf")),
    ("-.inf", float("-inf")),
    ("true", True),
    ("false", False),
    ("null", None),
    ("~", None),
    ("", None),
    ("yes", "yes"),
    ("no", "no"),
    ("on", "on"),
    ("off", "off"),
    ("True", "True"),
    ("Null", "Null"),
    ("'1'", "1"),
    ('"true"', "true"),
    ("2020-01-01", "2020-01-01"),
    ("12:30:00", "12:30:00"),
    ("010", "010"),
    ("0x", "0x"),
    ("1_", "1_"),
    (".", "."),
    (".e3", ".e3"),
    ("._1", "._1"),
    ("e5", "e5"),
    ("-", [None]),
    ("9" * 5000, "9" * 5000),
]


@pytest.mark.parametrize(("text", "value"), SCALARS, ids=lambda v: str(v)[:12])
def test_scalar(text: str, value: Any) -> None:
    read = read_yaml(f"a: {text}\n" if text != "-" else "a:\n  -\n", "x.yaml")["a"]
    assert read == value
    assert isinstance(read, bool) == isinstance(value, bool)
    assert isinstance(read, float) == isinstance(value, float)


REFUSED: list[tuple[str, str, int, int, str]] = [
    ("duplicate key", "a: 1\nb: 2\na: 3\n", 3, 1, "duplicate key 'a'; first in line 1"),
    ("duplicate by alias", "a: &x 1\n'a': *x\n", 2, 1, "duplicate key 'a'; first in line 1"),
    ("tag of python", "a: !!python/object/apply:os.system [ls]\n", 1, 4, "tags are not supported: !!python/object"),
    ("standard tag", "a: !!str 3\n", 1, 4, "tags are not supported: !!str"),
    ("own tag", "a: !foo 3\n", 1, 4, "tags are not supported: !foo"),
    ("tag on a key", "!foo a: 3\n", 1, 1, "tags are not supported: !foo"),
    ("redefined tag", "%TAG ! tag:yaml.org,2002:\n---\na: !int 3\n", 3, 4, "tags are not supported: !!int"),
    ("bare tag", "a: ! 3\n", 1, 4, "tags are not supported: !"),
    ("merge key", "a: &x {b: 1}\nc:\n  <<: *x\n", 3, 3, "merge keys are not supported"),
    ("list as key", "? [a, b]\n: c\n", 1, 3, "a key must be a plain word"),
    ("mapping as key", "{a: b}: c\n", 1, 1, "a key must be a plain word"),
    ("alias as key", "a: &x b\n*x : c\n", 2, 1, "a key must be a plain word"),
    ("alias of itself", "&a [*a]\n", 1, 5, "the alias '*a' refers to a value that contains it"),
    ("deeper alias of itself", "a: &a {b: {c: *a}}\n", 1, 15, "the alias '*a' refers to a value that contains it"),
    ("unknown alias", "a: *b\n", 1, 4, "found undefined alias 'b'"),
    ("two anchors of one name", "a: &x 1\nb: &x 2\n", 2, 4, "found duplicate anchor 'x'"),
    ("deep lists", f"a: {'[' * 1000}{']' * 1000}\n", 1, 67, "nested deeper than 64 levels"),
    ("deep block lists", f"{'- ' * 100}\n", 1, 129, "nested deeper than 64 levels"),
    ("tab", "a:\n\t- b\n", 2, 1, "found character '\\t' that cannot start any token"),
    ("control character", "a: b\nc: \x07\n", 2, 4, "the character '\\x07' is not allowed"),
    ("null byte", "a: b\0\n", 1, 5, "the character '\\x00' is not allowed"),
    ("two documents", "a: 1\n---\nb: 2\n", 2, 1, "expected a single document in the stream"),
    ("open quote", "a: 'b\n", 2, 1, "found unexpected end of stream"),
    ("colon in a value", "a: b: c\n", 1, 5, "mapping values are not allowed here"),
    ("reserved character", "a: @b\n", 1, 4, "found character '@'"),
]


@pytest.mark.parametrize(
    ("text", "line", "column", "message"), [case[1:] for case in REFUSED], ids=[c[0] for c in REFUSED]
)
def test_refused(text: str, line: int, column: int, message: str) -> None:
    with pytest.raises(SpecError) as raised:
        read_yaml(text, "x.yaml")
    (problem,) = raised.value.problems
    assert problem.mark is not None
    assert message in problem.message
    assert (problem.mark.line, problem.mark.column) == (line, column)
    assert raised.value.exit_code == 2


def _bomb(item: str, levels: int, of: str) -> str:
    inner = of.join(item.format("*a{level}") for _ in range(10))
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{level}: &a{level} [{inner.format(level=level - 1)}]" for level in range(1, levels)]
    return "\n".join(lines) + "\n"


BOMBS = {
    "lists": _bomb("{}", 20, ", "),
    "mappings": _bomb("{{{{k: {}}}}}", 20, ", "),
    "chain": "\n".join(["a0: &a0 [x]", *(f"a{i}: &a{i} [*a{i - 1}]" for i in range(1, 3000))]) + "\n",
    "many": f"a: &a [{'x, ' * 400}x]\nb: [{'*a, ' * 400}*a]\n",
}


@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS)
def test_bomb_is_refused_quickly_and_cheaply(bomb: str) -> None:
    calls = 0

    def count(frame: object, event: str, argument: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    tracemalloc.start()
    sys.setprofile(count)
    try:
        with pytest.raises(SpecError, match=r"expands to more than|nested deeper than") as raised:
            read_yaml(bomb, "x.yaml")
    finally:
        sys.setprofile(None)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert calls < 100 * len(bomb)  # what a harmless text of this length costs; seconds would judge the machine
    assert peak < 8e6
    assert raised.value.problems[0].mark is not None
    assert len(str(raised.value)) < 1000


PIECES = [
    "[", "{", "]", "}", ",", "? ", "- ", ": ", "a: ", "a", "&a ", "*a", "'", '"', "#", "\n", "\n  ", " ", "|\n ", "!",
    "%", "\\",
]  # fmt: skip
TEXTS_OF_2_KB = st.builds(
    lambda start, unit, end: "".join((*start, *unit * (2000 // len("".join(unit))), *end)),
    st.lists(st.sampled_from(PIECES), max_size=4),
    st.lists(st.sampled_from(PIECES), min_size=1, max_size=4),
    st.lists(st.sampled_from(PIECES), max_size=4),
)
UNFOLDING = "a: &a [" + "x," * 300 + "]\nb: [" + "*a," * 300 + "]\nb: 1\n"


def calls_of(text: str) -> int:
    """How many it takes to read a text, or to refuse it."""
    calls = 0

    def count(frame: object, event: str, argument: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        read_yaml(text, "x.yaml")
    except SpecError:
        pass
    finally:
        sys.setprofile(None)
    return calls


@settings(deadline=None)
@given(TEXTS_OF_2_KB)
@example(UNFOLDING)
def test_every_character_takes_some_work_at_most(text: str) -> None:
    assert calls_of(text) < 200 * len(text)


@pytest.mark.parametrize("bracket", "[{")
def test_no_bracket_is_looked_for_in_all_that_follows(bracket: str) -> None:
    assert calls_of(bracket * 2000) < 10 * 2000


def test_aliases_within_bounds_are_values() -> None:
    node = read_yaml("a: &x {b: [1, 2]}\nc: [*x, *x]\n", "x.yaml")
    assert node == {"a": {"b": [1, 2]}, "c": [{"b": [1, 2]}, {"b": [1, 2]}]}
    mark = node["c"].places[1].mark
    assert (mark.line, mark.anchor.line) == (2, 1)


def test_too_large() -> None:
    with pytest.raises(SpecError, match="1,000,001 characters"):
        read_yaml("a" * (MAX_BYTES + 1), "x.yaml")


def test_long_line_is_cut_in_the_message() -> None:
    with pytest.raises(SpecError) as raised:
        read_yaml(f"a: {'x' * 5000} 'b': c: d\n", "x.yaml")
    head, excerpt, caret = str(raised.value).splitlines()
    assert len(excerpt) < 300
    assert excerpt[caret.index("^")] == ":"
    assert head.startswith("x.yaml:1:5008  invalid YAML")


def test_caret_stands_under_the_place_beside_tabs_and_escapes() -> None:
    with pytest.raises(SpecError) as raised:
        read_yaml('{a: "p\tq", b: 1, b: 2}\n', "x.yaml")
    _, excerpt, caret = str(raised.value).splitlines()
    assert excerpt[caret.index("^") :].strip() == "b: 2}"
    assert excerpt.isprintable()


@pytest.mark.parametrize(
    "text", ["a: 1\r\nb: [x]\r\n", "\ufeffa: 1\nb: [x]\n", "---\na: 1\nb: [x]\n...\n", "a: 1\nb: [x]"]
)
def test_line_ends_and_marks_of_order(text: str) -> None:
    assert read_yaml(text, "x.yaml") == {"a": 1, "b": ["x"]}


@pytest.mark.parametrize("key", ["1", "true", "null", "~", "1e-3"])
def test_keys_are_texts(key: str) -> None:
    assert read_yaml(f"{key}: a\n", "x.yaml") == {key: "a"}


def test_places_are_kept() -> None:
    node = read_yaml("a:\n  - b: 1\n    c: word\n", "x.yaml")
    item = node["a"][0]
    assert isinstance(item, Entries)
    assert str(item.key_marks["c"]) == "x.yaml:3:5"
    assert str(item.value_marks["b"]) == "x.yaml:2:8"
    assert (item["c"].place.path, str(item["c"].place.mark)) == ("a[0].c", "x.yaml:3:8")


@pytest.mark.parametrize("content", [b"", b"# only a comment\n", b"null\n", b"- a\n- b\n", b"word\n", b"3\n"])
def test_a_spec_is_a_mapping(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.yaml").write_bytes(content)
    with pytest.raises(SpecError, match="is not a mapping"):
        read_merged(tmp_path / "x.yaml")


@pytest.mark.parametrize("content", [b"\xff\xfea\0:\0", b"\x89PNG\r\n\x1a\n\0\0", b"a: \xe4\n"])
def test_binary_file(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.yaml").write_bytes(content)
    with pytest.raises(UsageError, match="is not a text file"):
        read_merged(tmp_path / "x.yaml")


TEXTS = [
    "1e3",
    "1e-3",
    "true",
    "null",
    "~",
    "",
    "yes",
    "010",
    "0x1F",
    "1_000",
    ".inf",
    "a: b",
    "- a",
    "é",
    "a\nb",
    "12:30",
]


@pytest.mark.parametrize("text", TEXTS)
def test_what_is_written_is_read_back(text: str) -> None:
    value = {"a": [text, {"b": text}], "c": 1e-7, "d": None, "e": True}
    assert read_yaml(write_yaml(value), "x.yaml") == value
