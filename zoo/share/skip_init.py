"""Models without random initialisation: built as declared, for a file to provide the weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode

from ..assembly.build import build
from ..assembly.imports import plain_imports
from ..engine.randomness import seeded
from ..errors import SpecError
from ..format.header import Header
from ..interfaces import Model
from ..interfaces.capabilities import without_training_state
from ..spec import Spec
from .budget import Bounded, Budget, Exceeded, judge_sizes, memory_of, tensors_in


def build_unfilled(spec: Spec, header: Header) -> Model:
    """The model of a share file, to be used; parameters and persistent buffers hold anything, all else its true value.

    Memory that nothing has written to is not taken from the system, and nothing is drawn at random. Where a value that
    outlives the build depends on such draws, and the file will not bring it, the model is built in full. Raises
    `zoo.SpecError` where a component cannot be built, or takes far more than the file's tensors explain.
    """
    judge_sizes(spec, header.event, header.tensors)
    with without_training_state():
        return _build(spec, header)


def _build(spec: Spec, header: Header) -> Model:
    without = _WithoutDraws()
    try:
        seed = seeded(torch.device("cpu"), spec.train.seed, "init")
        with plain_imports(), seed, _bounded(spec, header), without:
            model = spec.model(header.event)
    except (SpecError, NotImplementedError) as error:
        # Without draws a component may have met what it never meets; its own errors come again.
        if isinstance(error.__cause__, Exceeded):
            raise
        return _in_full(spec, header)
    return _in_full(spec, header) if without.left_in(model) else model


def _in_full(spec: Spec, header: Header) -> Model:
    with _bounded(spec, header):
        return build(spec, header.event)


@contextmanager
def _bounded(spec: Spec, header: Header) -> Iterator[None]:
    try:
        with Bounded(Budget(header.tensors)):
            yield
    except Exceeded as error:  # noticed outside of any component's own code
        raise SpecError(spec.model.problem(str(error))) from error


class _ValueNeeded(Exception):
    """Python asks for a value that was not drawn."""


class _WithoutDraws(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Torch mode that skips random initialisation, and tracks the *unset* memory that depends on it."""

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
        given = [*tensors_in(args), *tensors_in(kwargs)]
        unset = any(memory_of(tensor) in self._unset for tensor in given)
        if unset and not _KNOWABLE.isdisjoint(func.tags):
            raise _ValueNeeded(str(func))
        if _overwrites(func, args) and (drawn or memory_of(args[0]) in self._unset):
            return self._marked(args[0], drawn)
        result = func(*args, **kwargs)
        if drawn or unset:
            self._marked((result, given if func._schema.is_mutable else ()), drawn)
        return result

    def left_in(self, model: nn.Module) -> bool:
        """Whether a model has unset memory that is not part of its state."""
        filled = {memory_of(tensor) for tensor in tensors_in(model.state_dict(keep_vars=True))}
        # Parameters, buffers, and tensors that are plain attributes, alone or in containers.
        kept = {memory_of(tensor) for module in model.modules() for tensor in tensors_in(vars(module))}
        return not (kept & self._unset) <= filled

    def _marked(self, value: Any, drawn: bool) -> Any:
        for tensor in tensors_in(value):
            if drawn and not tensor.is_floating_point():
                # Whole numbers are choices and orders: code may read them past torch.
                raise _ValueNeeded("a whole number is drawn")
            self._unset.add(memory_of(tensor))
        return value


_KNOWABLE = {torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape}
"""Operations that tell Python something of the values."""


def _overwrites(func: Any, args: Any) -> bool:
    """Whether an operation gives its first argument other values and leaves its form: ``uniform_``."""
    own = func._schema.is_mutable and func._schema.name.endswith("_") and torch.Tag.inplace_view not in func.tags
    return bool(own and isinstance(args[0], Tensor))
