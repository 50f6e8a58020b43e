"""Frozen parameters stay as they are: the first step of a session is checked."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from ..assembly.parameters import Frozen, frozen_is_written
from ..engine.fsdp import local
from ..errors import SpecError
from ..interfaces import Model
from ..spec import Spec


@contextmanager
def unchanged(model: Model, frozen: Frozen, spec: Spec) -> Iterator[None]:
    """SpecError where a step within this block writes into a parameter that the spec freezes.

    No optimizer has such a parameter: a model's ``after_step`` does it, as that of a teacher that is moved.
    """
    named = dict(model.named_parameters())
    before = {name: _state(named[name]) for name in frozen.parameters}
    yield
    for name, state in before.items():
        if not torch.equal(_state(named[name]), state):
            raise SpecError(frozen_is_written(spec, name))


def _state(p: Tensor) -> Tensor:
    """Two norms, and the number of writes in place; a write through ``p.data`` is not counted there."""
    x = local(p.detach())
    x = torch.view_as_real(x) if x.is_complex() else x
    exact = torch.float32 if x.device.type == "mps" else torch.float64
    norms = [torch.linalg.vector_norm(x, order, dtype=exact) for order in (1, 2)]
    return torch.stack([*norms, norms[0].new_tensor(p._version)])
