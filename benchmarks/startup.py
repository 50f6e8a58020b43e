"""How long the commands that only answer take, with a hundred plugins installed: an empty Python and torch beside."""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from .crowd import install
from .harness import interleave, machine, markdown

PLUGINS = 100
COLD, WARM = 1.5, 0.5
"""Bars, in seconds: beyond the import of torch where nothing is remembered, and in all where everything is."""
COMPLETE = {"_ZOO_COMPLETE": "complete_bash", "COMP_WORDS": "zoo show aff", "COMP_CWORD": "2"}
ZOO = [str(Path(sys.executable).with_name("zoo"))]


class Command:
    """A command in a new process: each run gives its seconds and keeps the processor time that it took."""

    def __init__(self, words: Sequence[str], env: Mapping[str, str], forget: Path | None = None) -> None:
        self.words, self.env, self.forget = words, {**os.environ, **env}, forget
        self.env.pop("PYTHONDONTWRITEBYTECODE", None)  # who installs has compiled; the first run does it here
        self.wall: list[float] = []
        self.cpu: list[float] = []

    def __call__(self, steps: int) -> float:
        for _ in range(steps):
            if self.forget is not None:
                shutil.rmtree(self.forget, ignore_errors=True)
            used, began = _used(), time.perf_counter()
            subprocess.run(self.words, check=True, capture_output=True, env=self.env)
            self.wall.append(time.perf_counter() - began)
            self.cpu.append(_used() - used)
        return self.wall[-1]

    def row(self, name: str, rounds: int, bar: float) -> list[str]:
        """Its line of the table; the runs before the last rounds were to warm up."""
        wall, cpu = (statistics.median(seconds[-rounds:]) for seconds in (self.wall, self.cpu))
        best = min(self.cpu[-rounds:])
        return [name, f"{wall:.2f}", f"{cpu:.2f}", f"{best:.2f}", f"{bar:.2f}" if bar else ""]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.startup", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--quick", action="store_true", help="one round: does it run?")
    options = parser.parse_args()
    rounds = 1 if options.quick else options.rounds
    print(f"{machine(1)}; {PLUGINS} plugins beside those of zoo")
    with tempfile.TemporaryDirectory() as scratch:
        commands = _commands(Path(scratch))
        interleave(commands, rounds, 1)
    torch = statistics.median(commands["import torch"].cpu[-rounds:])
    bars = {name: torch + COLD if command.forget else WARM for name, command in commands.items() if "zoo" in name}
    rows = [command.row(name, rounds, bars.get(name, 0)) for name, command in commands.items()]
    print("\n" + markdown(["", "seconds", "of the processor", "at best", "bar"], rows))


def _commands(scratch: Path) -> dict[str, Command]:
    install(scratch / "plugins", PLUGINS)
    warm, cold = scratch / "warm", scratch / "cold"
    path = os.pathsep.join(filter(None, [str(scratch / "plugins"), os.environ.get("PYTHONPATH")]))
    env = {"PYTHONPATH": path, "ZOO_CACHE": str(warm), "OMP_NUM_THREADS": "1"}
    return {
        "python -c pass": Command([sys.executable, "-c", "pass"], env),
        # It ends as a command of zoo does: otherwise the bar would have what Python's end takes on top of the import.
        "import torch": Command([sys.executable, "-c", "import gc, torch; gc.freeze()"], env),
        "zoo list, nothing remembered": Command([*ZOO, "list"], env | {"ZOO_CACHE": str(cold)}, forget=cold),
        "zoo list": Command([*ZOO, "list"], env),
        "zoo show affine_coupling": Command([*ZOO, "show", "affine_coupling"], env),
        "zoo show realnvp": Command([*ZOO, "show", "realnvp"], env),
        "zoo schema": Command([*ZOO, "schema"], env),
        "zoo show aff, then a tab": Command(ZOO, env | COMPLETE),
        "zoo --help": Command([*ZOO, "--help"], env),
    }


def _used() -> float:
    """Seconds of the processor that the processes which have ended took."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    main()
