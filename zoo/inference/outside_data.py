"""External data of a share file: files and downloads that its data would read, for which no consent was given yet."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ..errors import UsageError
from ..hub.address import is_address
from ..interfaces import Metric
from ..registry.part import Absent, Part, parameters
from ..registry.shipped import is_shipped
from ..registry.trust import remembers
from ..run.directory import data_named, metrics_named
from ..run.record import is_run
from ..share.file import Share
from ..spec import Spec, parts_in


def require_agreed(run_or_file: str | Path, share: Share, overrides: Sequence[str], data_of_file: bool) -> None:
    """UsageError where the data of a share file would be read at places that the file alone has chosen.

    Nothing is asked of data that reads no such place, that this user has trained on here, that an override has
    replaced, or where ``data_of_file`` says that what the file names may be read.
    """
    if data_of_file or replaces_data(overrides):
        return
    named = unagreed(share)
    if named:
        raise UsageError(
            f"{run_or_file} names data outside it that was not used for training here: {', '.join(named)}; add "
            "--set data=... to use your own data, or --data-of-file to read it"
        )


def require_agreed_metrics(
    run_or_file: str | Path, share: Share, metrics: Sequence[Part[Metric]], data_of_file: bool
) -> None:
    """UsageError where a metric that a share file declares would read a file or an address that it has chosen.

    Weights of shipped specs may be read, and what metrics read by which this user has trained here.
    """
    own = [part for part in metrics if part in share.spec.evaluate.metrics]
    if data_of_file or is_shipped(share.path) or remembers(metrics_named(share.spec)):
        return
    named = [place for part in own for place in _places_of(part)]
    if named:
        raise UsageError(
            f"{run_or_file} declares metrics that read files outside it, which were not used here: {', '.join(named)}; "
            "choose others with --metric or --set evaluate=..., or add --data-of-file to read them"
        )


def require_agreed_sampler(run_or_file: str | Path, share: Share) -> None:
    """UsageError where the sampler that a share file declares would read a file or an address that it has chosen.

    Those of runs and of shipped specs may be read.
    """
    if is_shipped(share.path) or is_run(Path(run_or_file)):
        return
    named = [place for part in parts_in(share.spec.sample) for place in _places_of(part)]
    if named:
        raise UsageError(
            f"{run_or_file} declares a sampler that reads files outside it: {', '.join(named)}; choose "
            "another, or repeat it, with --set sample.sampler=..."
        )


def _places_of(part: Part[Any]) -> Iterator[str]:
    places = () if issubclass(part.cls, Absent) else getattr(part.cls, "places", ())
    for name, value in _set(part, places):
        if is_address(str(value)) or Path(str(value)).exists():
            yield f"{name}: {value!r} of {part}"


def replaces_data(overrides: Sequence[str]) -> bool:
    """Whether an override is of all data: another parameter leaves the others to the file."""
    return any(override.partition("=")[0].strip() == "data" for override in overrides)


def unagreed(share: Share) -> list[str]:
    """The places that a share file's data would read.

    None where this user has trained on that data here, or the file came with an installed distribution.
    """
    agreed = is_shipped(share.path) or remembers(data_named(share.spec))
    return [] if agreed else list(places_in(share.spec))


def places_in(spec: Spec) -> Iterator[str]:
    """The external places that a spec's data reads: ``train: 'rows.csv' of dataset 'table'``."""
    for part in parts_in(spec.data):
        if issubclass(part.cls, Absent):
            part()  # says what to install
        places = getattr(part.cls, "places", None if part.cls.origin else ())
        if places is None:
            yield f"the data that {part} reads"
        yield from (f"{name}: {value!r} of {part}" for name, value in _set(part, places or ()))


def _set(part: Part[Any], names: Sequence[str]) -> Iterator[tuple[str, Any]]:
    """The parameters among these to which the declaration, not the component, gave a value."""
    given, fields = parameters(part.settings), type(part.settings).model_fields
    for name in names:
        if given[name] not in (None, False, fields[f"p_{name}"].default):
            yield name, given[name]
