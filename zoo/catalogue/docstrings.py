"""What a docstring says, in parts: its first sentence, and what it says of a parameter."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable
from functools import lru_cache

_FORMULA = re.compile(r"^\.\. math::.*(\n( .*)?)*", re.M)
_SENTENCE = re.compile(r"(?<=[^\s.][.:])\s")  # not after the dots of ``0 .. levels``
_CLAUSE = re.compile(r"(?:``.*?``|.)+?(?:(?<=[^\s.][.:;])(?=\s)|$)")  # nor within a literal


def summary(cls: type) -> str:
    """The first line of a class's docstring."""
    return first_sentence((inspect.getdoc(cls) or "").split("\n\n")[0])


def first_sentence(text: str) -> str:
    flat = " ".join(text.split())
    return _SENTENCE.split(flat, maxsplit=1)[0].rstrip(".:") if flat else ""


def about(cls: type, parameter: str) -> str:
    """What of the sentences of a class's docstring names a parameter, without formulas.

    Where none does, those of the base that takes the parameter as well.

    >>> class Scale:
    ...     '''Scale by :math:`s`.
    ...
    ...     It is at most ``bound``. Nothing else bounds it; ``bound: 1`` keeps it.
    ...     '''
    ...
    ...     def __init__(self, bound): ...
    >>> class Shrink(Scale):
    ...     '''Scale by no more than one.'''
    >>> about(Scale, "bound")
    'It is at most `bound`. `bound: 1` keeps it.'
    >>> about(Shrink, "bound") == about(Scale, "bound")
    True
    """
    return plain(" ".join(re.sub(r"[:;]$", ".", clause) for clause in _told(cls, parameter)))


def plain(text: str) -> str:
    """A sentence of a docstring for who does not render it.

    >>> plain(r"Scale by :math:`s` = ``scale``")
    'Scale by s = `scale`'
    """
    return re.sub(r":\w+:`([^`]*)`", r"\1", text).replace("``", "`")


def whole_docstring(cls: type, parameters: Iterable[str]) -> str:
    r"""The docstring of a class and, after it, what only bases say of its parameters.

    >>> class Scale:
    ...     '''It is at most ``bound``.'''
    ...
    ...     def __init__(self, bound): ...
    >>> class Shrink(Scale):
    ...     '''Scale by no more than one.'''
    >>> whole_docstring(Shrink, ["bound"])
    'Scale by no more than one.\n\nIt is at most ``bound``.'
    """
    own = inspect.getdoc(cls) or ""
    inherited = dict.fromkeys(
        clause for parameter in parameters for clause in _told(cls, parameter) if not _naming(cls, parameter)
    )
    return "\n\n".join([own, *([" ".join(inherited)] if inherited else [])])


def _told(cls: type, parameter: str) -> list[str]:
    """The clauses about a parameter, of the class itself or else of the nearest base that takes it and has some."""
    for base in cls.__mro__:
        found = _naming(base, parameter)
        if found and (base is cls or parameter in inspect.signature(base.__init__).parameters):  # type: ignore[misc]
            return found
    return []


def _naming(cls: type, parameter: str) -> list[str]:
    """The clauses of a docstring with the parameter's name, or with the name and a value as in a spec."""
    return [clause for clause in _clauses(cls) if f"``{parameter}``" in clause or f"``{parameter}: " in clause]


@lru_cache(maxsize=64)
def _clauses(cls: type) -> tuple[str, ...]:
    """A docstring's clauses, without formulas; of a class and its bases they are asked for again and again."""
    text = " ".join(_FORMULA.sub("\n", inspect.getdoc(cls) or "").split())
    return tuple(clause.strip() for clause in _CLAUSE.findall(text))
