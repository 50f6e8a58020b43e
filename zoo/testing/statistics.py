"""Who may change a component's state, and when."""

from __future__ import annotations

import copy
import math

import torch
from torch import Tensor, nn

from ..interfaces.bijection import Bijection
from ..interfaces.capabilities import DataDependent, RunningStatistics
from .broken import distance, require

SCALES = (1e-30, 1.0, 2e19)
STARTED = 1e-4


@torch.no_grad()
def forward_keeps_state(bijection: Bijection, x: Tensor) -> None:
    """``forward`` changes no parameter, in training mode neither; buffers only in training mode, and only those of a
    part with running statistics. Data-dependent parts start in ``initialize`` and nowhere else."""
    for training in (False, True):
        part = copy.deepcopy(bijection).train(training)
        averaged = averages(part) if training else set()
        before = {name: value.clone() for name, value in part.state_dict().items()}
        part(3.0 * x if bijection.domain is None else x)
        for name, value in part.state_dict().items():
            require(
                name in averaged or torch.equal(value, before[name]),
                f"forward changes '{name}': start parameters in initialize (zoo.DataDependent), average only in "
                "training mode and in buffers (zoo.RunningStatistics)",
            )


@torch.no_grad()
def starts_at_any_scale(bijection: Bijection, x: Tensor) -> None:
    """A part that starts from data in float32 starts as it does in float64, whether the data is of 1e-30 or 2e19: the
    squares of neither are numbers of float32."""
    if not isinstance(bijection, DataDependent):
        return
    for scale in SCALES:
        data = (scale * x).float()
        (z, log_det), (fine, fine_log_det) = (_started(bijection, d) for d in (data, data.double()))
        error = distance(z.double(), fine) / float(fine.abs().max().clamp(min=1.0))
        error += distance(log_det.double(), fine_log_det) / (x[0].numel() * max(1.0, abs(math.log(scale))))
        require(
            error <= STARTED,
            f"started from data of {scale:g} in float32, z and log_det are off by {error:.3g} from those in float64: "
            "take statistics in float64",
        )


def _started(bijection: Bijection, data: Tensor) -> tuple[Tensor, Tensor]:
    part = copy.deepcopy(bijection).to(data.dtype)
    part.initialize(data)  # type: ignore[operator]
    z, log_det = part(data)
    return z, log_det


@torch.no_grad()
def reset_forgets(bijection: Bijection, x: Tensor) -> None:
    """After ``reset`` two batches count equally, whatever came before and in whichever order they come."""
    if not any(isinstance(part, RunningStatistics) for part in bijection.modules()):
        return
    first, second = x[: len(x) // 2], x[len(x) // 2 :]
    one, other = (_averaged(bijection, order) for order in ((first, second), (second, first)))
    for name, value in one.items():
        require(
            distance(value.double(), other[name].double()) <= 1e-9,
            f"'{name}' depends on the order of the batches after reset, or on what came before it: forget all in "
            "reset, and weigh the first batches by one over their number",
        )


def _averaged(bijection: Bijection, batches: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
    part = copy.deepcopy(bijection).train()
    part(batches[0])
    _reset(part)
    for batch in batches:
        part(batch)
    return {name: part.state_dict()[name] for name in averages(part)}


def _reset(module: nn.Module) -> None:
    for part in module.modules():
        if isinstance(part, RunningStatistics):
            part.reset()


def averages(module: nn.Module) -> set[str]:
    """The buffers that are of running statistics, by their names in the state."""
    found: set[str] = set()
    for path, part in module.named_modules():
        if isinstance(part, RunningStatistics):
            found |= {f"{path}.{name}".lstrip(".") for name, _ in part.named_buffers()}  # type: ignore[attr-defined]
    return found & module.state_dict().keys()
