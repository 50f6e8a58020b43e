"""Pictures of trained models for their pages: drawn from share files, once for each file."""

from __future__ import annotations

import hashlib
import json
import shutil
import warnings
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from .. import __version__
from ..errors import UsageError, ZooError
from ..interfaces import View
from ..interfaces.component import kind_of
from ..registry.registry import installed
from ..storage.cache import cache_home

N = 36
"""Draws in a picture."""
Draw = Callable[[Path, Path], Any]
"""Writes a picture of the model in a share file."""


def pictures(files: Mapping[str, Path]) -> tuple[dict[str, Path], list[str]]:
    """A picture of the model in each of these share files, by name, and what went wrong.

    Models of which there is no picture, as classifiers, have none. Pictures are saved in the cache.
    """
    found, problems = {}, []
    for name, file in files.items():
        try:
            picture = _picture(file)
        except Exception as error:  # whatever is wrong with one file or its plugin: the site has all other pages
            problems.append(f"the picture of {name} cannot be drawn: {_said(error)}")
        else:
            if picture is not None:
                found[name] = picture
    return found, problems


def _picture(file: Path) -> Path | None:
    """The picture of a share file, from the cache if it is there."""
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    picture = cache_home() / "pictures" / f"{digest[:32]}-{__version__}-{N}.png"
    if picture.is_file():
        return picture
    picture.parent.mkdir(parents=True, exist_ok=True)
    aside = picture.with_name(f".{picture.name}")
    for draw in _ways(file):
        try:
            with warnings.catch_warnings(action="ignore"):
                draw(file, aside.with_suffix(".png"))
        except UsageError:  # the next way may suit the model
            continue
        shutil.move(aside, picture)
        return picture
    return None


def _ways(file: Path) -> Iterator[Draw]:
    """Pictures of a model, the best first: its density, its draws, the views that its spec declares, any other view.

    Views have the model's data, if that is here.
    """
    from ..inference.sample import sample_file
    from ..inference.views import density_file, view_file
    from ..share.file import read_share

    spec = read_share(file).spec
    how: dict[str, Any] = {"device": "cpu"}
    yield partial(density_file, **how)
    yield partial(sample_file, n=min(N, spec.sample.n), **how)
    views = [name for (_, name), cls in installed().components().items() if kind_of(cls) is View]
    for view in dict.fromkeys([*(part.name for part in spec.train.views), *views]):
        yield partial(view_file, view=view, overrides=[f"data={json.dumps(spec.data.resolved())}"], **how)
        yield partial(view_file, view=view, **how)


def _said(error: Exception) -> str:
    text = str(error) if isinstance(error, ZooError) else f"{type(error).__name__}: {error}"
    return " ".join(text.split())
