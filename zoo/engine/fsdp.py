"""A model divided among processes: each holds a part of every weight and gathers a layer at its turn (FSDP2)."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from torch.distributed.device_mesh import DeviceMesh

WORTH = 1 << 14
"""Parameters from which a declared part is gathered by itself; smaller ones are gathered with what holds them."""


def shard(model: nn.Module, device: torch.device) -> None:
    """Divide a model's parameters among all processes, innermost parts first.

    A declared part is called by the methods of its kind's contracts alone, so that these are where it is gathered.
    """
    from torch.distributed import get_world_size
    from torch.distributed.device_mesh import init_device_mesh

    mesh = init_device_mesh(device.type, (get_world_size(),))
    parts = [part for part in model.modules() if getattr(part, "declaration", None) is not None and part is not model]
    for part in reversed(parts):
        if sum(p.numel() for p in part.parameters() if not _divided(p)) >= WORTH:
            _divide(part, mesh)
    _divide(model, mesh)


def whole(x: Tensor) -> Tensor:
    """The full tensor. If it is sharded, every process must call this."""
    return x.full_tensor() if _divided(x) else x  # type: ignore[attr-defined]


def local(x: Tensor) -> Tensor:
    """This process's shard of a tensor, or all of it if it is not sharded."""
    return x.to_local() if _divided(x) else x  # type: ignore[attr-defined]


def _divide(part: nn.Module, mesh: DeviceMesh) -> None:
    from torch.distributed.fsdp import fully_shard, register_fsdp_forward_method

    fully_shard(part, mesh=mesh)
    for method in getattr(part, "contracts", ()):
        if method != "forward":
            register_fsdp_forward_method(part, method)


def _divided(x: Tensor) -> bool:
    # Half a second to import, which a run in one process need not wait for: nothing is divided there.
    home = sys.modules.get("torch.distributed.tensor")
    return home is not None and isinstance(x, home.DTensor)
