"""JSON replies of commands: numbers without a JSON form are null, and named."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any


def reply(value: Mapping[str, Any]) -> str:
    """An object as JSON on one line; a number that is not finite is null, and named in ``not_finite``.

    >>> reply({"metrics": {"nll": float("inf")}})
    '{"metrics": {"nll": null}, "not_finite": {"metrics.nll": "inf"}}'
    """
    odd: dict[str, str] = {}
    plain = _finite(value, "", odd)
    return json.dumps(plain | ({"not_finite": odd} if odd else {}), allow_nan=False)


def _finite(value: Any, path: str, odd: dict[str, str]) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(item, f"{path}.{key}" if path else str(key), odd) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_finite(item, f"{path}[{index}]", odd) for index, item in enumerate(value)]
    if isinstance(value, float) and not math.isfinite(value):
        odd[path] = str(value)
        return None
    return value
