"""Measured figures in words, for listings, tables and pages."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

SIGNS = {"exact": "", "bound": "≤ "}
"""What stands before a value of each kind; before another kind its name."""


def number(value: float | None, error: float | None = None) -> str:
    """A value, with two digits of its standard error; with four digits where the error is not known.

    >>> number(1.91788, 0.01152), number(84.2391, 0.28), number(0.75), number(-1234.56), number(None)
    ('1.918 ± 0.012', '84.24 ± 0.28', '0.75', '-1235', 'not finite')
    """
    if value is None or not math.isfinite(value):
        return "not finite"
    if not error:
        return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    places = min(max(1 - math.floor(math.log10(error)), 0), 6)
    return f"{value:.{places}f} ± {error:.{places}f}"


def figure(reached: Mapping[str, Any]) -> str:
    """A figure as a spec's ``reached`` or a share file records it.

    >>> figure({"metric": "bits_per_dim", "value": 1.91788, "standard_error": 0.01152, "n": 360, "kind": "bound"})
    'bits_per_dim ≤ 1.918 ± 0.012'
    """
    sign = SIGNS.get(reached["kind"], f"{reached['kind']} ")
    return f"{reached['metric']} {sign}{number(reached['value'], reached.get('standard_error'))}"
