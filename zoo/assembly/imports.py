"""Imports outside of the caller's torch modes.

A component may import a library when it is built, and it may be built where ``torch.device("meta")`` or another mode
holds. Tensors that the library makes as it is imported stay for the process: on the meta device they would have no
values ever after.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

import torch


@contextmanager
def plain_imports() -> Iterator[None]:
    """Within this block a module that is imported for the first time is executed without torch's modes, on the CPU."""
    finder = _Finder()
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)


class _Finder(MetaPathFinder):
    """Import finder that uses the other finders, and executes modules without modes."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name.partition(".")[0] == "torch":
            return None  # it imports itself within its own modes
        others = (finder for finder in sys.meta_path if not isinstance(finder, _Finder))
        spec = next(filter(None, (finder.find_spec(name, path, target) for finder in others)), None)
        if spec is not None and hasattr(spec.loader, "exec_module"):
            spec.loader = _WithoutModes(spec.loader)
        return spec


class _WithoutModes(Loader):
    """A loader that executes modules without torch's modes; for all else, and afterwards, it is the one it was."""

    def __init__(self, loader: Any) -> None:
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        module: ModuleType | None = self._loader.create_module(spec)
        return module

    def exec_module(self, module: ModuleType) -> None:
        module.__loader__ = self._loader
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        with torch.device("cpu"), torch._C._DisableTorchDispatch():
            self._loader.exec_module(module)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)
