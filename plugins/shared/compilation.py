"""Functions that are excluded from compiled graphs."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import torch


@cache
def uncompiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function that ``torch.compile`` does not trace; call this when a part is built.

    A decorator would import torch's compiler with the module, which takes as long as torch itself.
    """
    excluded: Callable[..., Any] = torch.compiler.disable(function)  # type: ignore[no-untyped-call]
    return excluded
