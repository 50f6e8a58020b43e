"""Bounds on the work, memory and sizes of building a model from an untrusted file."""

from __future__ import annotations

import importlib
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from inspect import CO_GENERATOR
from itertools import zip_longest
from types import FrameType
from typing import Any, get_args

import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode

from ..errors import Problem, SpecError
from ..event import Event
from ..format.header import TensorEntry
from ..settings import NOT_A_SIZE, Settings
from ..spec import Spec
from ..spec.spec import parts_in

STEPS, PER_TENSOR, PER_OPERATION = 1_000_000, 5_000, 50
"""Calls and returns for a file that holds nothing, what each tensor with numbers adds, what each operation takes.

The shipped models take up to 1,300 steps for each of their tensors; a million steps take half a second.
"""
BYTES, PER_BYTE = 64 << 20, 4
"""Memory for a file that holds nothing, and what each byte of its tensors adds."""
SIZE = 1 << 22
"""The largest size that a declaration can have whose file holds fewer numbers: lists of so many items are harmless."""


def judge_sizes(spec: Spec, event: Event, entries: Mapping[str, TensorEntry]) -> None:
    """SpecError where a number that a model is declared by, or its event, is beyond all that a file's tensors hold.

    What a constructor does with such a number may neither call anything nor ask torch for memory: ``[width] * depth``.
    """
    most = max(SIZE, sum(math.prod(entry.shape) for entry in entries.values()))
    for part in parts_in(spec.model):
        for key, declared in _sizes_in(part.settings):
            if declared > most:
                raise SpecError(
                    part.problem(f"'{key}' is {declared:,}: the tensors of its file allow at most {most:,}")
                )
    facts: dict[str, int | None] = {"shape": event.shape.size, "levels": event.levels, "classes": event.classes}
    facts |= {"features": event.features, "factors": math.prod((event.factors or {}).values())}
    facts |= {f"{entry.name}.shape": entry.shape.size for entry in event.also}
    facts |= {f"{entry.name}.levels": entry.levels for entry in event.also}
    for key, size in facts.items():
        if size is not None and size > most:
            message = f"'{key}' is {size:,}: the tensors of its file allow at most {most:,}"
            raise SpecError(Problem(None, "event", message))


def _sizes_in(value: Any, key: str = "") -> Iterator[tuple[str, int]]:
    """The whole numbers of a part's settings that are not marked as no size."""
    if isinstance(value, Settings):
        for name, info in type(value).model_fields.items():
            if not (NOT_A_SIZE in info.metadata or _is_marked(info.annotation)):
                yield from _sizes_in(getattr(value, name), info.alias or name)
    elif isinstance(value, int):
        yield key, value
    elif isinstance(value, list | tuple | dict):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _sizes_in(inner, key)


def _is_marked(annotation: Any) -> bool:
    return any(inner is NOT_A_SIZE or _is_marked(inner) for inner in get_args(annotation))


MUCH_WORK = "takes far more work to build than the tensors of its file justify"
MUCH_MEMORY = "takes far more memory to build than the tensors of its file justify"


class Exceeded(ValueError):
    """A component takes more than its file explains."""


class Budget:
    """Counter of a build's resources, which ends it if they are out of proportion to the file's tensors.

    A spec can declare a network of any depth and width; that the file does not hold it would only show once it is
    built. Tensors without numbers explain nothing. Raises `Exceeded`, which is reported with the component that takes
    too much.
    """

    def __init__(self, entries: Mapping[str, TensorEntry]) -> None:
        filled = [entry.end - entry.start for entry in entries.values() if entry.end > entry.start]
        self.steps = STEPS + PER_TENSOR * len(filled)
        """How many are left."""
        self._bytes = BYTES + PER_BYTE * sum(filled)
        self._held: dict[StorageWeakRef, int] = {}
        self._sum = 0
        self._importing = 0

    def step(self, frame: FrameType, event: str, argument: Any) -> None:
        """Pay a call or a return, as ``sys.setprofile`` reports them. Imports are free: each happens once."""
        if frame.f_code is _IMPORT:
            self._importing += {"call": 1, "return": -1}.get(event, 0)
        elif not self._importing:
            self.steps -= 1
            # A generator is called to be closed as well, where an exception would be lost.
            counts = event == "c_call" or (event == "call" and not frame.f_code.co_flags & CO_GENERATOR)
            if self.steps < 0 and counts and not _is_delicate(frame, argument):
                raise Exceeded(MUCH_WORK)

    def run(self, operation: Any, args: Any, kwargs: Mapping[str, Any]) -> Any:
        """The result of an operation of torch."""
        self.steps -= PER_OPERATION
        if self.steps < 0 and not _is_delicate(sys._getframe(), None):
            raise Exceeded(MUCH_WORK)
        # What takes memory at once is asked before it does.
        self._afford(_bytes_of(operation, args, kwargs))
        result = operation(*args, **kwargs)
        for tensor in tensors_in(result):
            memory, size = memory_of(tensor), tensor.untyped_storage().nbytes()
            if memory not in self._held:
                self._held[memory] = size
                self._sum += size
        self._afford(0)
        return result

    def _afford(self, more: float) -> None:
        if self._sum + more > self._bytes:
            self._held = {memory: size for memory, size in self._held.items() if not _freed(memory)}
            self._sum = sum(self._held.values())
            if self._sum + more > self._bytes:
                raise Exceeded(MUCH_MEMORY)


