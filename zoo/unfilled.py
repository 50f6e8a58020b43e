"""A model for a file to fill: built as declared, but without drawing weights that the file overwrites."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode

from .assembly import build
from .errors import SpecError
from .event import Event
from .interfaces import Model
from .randomness import seeded
from .spec import Spec


def build_unfilled(spec: Spec, event: Event) -> Model:
    """The model that a spec declares; parameters and persistent buffers hold anything, all else has its true value.

    Memory that nothing has written to is not taken from the system, and nothing is drawn at random. Where a value that
    outlives the build depends on such draws, and the file will not bring it, the model is built in full.
    """
    without = _WithoutDraws()
    try:
        with seeded(torch.device("cpu"), spec.train.seed, "init"), without:
            model = spec.model(event)
    except (SpecError, NotImplementedError):
        # Without draws a component may have met what it never meets; its own errors come again.
        return build(spec, event)
    return build(spec, event) if without.left_in(model) else model


class _ValueNeeded(Exception):
    """Python asks for a value that was not drawn."""


class _WithoutDraws(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Skips draws from the default generator, and knows what depends on them: the *unset* memory."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._unset: set[StorageWeakRef] = set()

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """No: torch would import its compiler for that, which takes longer than most builds."""
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        drawn = torch.Tag.nondeterministic_seeded in func.tags and kwargs.get("generator") is None
        given = [*_tensors(args), *_tensors(kwargs)]
        unset = any(_memory(tensor) in self._unset for tensor in given)
        if unset and not _KNOWABLE.isdisjoint(func.tags):
            raise _ValueNeeded(str(func))
        if _overwrites(func, args) and (drawn or _memory(args[0]) in self._unset):
            return self._marked(args[0], drawn)
        result = func(*args, **kwargs)
        if drawn or unset:
            self._marked((result, given if func._schema.is_mutable else ()), drawn)
        return result

    def left_in(self, model: nn.Module) -> bool:
        """Whether a model keeps unset memory that is not part of its state."""
        filled = {_memory(tensor) for tensor in _tensors(model.state_dict(keep_vars=True))}
        # Parameters, buffers, and tensors that are plain attributes, alone or in containers.
        kept = {_memory(tensor) for module in model.modules() for tensor in _tensors(vars(module))}
        return not (kept & self._unset) <= filled

    def _marked(self, value: Any, drawn: bool) -> Any:
        for tensor in _tensors(value):
            if drawn and not tensor.is_floating_point():
                # Whole numbers are choices and orders: code may read them past torch.
                raise _ValueNeeded("a whole number is drawn")
            self._unset.add(_memory(tensor))
        return value


_KNOWABLE = {torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape}
"""Operations that tell Python something of the values."""


def _overwrites(func: Any, args: Any) -> bool:
    """Whether an operation gives its first argument other values and leaves its form: ``uniform_``."""
    own = func._schema.is_mutable and func._schema.name.endswith("_") and torch.Tag.inplace_view not in func.tags
    return bool(own and isinstance(args[0], Tensor))


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, list | tuple | dict):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _tensors(inner)


def _memory(tensor: Tensor) -> StorageWeakRef:
    return StorageWeakRef(tensor.untyped_storage())  # type: ignore[no-untyped-call]
