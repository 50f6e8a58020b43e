"""Docstrings in reStructuredText as Markdown, as far as they use it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from textwrap import dedent

from .docstrings import HEAD, arguments

_INLINE = re.compile(
    r":math:`(?P<math>[^`]+)`"
    r"|``(?P<code>.+?)``"
    r"|:\w+:`~?(?P<object>[^`]+)`"
    r"|`(?P<text>[^`<]+) <(?P<address>[^`>]+)>`_{1,2}"
    r"|`(?P<name>[^`]+)`"
    r"|(?P<arxiv>arXiv:\d{4}\.\d{4,5})",
    re.DOTALL,
)
_HEADED = re.compile(r"(References|Shapes|Units|Raises|Errors|Returns|Departures|Note): ")
_MARKUP = re.compile(r"([\\*_\[\]$#`])")
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


def markdown(doc: str, links: Mapping[str, str] | None = None) -> str:
    r"""A docstring as Markdown, its formulas between dollars; names in single backticks lead where ``links`` says.

    >>> print(markdown(":math:`x^2`, see `affine`.\n\n.. math:: y = x", {"affine": "affine.md"}))
    $x^2$, see [`affine`](affine.md).
    <BLANKLINE>
    $$
    y = x
    $$
    """
    return "\n\n".join(_written(kind, text, links or {}) for kind, text in _joined(_blocks(doc)))


def line(text: str, links: Mapping[str, str] | None = None) -> str:
    """One line or paragraph of a docstring as Markdown."""
    found, last = [], 0
    for match in _INLINE.finditer(text):
        found += [_plain(text[last : match.start()]), _marked(match, links or {})]
        last = match.end()
    return "".join([*found, _plain(text[last:])])


def cell(text: str, links: Mapping[str, str] | None = None) -> str:
    r"""One line of a docstring in a table, where a bar would end the cell.

    >>> print(cell("One | two, :math:`|x|`."))
    One \| two, $\vert x\vert $.
    """
    parts = re.split(r"((?<!\\)\$[^$]+\$)", line(text, links))
    return "".join(part.replace("|", r"\vert " if i % 2 else r"\|") for i, part in enumerate(parts))


def fenced(text: str, language: str) -> str:
    """A block of code with a fence longer than any run of backticks in it."""
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    text = "".join(c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in text)
    return f"{fence}{language}\n{text.rstrip()}\n{fence}"


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of Markdown."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _blocks(doc: str) -> Iterator[tuple[str, str]]:
    """The blocks between blank lines: formulas, examples, code, arguments and paragraphs."""
    pending = ""
    for text in re.split(r"\n[ \t]*\n", dedent(doc).strip("\n")):
        if text.startswith(".. math::"):
            body = text.removeprefix(".. math::")
            if body.strip():
                yield "math", body
            else:
                pending = "math"
        elif text.startswith(f"{HEAD}\n"):
            yield "arguments", text
        elif text.startswith(" "):
            yield pending or "code", text
            pending = ""
        elif text.startswith(">>>"):
            yield "example", text
        elif text.startswith(("- ", "* ")):
            yield "list", text
        elif text.rstrip().endswith("::"):
            yield "text", re.sub(r"\s::$", "", text.rstrip()).removesuffix(":")
        else:
            yield "text", text


def _joined(blocks: Iterator[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Code and examples with blank lines within them are one block each."""
    for kind, group in groupby(blocks, key=lambda block: block[0]):
        texts = [text for _, text in group]
        if kind in ("code", "example"):
            yield kind, "\n\n".join(texts)
        else:
            yield from ((kind, text) for text in texts)


def _written(kind: str, text: str, links: Mapping[str, str]) -> str:
    match kind:
        case "math":
            return f"$$\n{_flat(text)}\n$$"
        case "arguments":
            rows = [f"- `{name}`: {line(described, links)}" for name, described in arguments(text)]
            return "\n".join(["**Arguments.**", "", *rows])
        case "example":
            return fenced(text, "pycon")
        case "code":
            return fenced(dedent(text), "python")
        case "list":
            return "\n".join(f"- {line(_flat(item), links)}" for item in re.split(r"(?m)^[-*] ", text)[1:])
    headed = _HEADED.match(text)
    head = f"**{headed[1]}.** " if headed else ""
    return head + line(_flat(text[headed.end() if headed else 0 :]), links)


def _marked(match: re.Match[str], links: Mapping[str, str]) -> str:
    kind, text = str(match.lastgroup), str(match[str(match.lastgroup)])
    match kind:
        case "math":
            return f"${_flat(text)}$"
        case "address":
            return f"[{_plain(_flat(match['text']))}]({text})"
        case "arxiv":
            return f"[{text}](https://arxiv.org/abs/{text.removeprefix('arXiv:')})"
    code = f"`{_flat(text)}`"
    return f"[{code}]({links[text]})" if kind == "name" and text in links else code


def _plain(text: str) -> str:
    """Words that stay words: nothing in them is taken for markup."""
    return _MARKUP.sub(r"\\\1", "".join(_ENTITIES.get(c, c) for c in text))


def _flat(text: str) -> str:
    return " ".join(text.split())
