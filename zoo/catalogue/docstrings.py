"""Docstrings in parts: the summary, the text and the ``Args:`` list with its entry for each parameter."""

from __future__ import annotations

import inspect
import re
from textwrap import dedent

HEAD = "Args:"
_SENTENCE = re.compile(r"(?<=[^\s.]\.)\s")  # not after the dots of ``0 .. levels``


def summary(cls: type) -> str:
    """The first line of a class's docstring."""
    return first_sentence((inspect.getdoc(cls) or "").split("\n\n")[0])


def first_sentence(text: str) -> str:
    """The first sentence of a text, without its full stop."""
    flat = " ".join(text.split())
    return _SENTENCE.split(flat, maxsplit=1)[0].rstrip(".:") if flat else ""


def about(cls: type, parameter: str) -> str:
    """The description of a parameter: of the nearest class in the method resolution order that lists it, or ''.

    >>> class Scale:
    ...     '''Scale by :math:`s`.
    ...
    ...     Args:
    ...         bound: Upper bound of :math:`s`; ``null`` for
    ...             no bound.
    ...     '''
    >>> class Shrink(Scale):
    ...     '''Scale by no more than one.'''
    >>> about(Scale, "bound")
    'Upper bound of s; `null` for no bound.'
    >>> about(Shrink, "bound") == about(Scale, "bound")
    True
    """
    return plain(description(cls, parameter))


def description(cls: type, parameter: str) -> str:
    """The description of a parameter as its docstring writes it."""
    for base in cls.__mro__:
        found = dict(arguments(_own(base)))
        if parameter in found:
            return found[parameter]
    return ""


def plain(text: str) -> str:
    """A sentence of a docstring without markup, for a terminal or an editor.

    >>> plain(r"Scale by :math:`s` = ``scale``")
    'Scale by s = `scale`'
    """
    return re.sub(r":\w+:`([^`]*)`", r"\1", text).replace("``", "`")


def text(cls: type) -> str:
    """The docstring of a class without its ``Args:`` list."""
    before, _, after = _split(inspect.getdoc(cls) or "")
    return "\n\n".join(part for part in (before, after) if part)


def arguments(doc: str) -> list[tuple[str, str]]:
    """The names and descriptions in the ``Args:`` list of a docstring, in order.

    A name starts a line of the list; what is indented further goes on with its description. A type in parentheses after
    the name is skipped, as the signature has it.

    >>> arguments("Scale.\\n\\nArgs:\\n    bound (float): Upper bound.\\n    axis: The axis\\n        to scale.\\n")
    [('bound', 'Upper bound.'), ('axis', 'The axis to scale.')]
    """
    found: list[tuple[str, str]] = []
    for line in dedent(_split(doc)[1]).splitlines():
        if line and not line[0].isspace():
            name, _, description = line.partition(":")
            found.append((name.split(" (")[0].lstrip("*"), description.strip()))
        elif line and found:
            name, description = found[-1]
            found[-1] = (name, f"{description} {line.strip()}".strip())
    return found


def _own(cls: type) -> str:
    return inspect.cleandoc(vars(cls).get("__doc__") or "")


def _split(doc: str) -> tuple[str, str, str]:
    """The parts of a docstring: before the ``Args:`` list, the lines of the list, and after it."""
    lines = doc.splitlines()
    if HEAD not in lines:
        return doc.strip("\n"), "", ""
    start = lines.index(HEAD)
    after = [i for i in range(start + 1, len(lines)) if lines[i] and not lines[i][0].isspace()]
    end = after[0] if after else len(lines)
    return tuple("\n".join(part).strip("\n") for part in (lines[:start], lines[start + 1 : end], lines[end:]))  # type: ignore[return-value]
