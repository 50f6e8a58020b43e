"""Running means of a run's terms between two rows of ``metrics.jsonl``, on the device."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor


class Tally:
    """Sums of named figures; one synchronisation with the device for each row."""

    def __init__(self) -> None:
        self.sums: dict[str, Tensor] = {}
        self.counts: dict[str, int] = {}

    def add(self, values: Mapping[str, Tensor]) -> None:
        for name, value in values.items():
            mean = value.detach().mean() if value.dim() else value.detach()
            held = self.sums.get(name)
            # A sum is a new tensor: the addend may be a buffer that the next step overwrites.
            self.sums[name] = mean.clone() if held is None else held + mean
            self.counts[name] = self.counts.get(name, 0) + 1

    def read(self) -> dict[str, float]:
        """The means since the last `clear`."""
        if not self.sums:
            return {}
        totals = torch.stack([total.double() for total in self.sums.values()]).tolist()
        return {name: total / self.counts[name] for name, total in zip(self.sums, totals, strict=True)}

    def clear(self) -> None:
        """Reset the means after their row is written."""
        self.sums, self.counts = {}, {}

    def state(self) -> dict[str, Any]:
        sums = {name: [float(total), str(total.dtype).removeprefix("torch.")] for name, total in self.sums.items()}
        return {"sums": sums, "counts": dict(self.counts)}

    def restore(self, state: dict[str, Any], device: torch.device) -> None:
        self.sums = {
            name: torch.tensor(total, dtype=getattr(torch, dtype), device=device)
            for name, (total, dtype) in state["sums"].items()
        }
        self.counts = dict(state["counts"])
