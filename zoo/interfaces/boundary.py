"""Boundary of a model: conversion and checks of a caller's tensors.

The methods of the capabilities are wrapped as a class is made, so that a plugin overrides them as they are. Only the
outermost call is checked: not what ``forward`` or another such method calls, nor what is compiled, exported or traced,
nor what runs within `trusted`, where the caller has compared the model's event with that of the data.
"""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial, wraps
from math import inf
from numbers import Integral, Real
from typing import Any, NamedTuple, TypeVar
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor

from ..errors import UsageError, listed
from ..event import Event
from .model import Condition, Model

Method = Callable[..., Any]
M = TypeVar("M", bound=Method)

DRAWS = ("sample", "sample_mean", "sample_entries")
"""Methods that draw a number of examples."""

_here = threading.local()
_latents: WeakKeyDictionary[Any, dict[str, tuple[int, ...]]] = WeakKeyDictionary()


class Known(NamedTuple):
    """Partly known data: values ``x`` ``[n, *shape]``, and booleans ``mask`` of the same shape that say which are
    known.
    """

    x: Tensor
    mask: Tensor


@contextmanager
def trusted() -> Iterator[None]:
    """Context manager in which models do not check their arguments."""
    before = _trusts()
    _here.trusts = True
    try:
        yield
    finally:
        _here.trusts = before


def objective(method: M) -> M:
    """Mark a method whose arguments are checked, and whose result is used in losses."""
    method.boundary = _Boundary(tuple(inspect.signature(method).parameters)[1:], trains=True)  # type: ignore[attr-defined]
    return method


def readout(method: M) -> M:
    """Mark a method whose arguments are checked; its result has a graph only of arguments that want a gradient."""
    method.boundary = _Boundary(tuple(inspect.signature(method).parameters)[1:], trains=False)  # type: ignore[attr-defined]
    return method


@dataclass(frozen=True)
class _Boundary:
    """Information on a method: its parameter names, and whether its result is used in losses."""

    parameters: Sequence[str]
    trains: bool


