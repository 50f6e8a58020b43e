"""What a docstring says, in parts: its first sentence, and what it says of a parameter."""

from __future__ import annotations

import inspect
import re

_FORMULA = re.compile(r"^\.\. math::.*(\n( .*)?)*", re.M)
_SENTENCE = re.compile(r"(?<=[^\s.][.:])\s")  # not after the dots of ``0 .. levels``
_CLAUSE = re.compile(r"(?<=[^\s.][.:;])\s")


def summary(cls: type) -> str:
    """The first line of a class's docstring."""
    return first_sentence((inspect.getdoc(cls) or "").split("\n\n")[0])


def first_sentence(text: str) -> str:
    flat = " ".join(text.split())
    return _SENTENCE.split(flat, maxsplit=1)[0].rstrip(".:") if flat else ""


def about(cls: type, parameter: str) -> str:
    """What of the sentences of a class's docstring names a parameter, without formulas.

    >>> class Scale:
    ...     '''Scale by :math:`s`.
    ...
    ...     It is at most ``bound``. Nothing else bounds it.
    ...     '''
    >>> about(Scale, "bound")
    'It is at most `bound`.'
    """
    text = " ".join(_FORMULA.sub("\n", inspect.getdoc(cls) or "").split())
    found = [clause for clause in _CLAUSE.split(text) if f"``{parameter}``" in clause]
    return re.sub(r":\w+:`([^`]*)`", r"\1", " ".join(found)).replace("``", "`")
