"""Cache of answers between commands, with a stamp of their inputs."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import Any


def cache_home() -> Path:
    """The folder of the cache: ``$ZOO_CACHE``, or ``zoo`` in the user's cache."""
    own, system = os.environ.get("ZOO_CACHE"), os.environ.get("XDG_CACHE_HOME")
    return Path(own) if own else (Path(system) if system else Path.home() / ".cache") / "zoo"


def recalled(name: str, stamps: Collection[str]) -> Any:
    """The plain values stored under a name with one of these stamps, or None; records come as mappings."""
    try:
        kept = json.loads(_file(name).read_text(encoding="utf-8"))
        return kept["value"] if kept["stamp"] in stamps else None
    except (OSError, ValueError, LookupError, TypeError):
        return None


def keep(name: str, stamp: str, value: Any) -> None:
    """Keep plain values and records under a name; without a place to write they are made again the next time."""
    text = json.dumps({"stamp": stamp, "value": value}, default=vars)
    file = _file(name)
    aside = file.with_name(f".{file.name}.{os.getpid()}.tmp")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        # Not synced, as what must last is: what a crash leaves of it is made again, and a hundred plugins wait long.
        aside.write_text(text, encoding="utf-8")
        aside.replace(file)
    except OSError:
        with suppress(OSError):
            aside.unlink()


def _file(name: str) -> Path:
    """A file for each environment, so that two of them do not take turns."""
    place = hashlib.sha256(f"{sys.prefix}\n{name}".encode(errors="surrogateescape")).hexdigest()[:16]
    return cache_home() / "catalogue" / f"{name.rpartition('/')[2]}-{place}.json"
