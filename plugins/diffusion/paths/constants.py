"""Numbers of a path that a solver needs again at each draw."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Concatenate, ParamSpec, TypeVar, cast

P = ParamSpec("P")
S = TypeVar("S")
R = TypeVar("R")
MOST = 4096
"""How many results of a method are remembered: more than a solver of fixed steps has times."""


def constant(method: Callable[Concatenate[S, P], R]) -> Callable[Concatenate[S, P], R]:
    """A method of numbers, computed once for each object and numbers.

    A solver has the same times in every draw. And a program that is traced, for export, gets numbers that were computed
    before as constants: tensors that become numbers cannot be traced.

    >>> class Doubled:
    ...     @constant
    ...     def of(self, t: float) -> float:
    ...         print("computed")
    ...         return 2.0 * t
    >>> doubled = Doubled()
    >>> doubled.of(3.0) + doubled.of(3.0)
    computed
    12.0
    """
    return cast(Callable[Concatenate[S, P], R], lru_cache(MOST)(method))
