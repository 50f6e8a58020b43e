"""When torch's fused optimizers can be used."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

DEVICES = frozenset({"cpu", "cuda", "mps"})


def fused(groups: Iterable[Mapping[str, Any]]) -> bool | None:
    """True where one kernel can update all parameters; otherwise None, and torch chooses its implementation.

    The update is the same, in fewer passes over memory. It needs real floating-point parameters on one device that has
    such a kernel.
    """
    parameters = [parameter for group in groups for parameter in group["params"]]
    devices = {parameter.device for parameter in parameters}
    supported = len(devices) == 1 and devices.pop().type in DEVICES
    return True if supported and all(parameter.is_floating_point() for parameter in parameters) else None
