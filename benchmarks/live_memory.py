"""The memory that tensors take, counted by storage: on any device, without what an allocator adds."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class LiveMemory(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes when the storages that operators give come and go, in the forward pass and in backward.

    What a kernel takes for itself while it runs is not counted.

    >>> with LiveMemory() as memory:
    ...     x = torch.ones(256) * torch.ones(256)
    >>> memory.peak(without=[]), memory.peak(without=[x])
    (3072, 2048)
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._changes: list[tuple[int, int]] = []
        self._alive: dict[int, int] = {}
        self._count = 0

    def __torch_dispatch__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        given = {_address(x) for x in tree_leaves((args, kwargs)) if isinstance(x, Tensor)}
        for x in tree_leaves(result):
            if isinstance(x, Tensor) and _address(x) not in self._alive and _address(x) not in given:
                self._note(x.untyped_storage())
        return result

    def peak(self, without: Iterable[Tensor]) -> int:
        """The most bytes that were alive at one time, but for those of some tensors that still are."""
        left_out = {self._alive[_address(x)] for x in without if _address(x) in self._alive}
        now = most = 0
        for number, size in self._changes:
            if number not in left_out:
                now += size
                most = max(most, now)
        return most

    def _note(self, storage: torch.UntypedStorage) -> None:
        number, size, address = self._count, storage.nbytes(), storage._cdata
        self._count += 1
        self._alive[address] = number
        self._changes.append((number, size))

        def gone() -> None:
            self._changes.append((number, -size))
            del self._alive[address]

        weakref.finalize(storage, gone)


def _address(x: Tensor) -> int:
    address: int = x.untyped_storage()._cdata
    return address
