"""The declared parts of a model, watched while it runs: what each is given and gives."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

import torch
from torch import Tensor, nn

from .interfaces.component import Contract
from .part import Part

Wrap = Callable[[Any, Callable[..., Any], Contract], Callable[..., Any]]
"""From a part, one of its methods and that method's contract to what is called in the method's place."""


@contextmanager
def watched(model: nn.Module, wrap: Wrap) -> Iterator[None]:
    """Within this block the methods that parts have contracts for are called as ``wrap`` says."""
    parts = [module for module in model.modules() if getattr(module, "declaration", None) is not None]
    for part in parts:
        for method, contract in part.contracts.items():  # type: ignore[union-attr,operator]
            part.__dict__[method] = wrap(part, getattr(part, method), contract)
    try:
        yield
    finally:
        for part in parts:
            for method in part.contracts:  # type: ignore[union-attr]
                part.__dict__.pop(method, None)


def first_not_finite(model: nn.Module, run: Callable[[], Any]) -> Part[Any] | None:
    """The declaration of the part that is first to give NaN or infinity where it was given neither, while ``run``s."""
    found: list[Part[Any]] = []

    def wrap(part: Any, method: Callable[..., Any], contract: Contract) -> Callable[..., Any]:
        @wraps(method)
        def call(*args: Any, **kwargs: Any) -> Any:
            result = method(*args, **kwargs)
            if not found and finite((args, kwargs)) and not finite(result):
                found.append(part.declaration)
            return result

        return call

    with watched(model, wrap), torch.no_grad():
        run()
    return found[0] if found else None


def finite(value: Any) -> bool:
    """Whether no tensor in this value has a number that is not finite."""
    if isinstance(value, Tensor):
        return not value.is_floating_point() or bool(value.isfinite().all())
    if isinstance(value, dict):
        return all(map(finite, value.values()))
    return all(map(finite, value)) if isinstance(value, tuple | list) else True
