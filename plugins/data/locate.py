"""Location of data files on this machine."""

from __future__ import annotations

import os
from pathlib import Path

from zoo import DataError


def data_home() -> Path:
    """The folder of data sets: ``$ZOO_DATA``, or else ``zoo/data`` in the user's cache."""
    declared = os.environ.get("ZOO_DATA")
    if declared:
        return Path(declared).expanduser()
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "zoo" / "data"


def locate(path: str) -> Path:
    """The path of a file or folder that a spec names: relative to the working directory, or else to `data_home`.

    Raises `zoo.DataError`, which names the folders that were searched and what to set.
    """
    wanted = Path(path).expanduser()
    for found in (wanted, data_home() / wanted):
        if found.exists():
            return found
    if wanted.is_absolute():
        raise DataError(f"'{wanted}' not found")
    raise DataError(
        f"'{path}' not found in {Path.cwd()} or {data_home()}: set ZOO_DATA to the folder that contains it, or use its "
        "absolute path"
    )
