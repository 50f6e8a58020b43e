"""What building a stranger's model may take: bounds on operations and memory, by what its file holds."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode

from .header import TensorEntry

OPERATIONS, PER_TENSOR = 10_000, 1_000
BYTES, PER_BYTE = 1 << 30, 4
"""Bounds for a file that holds nothing, and what each tensor and each byte of a file adds."""


SIZED = {"aten::" + name for name in ("empty", "zeros", "ones", "full", "rand", "randn", "randint")}
"""Operations that make a tensor of the sizes that they are given."""


class Exceeded(ValueError):
    """A component takes more than its file explains."""


class Budget:
    """Runs torch's operations as long as what they make is in proportion to a file's tensors.

    A spec can declare a network of any depth and width; that the file does not hold it would only show once it is
    built. Raises `Exceeded`, which is reported with the component that takes too much.
    """

    def __init__(self, entries: Mapping[str, TensorEntry]) -> None:
        self._operations = OPERATIONS + PER_TENSOR * len(entries)
        self._bytes = BYTES + PER_BYTE * sum(entry.end - entry.start for entry in entries.values())
        self._held: dict[StorageWeakRef, int] = {}
        self._sum = 0

    def run(self, operation: Any, args: Any, kwargs: Mapping[str, Any]) -> Any:
        """The result of an operation."""
        self._operations -= 1
        if self._operations < 0:
            raise Exceeded("takes far more operations to build than its file's tensors explain")
        # What fills memory at once is asked before it does.
        self._afford(_numbers_of(operation._schema.name, args))
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
                raise Exceeded("takes far more memory to build than its file's tensors explain")


def _numbers_of(name: str, args: Sequence[Any]) -> float:
    """How many numbers, and so at least how many bytes, an operation makes that is given no tensor."""
    match name, tuple(args):
        case "aten::arange", (end,):
            return float(end)
        case "aten::arange", (start, end, *step):
            return float((end - start) / (step[0] if step else 1))
        case "aten::eye", (rows, *columns):
            return float(rows * (columns[0] if columns else rows))
        case "aten::linspace" | "aten::logspace", (_, _, steps, *_):
            return float(steps)
        case "aten::randperm", (count, *_):
            return float(count)
    sizes = next((arg for arg in args if isinstance(arg, list | tuple)), ())
    return float(math.prod(sizes)) if name in SIZED else 0.0


class Bounded(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Within this block operations are paid from a budget."""

    def __init__(self, budget: Budget) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._budget = budget

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
    """What tells whether two tensors, or views of them, share memory; it does not keep the memory."""
    return StorageWeakRef(tensor.untyped_storage())  # type: ignore[no-untyped-call]


def _freed(memory: StorageWeakRef) -> bool:
    return bool(memory.expired())  # type: ignore[no-untyped-call]
