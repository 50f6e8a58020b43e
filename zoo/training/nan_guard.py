"""Stops a run before a loss that is not finite reaches the weights."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from ..engine.distributed import Processes
from ..errors import Diverged


class Sentinel:
    """Watches every loss.

    On the CPU it looks at once. On CUDA looking would make the step wait for the device: there it hands fused
    optimizers a flag on the device by which they skip their update, from the first bad loss on, and reads the flag
    when figures are read anyway.
    """

    def __init__(
        self,
        device: torch.device,
        optimizers: list[torch.optim.Optimizer],
        processes: Processes,
        divided: bool = False,
    ) -> None:
        self._processes = processes
        gated = not divided and all(getattr(optimizer, "_step_supports_amp_scaling", False) for optimizer in optimizers)
        self._bad: Tensor | None = None
        if device.type == "cuda" and gated:
            self._bad = torch.zeros((), device=device)
            self._step = torch.full((), -1, dtype=torch.int64, device=device)
            for optimizer in optimizers:
                optimizer.found_inf = self._bad  # type: ignore[attr-defined]

    def check(self, step: Tensor | int, values: Mapping[str, Tensor], finite_of: Tensor) -> None:
        """Raise `Diverged`, naming the terms, if ``finite_of`` is NaN or infinite; before the optimizer's step."""
        if self._bad is None:
            flag = (~torch.isfinite(finite_of.detach())).float()
            # All stop, or those that went on would wait for the one that did not.
            self._processes.worst(flag)
            if flag:
                raise Diverged(int(step), self._named(values), reported=not self._processes.first)
            return
        bad = (~torch.isfinite(finite_of.detach())).to(self._bad.dtype)
        # A loss that is bad in one process is in everybody's gradients.
        self._processes.worst(bad)
        self._step.copy_(torch.where((bad > self._bad), step, self._step))
        self._bad.copy_(torch.maximum(self._bad, bad))

    def read(self, values: Mapping[str, Tensor]) -> None:
        """Raise `Diverged` if a loss was bad since the last look."""
        if self._bad is not None and self._bad.item():
            raise Diverged(int(self._step), self._named(values), reported=not self._processes.first)

    def _named(self, values: Mapping[str, Tensor]) -> list[str]:
        """The terms that are not finite in any process."""
        found = [name for names in self._processes.gather(broken(values)) for name in names]
        return [name for name in dict.fromkeys(found) if name != "loss"] or ["loss"]


def broken(values: Mapping[str, Tensor]) -> list[str]:
    """The names of the terms that are not finite; the loss itself where its terms all are."""
    names = [name for name, value in values.items() if not torch.isfinite(value).all()]
    return [name for name in names if name != "loss"] or ["loss"]
