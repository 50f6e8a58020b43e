"""Figures of each held-out example."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from zoo import Batch, DataError


def per_example(batches: Iterable[Batch], figures: Callable[[Batch], Tensor]) -> Tensor:
    """What ``figures`` gives for all batches, ``[..., B]`` each: ``[..., N]``, in float64 on the CPU.

    The values stay on the device until all batches are done. Raises `zoo.DataError` where there are none.
    """
    with torch.no_grad():
        values = [figures(batch) for batch in batches]
    if not values:
        raise DataError("there are no examples to measure on")
    return torch.cat(values, dim=-1).cpu().double()
