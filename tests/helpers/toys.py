"""The package of toys, as if it were installed here: for tests that need no process of their own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fake_plugins import installed, point
from pytest import MonkeyPatch

TOYS = Path(__file__).parents[1] / "zoo-toys"


@contextmanager
def toys() -> Iterator[None]:
    """Within this block the toys' components have names."""
    with MonkeyPatch.context() as patch:
        patch.syspath_prepend(TOYS)
        with installed(point("toys", "zoo_toys", "zoo-toys", "0.1.0")):
            yield