class Capability:
    """Root of the capabilities of models."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if not issubclass(cls, Model):
            return
        capabilities = [base for base in cls.__mro__ if issubclass(base, Capability) and not issubclass(base, Model)]
        for name, method in (entry for base in capabilities for entry in vars(base).items()):
            if isinstance(boundary := getattr(method, "boundary", None), _Boundary):
                _replace(cls, name, partial(_checking, boundary=boundary))
        trusting(cls, "forward")


def trusting(cls: type, name: str) -> None:
    """Wrap a method of a class, unless it is abstract, so that calls within it are not checked."""
    _replace(cls, name, _trusting)


def _replace(cls: type, name: str, wrap: Callable[[Method], Method]) -> None:
    method = getattr(cls, name)
    if not (getattr(method, "__isabstractmethod__", False) or getattr(method, "is_checked", False)):
        wrapped: Any = wrap(method)
        wrapped.is_checked = True
        setattr(cls, name, wrapped)


def _trusts() -> bool:
    return getattr(_here, "trusts", False)


def _unchecked() -> bool:
    return torch.compiler.is_compiling() or _trusts() or torch.jit.is_tracing()  # type: ignore[attr-defined,no-untyped-call]


def _trusting(method: Method) -> Method:
    """Wrapper of a method within which calls are not checked."""

    @wraps(method)
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        if _unchecked():
            return method(self, *args, **kwargs)
        with trusted():
            return method(self, *args, **kwargs)

    return call


def _checking(method: Method, boundary: _Boundary) -> Method:
    parameters = boundary.parameters

    @wraps(method)
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        if _unchecked():
            return method(self, *args, **kwargs)
        checked = _Call(self, method.__name__)
        with trusted():
            given = checked.converted(dict(zip(parameters, args, strict=False)) | kwargs, parameters)
            if checked.of_nothing(given):
                return checked.nothing()
            graph = boundary.trains or any(x.requires_grad for x in _tensors(given))
            with torch.set_grad_enabled(torch.is_grad_enabled() and graph):
                positional = [given[name] for name in parameters[: len(args)]]
                return method(self, *positional, *args[len(parameters) :], **{name: given[name] for name in kwargs})

    return call


@dataclass(frozen=True)
class _Call:
    """One call of a method of a model: its arguments one by one."""

    model: Any
    method: str

    def refused(self, argument: str, got: str, expected: str) -> UsageError:
        return UsageError(f"{self.method}: {argument} {got}; expected {expected}")

    def converted(self, given: dict[str, Any], parameters: Sequence[str]) -> dict[str, Any]:
        """The converted arguments by name. The number of examples determines that of the context."""
        n = None
        readers: dict[str, Callable[[Any], Any]] = {
            "x": self.data,
            "known": self.known,
            "z": self.latent,
            "codes": self.codes,
            "n": self.count,
        }
        for name, read in readers.items():
            if name in given and name in parameters:
                given[name] = read(given[name])
                if n is None:
                    n = given[name] if name == "n" else len(given[name].x if name == "known" else given[name])
        if "temperature" in given:
            given["temperature"] = self.temperature(given["temperature"])
        if "context" in parameters and n is not None:
            context = self.context(given.get("context"), n)
            if "context" in given:
                given["context"] = context
        return given

    def data(self, value: Any, argument: str = "x") -> Tensor:
        """Data as the event describes it."""
        event: Event = self.model.event
        kind = "numbers" if event.levels is None else "levels"
        expected = f"{kind} [B, {', '.join(map(str, event.shape))}]"
        x = self.tensor(argument, value, expected)
        shape, size = tuple(x.shape), tuple(event.shape)
        if shape[1:] != size:
            hint = ""
            if shape == size:
                hint = f": for a single example give {argument}[None]"
            elif size[0] == 1 and shape[1:] == size[1:]:
                hint = f": for images without a channel give {argument}[:, None]"
            raise self.refused(argument, f"has shape {list(shape)}", expected + hint)
        if event.levels is None and self.model.rounds:  # itself, and later: a time in seconds exceeds float32
            return self.in_range(argument, x, event.range).to(x.dtype if x.is_floating_point() else torch.float64)
        return self.values(argument, x, event)

    def known(self, value: Any) -> Known:
        """Partly known data; unknown values are not used, and replaced if invalid."""
        if not (isinstance(value, tuple) and len(value) == 2):
            raise self.refused("known", f"is {_kind(value)}", "zoo.Known(x, mask)")
        x, shape = self.tensor("known.x", value[0], "numbers"), tuple(self.model.event.shape)
        mask = self.tensor("known.mask", value[1], "booleans")
        if mask.dtype != torch.bool:
            mask = self.integers("known.mask", mask, 2, torch.uint8).bool()
        if tuple(mask.shape) == shape and x.dim() == len(shape) + 1:
            mask = mask.expand(len(x), *shape)
        if mask.shape != x.shape:
            got = f"has shape {list(mask.shape)}, and known.x {list(x.shape)}"
            raise self.refused("known.mask", got, f"the same, [n, {', '.join(map(str, shape))}]")
        low = self.model.event.range[0] if self.model.event.range else 0
        try:
            return Known(self.data(x, "known.x"), mask)
        except UsageError:
            return Known(self.data(x.masked_fill(~mask, low), "known.x"), mask)

    def latent(self, value: Any) -> Tensor:
        """A latent or a code: floating point numbers in the form that the model itself gives them."""
        z = self.numbers("z", self.tensor("z", value, "numbers [n, ...]"), None)
        shape = None if self.model.training else self.latent_shape(z.device)
        if (shape is not None and tuple(z.shape[1:]) != shape) or z.dim() == 0:
            raise self.refused(
                "z", f"has shape {list(z.shape)}", f"numbers [n, {', '.join(map(str, shape or ['...']))}]"
            )
        return z

    def latent_shape(self, device: torch.device) -> tuple[int, ...]:
        """The shape of a latent without the batch, determined once in evaluation mode."""
        seen = _latents.setdefault(self.model, {})
        if self.method not in seen:
            batch = self.model.event.example(1, device)
            given = self.model.given(batch)
            with torch.no_grad(), torch.random.fork_rng([device] if device.type == "cuda" else []):
                if self.method == "decode":
                    example = self.model.draw_latent(1, given)
                else:
                    example = self.model.encode(batch[self.model.event.name], given)
            seen[self.method] = tuple(example.shape[1:])
        return seen[self.method]

    def codes(self, value: Any) -> Tensor:
        """Whole codes: as many for each example as there are."""
        event: Event = self.model.code_event()
        expected = f"codes [B, ...], {event.shape.size} of each example"
        codes = self.tensor("codes", value, expected)
        if codes.dim() < 2 or codes[:1].numel() not in (0, event.shape.size):
            raise self.refused("codes", f"has shape {list(codes.shape)}", expected)
        return self.integers("codes", codes, event.levels or 0, torch.int64)

    def count(self, value: Any) -> int:
        least = 1 if self.method == "log_weights" else 0
        if not isinstance(value, Integral) or isinstance(value, bool) or value < least:
            raise self.refused("n", f"is {value!r}", f"a whole number, {least} or more")
        return int(value)

    def temperature(self, value: Any) -> float:
        number = value.item() if isinstance(value, Tensor) and value.dim() == 0 else value
        if not isinstance(number, Real) or isinstance(number, bool) or not 0 < float(number) < inf:
            raise self.refused("temperature", f"is {value!r}", "a number above 0")
        return float(number)

    def context(self, value: Any, n: int) -> Condition | None:
        """The checked condition of ``n`` examples, with all entries that the model takes."""
        names = self.model.conditions
        if value is None:
            # Classes are what `predict` is asked for: the label may be missing there.
            names = tuple(name for name in names if (self.method, name) != ("predict", "label"))
            if not names:
                return None
            raise self.refused("context", "is missing", " and ".join(self.expected(name, n) for name in names))
        if not names:
            raise self.refused("context", "was given", "none: the model is not conditioned")
        if not isinstance(value, Mapping):
            if len(names) > 1:
                raise self.refused("context", f"is {_kind(value)}", f"a mapping with {listed(names)}")
            return {names[0]: self.entry(names[0], "context", value, n)}
        for name in [*value, *names]:
            if (name in value) != (name in names):
                got = f"has the unknown entry '{name}'" if name in value else f"has no entry '{name}'"
                raise self.refused("context", got, f"a mapping with {listed(names)}")
        return {name: self.entry(name, f"context['{name}']", value[name], n) for name in names}

    def expected(self, name: str, n: int) -> str:
        """Description of the value that an entry of a condition must have."""
        entry = self.model.event.entries.get(name)
        if entry is None:
            return f"the {name} of each of the {n}"
        sizes = ", ".join(map(str, entry.shape))
        if name == "label":
            return f"a label from 0 to {entry.levels - 1}, or a tensor [{n}] of them"
        return f"{name} [{', '.join([str(n), *([sizes] if sizes else [])])}], or [{sizes}] for all"

    def entry(self, name: str, argument: str, value: Any, n: int) -> Tensor:
        """One entry of a condition, as the event describes it; one example of it is expanded to ``n``."""
        expected, entry = self.expected(name, n), self.model.event.entries.get(name)
        x = self.tensor(argument, value, expected)
        if entry is None:
            return x
        if tuple(x.shape) == tuple(entry.shape):
            x = x.expand(n, *entry.shape)
        if tuple(x.shape) != (n, *entry.shape):
            raise self.refused(argument, f"has shape {list(x.shape)}", expected)
        return self.values(argument, x, entry)

    def values(self, argument: str, x: Tensor, event: Event) -> Tensor:
        """The values of data or of an entry of a condition: in range, and of the type that a model takes."""
        if event.levels is None or event.dtype is None:
            return self.numbers(argument, x, event.range)
        return self.integers(argument, x, event.levels, event.dtype)

    def tensor(self, argument: str, value: Any, expected: str) -> Tensor:
        """A tensor of real numbers on the model's device."""
        x: Tensor = value
        if not isinstance(value, Tensor):
            try:
                x = torch.from_numpy(np.array(value))
            except (TypeError, ValueError, RuntimeError):
                raise self.refused(argument, f"is {_kind(value)}", expected) from None
        if x.is_complex() or x.layout != torch.strided:
            raise self.refused(argument, f"is {_kind(x)}", expected)
        like = self.like()
        return x if like is None else x.to(like.device)

    def integers(self, argument: str, x: Tensor, levels: int, dtype: torch.dtype) -> Tensor:
        expected = f"whole numbers from 0 to {levels - 1}"
        if x.dtype == torch.bool and levels != 2:
            raise self.refused(argument, "has booleans", expected)
        self.within(argument, x, 0, levels - 1, expected)
        if x.is_floating_point():
            if not _holds(x.detach() == x.detach().round()):
                raise self.refused(argument, f"has numbers that are not whole ({_odd(x)})", expected)
            if x.requires_grad:
                return x
        return x.to(dtype)

    def numbers(self, argument: str, x: Tensor, span: tuple[float, float] | None) -> Tensor:
        """Numbers in the floating point type of the model."""
        x, like = self.in_range(argument, x, span), self.like()
        if like is not None:
            return x.to(like.dtype)
        return x if x.is_floating_point() else x.to(torch.get_default_dtype())

    def in_range(self, argument: str, x: Tensor, span: tuple[float, float] | None) -> Tensor:
        low, high = span or (-inf, inf)
        expected = "finite numbers" if span is None else f"numbers from {low:g} to {high:g}"
        if x.dtype == torch.bool:
            raise self.refused(argument, "has booleans", expected)
        self.within(argument, x, low, high, expected)
        return x

    def within(self, argument: str, x: Tensor, low: float, high: float, expected: str) -> None:
        if x.numel() == 0 or x.dtype == torch.bool or (x.dtype == torch.uint8 and low <= 0 and high >= 255):
            return
        found = _extremes(x)
        if found is None:
            return
        least, most = found
        if not -inf < least <= most < inf:
            raise self.refused(argument, "has NaN or infinite values", expected)
        if least < low or most > high:
            raise self.refused(argument, f"has values from {least:g} to {most:g}", expected)

    def like(self) -> Tensor | None:
        """A floating point tensor of the model: its type and device are the model's."""
        tensors = (x for held in (self.model.parameters(), self.model.buffers()) for x in held)
        return next((x for x in tensors if x.is_floating_point()), None)

    def of_nothing(self, given: dict[str, Any]) -> bool:
        """Whether data is asked for, and none of it: not every way of drawing knows how to draw nothing."""
        return (self.method in DRAWS and given.get("n") == 0) or ("known" in given and not len(given["known"].x))

    def nothing(self) -> Tensor | dict[str, Tensor]:
        """No data, as draws would be."""
        if self.method == "sample_entries":
            return {name: self.none_of(self.model.event.entries[name]) for name in self.model.drawn}
        return self.none_of(self.model.event)

    def none_of(self, entry: Event) -> Tensor:
        """No example of an entry."""
        like = self.like()
        x = entry.example(0, torch.device("cpu") if like is None else like.device)[entry.name]
        means = self.method == "sample_mean" or entry.levels is None
        return x.to(torch.get_default_dtype() if like is None else like.dtype) if means else x


def _tensors(given: Mapping[str, Any]) -> Iterator[Tensor]:
    """The tensors among arguments, those of a condition too."""
    for value in given.values():
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, Mapping):
            yield from _tensors(value)


def _extremes(x: Tensor) -> tuple[float, float] | None:
    """The smallest and the largest value, NaN if there is one; None for tensors without values (meta, vmap)."""
    try:
        least, most = torch.stack(torch.aminmax(x.detach())).tolist()
    except (RuntimeError, NotImplementedError):
        return None
    return least, most


def _holds(condition: Tensor) -> bool:
    try:
        return bool(condition.all())
    except (RuntimeError, NotImplementedError):
        return True


def _odd(x: Tensor) -> str:
    """One of the numbers that are not whole."""
    flat = x.detach().flatten()
    return f"{flat[flat != flat.round()][0].item():g}"


def _kind(value: Any) -> str:
    """A value's type as a sentence names it."""
    return f"{value.dtype} ({value.layout})" if isinstance(value, Tensor) else type(value).__name__
