"""What stays out of compiled graphs."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import torch


@cache
def uncompiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, as ``torch.compile`` leaves it alone; for a part to ask when it is built.

    A decorator would import torch's compiler with the module, which takes as long as torch itself.
    """
    kept_out: Callable[..., Any] = torch.compiler.disable(function)  # type: ignore[no-untyped-call]
    return kept_out
