"""Hooks on the declared parts of a model: checks of their inputs and outputs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from typing import Any

import torch
from torch import Tensor, nn

from ..interfaces.component import Contract
from ..registry.part import Part

Wrap = Callable[[Any, Callable[..., Any], Contract], Callable[..., Any]]
"""From a part, one of its methods and that method's contract to what is called in the method's place."""

SHOWN = 5
"""How many rows of a batch are named."""


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


@dataclass(frozen=True)
class Fault:
    """The first part of a model with NaN or infinity."""

    part: Part[Any] | None
    """The declaration of the part that gave it, where it was given neither; None where the batch itself had it."""

    rows: tuple[int, ...] = ()
    """The rows of the batch that have it, where that is known."""

    beyond: tuple[float, float] | None = None
    """The interval that the part's input has to lie in, where these rows do not."""

    def __str__(self) -> str:
        of = self.part
        what = "the data" if of is None else "  ".join(str(word) for word in (of.place.mark, of) if word)
        more = f" and {len(self.rows) - SHOWN} more" if len(self.rows) > SHOWN else ""
        numbers = ", ".join(map(str, self.rows[:SHOWN])) + more
        rows = f", at row{'s' if len(self.rows) > 1 else ''} {numbers} of the batch" if self.rows else ""
        limits = "; its input there is outside [{:g}, {:g}]".format(*self.beyond) if self.beyond else ""
        return what + rows + limits

    @property
    def advice(self) -> str | None:
        """Advice for a known cause."""
        if self.part is None:
            return "Check these rows of the data: a lower learning rate will not help."
        advice = "Check the data, and the parts before that one: a lower learning rate will not help."
        return advice if self.beyond else None


def first_not_finite(model: nn.Module, batch: Any, run: Callable[[], Any]) -> Fault | None:
    """The first part with NaN or infinity while a model ``run``s on a batch, or the batch itself."""
    if not finite(batch):
        return Fault(None, _rows(batch, _length(batch)))
    found: list[Fault] = []

    def wrap(part: Any, method: Callable[..., Any], contract: Contract) -> Callable[..., Any]:
        @wraps(method)
        def call(*args: Any, **kwargs: Any) -> Any:
            result = method(*args, **kwargs)
            if not found and finite((args, kwargs)) and not finite(result):
                found.append(_fault(part, method.__name__, args, result, _length(batch)))
            return result

        return call

    with watched(model, wrap), torch.no_grad():
        run()
    return found[0] if found else None


def _fault(part: Any, method: str, args: tuple[Any, ...], result: Any, n: int) -> Fault:
    rows = _rows(result, n)
    limits = {"forward": getattr(part, "domain", None), "log_prob": getattr(part, "support", None)}.get(method)
    if limits is None or not rows:
        return Fault(part.declaration, rows)
    x = args[0][list(rows)].flatten(1)
    beyond = ((x < limits[0]) | (x > limits[1])).any(1).all()
    return Fault(part.declaration, rows, limits if beyond else None)


def _rows(value: Any, n: int) -> tuple[int, ...]:
    """The rows, of n, in which some tensor with as many has a number that is not finite."""
    bad = torch.zeros(n, dtype=torch.bool)
    for tensor in _tensors(value):
        if tensor.dim() > 0 and len(tensor) == n and tensor.is_floating_point():
            bad |= ~tensor.detach().isfinite().reshape(n, -1).all(1).cpu()
    return tuple(bad.nonzero().flatten().tolist())


def _length(batch: Any) -> int:
    return max((len(tensor) for tensor in _tensors(batch) if tensor.dim() > 0), default=0)


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping | tuple | list):
        for item in value.values() if isinstance(value, Mapping) else value:
            yield from _tensors(item)


def finite(value: Any) -> bool:
    """Whether no tensor in this value has a number that is not finite."""
    return all(not tensor.is_floating_point() or bool(tensor.isfinite().all()) for tensor in _tensors(value))