_IMPORT = vars(importlib)["_bootstrap"]._find_and_load.__code__


def _is_delicate(frame: FrameType | None, argument: Any) -> bool:
    """Whether an exception would be lost here, in a finalizer, or would skip the clean-up of a block."""
    if getattr(argument, "__name__", None) in _DELICATE:
        return True
    while frame is not None and not (frame.f_code.co_name in _DELICATE or frame.f_code is _WEAKLY):
        frame = frame.f_back
    return frame is not None


_DELICATE = ("__enter__", "__exit__", "__del__", "acquire", "release")
_WEAKLY = StorageWeakRef.__init__.__code__


def _bytes_of(operation: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> float:
    """An upper bound of the new memory of an operation."""
    if operation.is_view or operation._schema.is_mutable:
        return 0.0
    dtype = kwargs.get("dtype") or max((tensor.dtype for tensor in tensors_in(args)), key=_size, default=None)
    return _numbers_of(operation, args) * _size(dtype or torch.get_default_dtype())


def _size(dtype: torch.dtype) -> int:
    return dtype.itemsize


def _numbers_of(operation: Any, args: Sequence[Any]) -> float:
    name = operation._schema.name.removeprefix("aten::")
    shapes = [tensor.shape for tensor in tensors_in(args)]
    listed = [size for arg in args if isinstance(arg, list | tuple) for size in arg if isinstance(size, int)]
    match name, *args:
        case "arange", end:
            return float(end)
        case "arange", start, end, *step:
            return float((end - start) / (step[0] if step else 1))
        case "eye" | "tril_indices" | "triu_indices", rows, *columns:
            return float(rows * (columns[0] if columns else rows))
        case "linspace" | "logspace", _, _, steps, *_:
            return float(steps)
        case "randperm", count, *_:
            return float(count)
    if not shapes or name.startswith("new_"):
        return float(math.prod(listed or [arg for arg in args if isinstance(arg, int)]))
    if torch.Tag.pointwise in operation.tags:
        return float(math.prod(map(max, zip_longest(*map(reversed, shapes), fillvalue=1))))
    if name in _PRODUCTS:
        left, right = shapes[-2:]
        return float(math.prod(left[:-1]) * right[-1])
    # What repeats or pads says in a list how much.
    return float(sum(map(math.prod, shapes)) * math.prod(abs(size) + 1 for size in listed))


_PRODUCTS = {"mm", "addmm", "bmm", "baddbmm", "_cdist_forward"}


class Bounded(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Within this block calls and operations are paid from a budget; where a profiler runs, operations alone."""

    def __init__(self, budget: Budget) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._budget = budget

    def __enter__(self) -> Any:
        self._counts, self._gradients = sys.getprofile() is None, torch.is_grad_enabled()
        if self._counts:
            sys.setprofile(self._budget.step)
        return super().__enter__()  # type: ignore[no-untyped-call]

    def __exit__(self, *raised: Any) -> None:
        if self._counts:
            sys.setprofile(None)
        super().__exit__(*raised)  # type: ignore[no-untyped-call]
        # What was cut short may not have come to switch them on again.
        torch.set_grad_enabled(self._gradients)

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """No: torch would import its compiler for that, which takes longer than most builds."""
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return self._budget.run(func, args, kwargs or {})


def tensors_in(value: Any) -> Iterator[Tensor]:
    """The tensors in nested containers."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, list | tuple | dict):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from tensors_in(inner)


def memory_of(tensor: Tensor) -> StorageWeakRef:
    """The identity of a tensor's memory, shared by views; it does not keep the memory alive."""
    return StorageWeakRef(tensor.untyped_storage())  # type: ignore[no-untyped-call]


def _freed(memory: StorageWeakRef) -> bool:
    return bool(memory.expired())  # type: ignore[no-untyped-call]
