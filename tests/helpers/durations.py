"""CPU seconds of the tests: what they cost is written into a file, and several processes share them by it.

Seconds on the clock depend on what else a machine does; those of the processor hardly do. What a test's child processes
take counts, and what a fixture takes counts for the first test that asks for it.
"""

from __future__ import annotations

import json
import os
import resource
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

FILE = Path(__file__).parents[1] / "durations.json"
SLOWEST = 40
FOLDERS = 3
"""Parts of a path that name a folder of tests."""


def seconds() -> float:
    """What this process and its children that have ended took so far."""
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in used)


def longest_first(items: list[pytest.Item]) -> None:
    """Order the files by what they took when they were measured, so that no long one is left for the end.

    A file that was never measured comes first: it may be long.
    """
    took: dict[str, float] = json.loads(FILE.read_text(encoding="utf-8"))["files"] if FILE.exists() else {}
    items.sort(key=lambda item: -took.get(item.nodeid.partition("::")[0], float("inf")))


class Durations:
    """A plugin of pytest that measures every test, in the workers of pytest-xdist too, and writes the file."""

    def __init__(self, config: pytest.Config) -> None:
        self._to_controller: dict[str, Any] | None = getattr(config, "workeroutput", None)
        self._took: dict[str, float] = {}

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        before = seconds()
        done = yield
        self._took[item.nodeid] = seconds() - before
        return done

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        self._took.update(node.workeroutput["seconds"])

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        if self._to_controller is None:
            FILE.write_text(json.dumps(table(self._took), indent=2) + "\n", encoding="utf-8")
        else:
            self._to_controller["seconds"] = self._took


def table(took: dict[str, float]) -> dict[str, Any]:
    """Seconds by folder and by file, and of the slowest tests."""
    files: defaultdict[str, float] = defaultdict(float)
    folders: defaultdict[str, float] = defaultdict(float)
    for test, each in took.items():
        file = test.partition("::")[0]
        files[file] += each
        folders["/".join(Path(file).parent.parts[:FOLDERS])] += each
    return {
        "about": f"CPU seconds of {len(took)} tests, written by make durations on {os.cpu_count()} cores",
        "sum": round(sum(took.values())),
        "folders": descending(folders),
        "slowest": dict(list(descending(took).items())[:SLOWEST]),
        "files": descending(files),
    }


def descending(took: dict[str, float]) -> dict[str, float]:
    """The longest first, in tenths of a second."""
    return {name: round(each, 1) for name, each in sorted(took.items(), key=lambda row: -row[1])}
