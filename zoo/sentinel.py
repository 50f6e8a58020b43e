"""Stops a run before a loss that is not finite reaches the weights."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from .errors import Diverged


class Sentinel:
    """Watches every loss.

    On the CPU it looks at once. On CUDA looking would make the step wait for the device: there it hands fused
    optimizers a flag on the device by which they skip their update, from the first bad loss on, and reads the flag
    when figures are read anyway.
    """

    def __init__(self, device: torch.device, optimizers: list[torch.optim.Optimizer]) -> None:
        gated = all(getattr(optimizer, "_step_supports_amp_scaling", False) for optimizer in optimizers)
        self._bad: Tensor | None = None
        if device.type == "cuda" and gated:
            self._bad = torch.zeros((), device=device)
            self._step = torch.full((), -1, dtype=torch.int64, device=device)
            for optimizer in optimizers:
                optimizer.found_inf = self._bad  # type: ignore[attr-defined]

    def check(self, step: Tensor | int, values: Mapping[str, Tensor], finite_of: Tensor) -> None:
        """Raise `Diverged`, naming the terms, if ``finite_of`` is NaN or infinite; before the optimizer's step."""
        if self._bad is None:
            if not torch.isfinite(finite_of):
                raise Diverged(int(step), broken(values))
            return
        bad = ~torch.isfinite(finite_of.detach())
        self._step.copy_(torch.where(bad & (self._bad == 0), step, self._step))
        self._bad.copy_(torch.maximum(self._bad, bad.to(self._bad.dtype)))

    def read(self, values: Mapping[str, Tensor]) -> None:
        """Raise `Diverged` if a loss was bad since the last look."""
        if self._bad is not None and self._bad.item():
            raise Diverged(int(self._step), broken(values))


def broken(values: Mapping[str, Tensor]) -> list[str]:
    """The names of the terms that are not finite; the loss itself where its terms all are."""
    names = [name for name, value in values.items() if not torch.isfinite(value).all()]
    return [name for name in names if name != "loss"] or ["loss"]
