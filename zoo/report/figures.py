"""Figures of share files, measured again and compared with those that the files record."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import UsageError, ZooError
from ..inference.evaluate import evaluate_opened
from ..interfaces import Measurement
from ..run.directory import file_to_open
from ..share.file import Share, read_share

CLOSE = 1e-3
"""The relative difference that is allowed where the standard error of a figure is not recorded."""


@dataclass(frozen=True)
class Check:
    """A recorded figure, and the same one measured now; or why it could not be measured."""

    name: str
    metric: str
    recorded: float | None
    standard_error: float | None
    measured: float | None
    problem: str | None = None

    @property
    def met(self) -> bool:
        """Whether the figure is the recorded one, within its standard error."""
        if self.problem is not None or self.recorded is None or self.measured is None:
            return self.problem is None and self.recorded is self.measured
        allowed = CLOSE * abs(self.recorded) if self.standard_error is None else self.standard_error
        return math.isclose(self.measured, self.recorded, rel_tol=1e-6, abs_tol=max(allowed, 1e-6))


def check(name: str, device: str = "auto", *, data_of_file: bool = False, trust: bool = False) -> Iterator[Check]:
    """Measure a share file's recorded figures again, as they were measured: by the same metrics, data and seed.

    Details of a figure, such as ``mig.shape``, are left out. What cannot be measured here is a `Check` with a
    problem; UsageError for a file without figures on a test split.
    """
    share = read_share(file_to_open(name, trust=trust))
    recorded = recorded_figures(share)
    try:
        now, _ = evaluate_opened(name, share, device=device, data_of_file=data_of_file)
        problem = None
    except ZooError as error:
        now, problem = {}, str(error)
    for metric, figure in recorded.items():
        measured = now.get(metric)
        lost = problem or (f"no metric gives '{metric}' any more" if measured is None else _other(figure, measured))
        finite = measured.value if measured is not None and math.isfinite(measured.value) else None
        yield Check(name, metric, figure["value"], figure.get("standard_error"), finite, lost)


def _other(recorded: Mapping[str, Any], measured: Measurement) -> str | None:
    """The reason why two figures do not compare: they are in the features of two networks."""
    before, now = recorded.get("features"), measured.features
    if before is None or before == now:
        return None
    return f"its features are of another network: expected {before[:19]}, got {(now or 'none')[:19]}"


def recorded_figures(share: Share) -> Mapping[str, Mapping[str, Any]]:
    """The figures on the test split that a share file records, without details."""
    metrics = share.header.meta["metrics"]
    figures = {k: figure for k, figure in metrics.get("figures", {}).items() if "." not in k}
    if not figures or metrics.get("split") != "test":
        raise UsageError(f"{share.path} records no figures on a test split: train it to its end, or score its run")
    return figures
