"""CPU seconds of the tests: what they cost is written into a file, and several processes share them by it.

Seconds on the clock depend on what else a machine does; those of the processor hardly do. What a test's child processes
take counts, and what a fixture takes counts for the first test that asks for it.
"""

from __future__ import annotations

import json
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
    took: dict[str, float] = written().get("files", {})
    items.sort(key=lambda item: -took.get(item.nodeid.partition("::")[0], float("inf")))


def written() -> dict[str, Any]:
    """What the file has; nothing where there is none yet."""
    found: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8")) if FILE.exists() else {}
    return found


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
            FILE.write_text(json.dumps(table(self._took, written()), indent=2) + "\n", encoding="utf-8")
        else:
            self._to_controller["seconds"] = self._took


def table(took: dict[str, float], before: dict[str, Any]) -> dict[str, Any]:
    """Seconds by folder and by file, and of the slowest tests. Files that did not run have those of ``before``."""
    files: defaultdict[str, float] = defaultdict(float)
    for test, each in took.items():
        files[test.partition("::")[0]] += each
    others = {file: each for file, each in before.get("files", {}).items() if file not in files}
    slowest = {test: each for test, each in before.get("slowest", {}).items() if test.partition("::")[0] in others}
    folders: defaultdict[str, float] = defaultdict(float)
    for file, each in (everything := {**others, **files}).items():
        folders["/".join(Path(file).parent.parts[:FOLDERS])] += each
    return {
        "about": "CPU seconds, with those of child processes, written by make durations",
        "sum": round(sum(everything.values())),
        "folders": descending(folders),
        "slowest": dict(list(descending({**slowest, **took}).items())[:SLOWEST]),
        "files": descending(everything),
    }


def descending(took: dict[str, float]) -> dict[str, float]:
    """The longest first, in tenths of a second."""
    return {name: round(each, 1) for name, each in sorted(took.items(), key=lambda row: -row[1])}
