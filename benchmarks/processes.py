"""Two processes with one thread each beside one process with two threads: the same examples a step, on two cores.

Every run is a whole ``zoo train``; its seconds are those of its loop, without starting up.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile

from .harness import COLUMNS, cells, machine, markdown, progress, summarise

CONTENDERS = {
    "one process, two threads": (["--set", "train.batch={batch}"], "2"),
    "two processes, ddp": (["--set", "train.batch={half}", "--processes", "2"], "1"),
    "two processes, fsdp2": (
        ["--set", "train.batch={half}", "--processes", "2", "--set", "engine.strategy=fsdp2"],
        "1",
    ),
}


def seconds(spec: str, batch: int, steps: int, options: list[str], threads: str) -> float:
    """Seconds of one step of a run."""
    with tempfile.TemporaryDirectory() as runs:
        filled = [option.format(batch=batch, half=batch // 2) for option in options]
        quiet = ["--set", "train.validate_every=null", "--set", "train.best=null", "--set", "train.sample_every=null"]
        where = ["--steps", str(steps), "--device", "cpu", "--runs", runs, "--set", "engine.compile=off", "--json"]
        done = subprocess.run(
            [sys.executable, "-m", "zoo", "train", spec, *where, *quiet, *filled],
            env=os.environ | {"OMP_NUM_THREADS": threads},
            capture_output=True,
            text=True,
            check=True,
        )
    return float(json.loads(done.stdout)["seconds"]) / steps


def main() -> None:
    options = parse()
    print(machine(2))
    for spec, batch, steps in (("realnvp", 64, 60), ("realnvp", 512, 12), ("realnvp-2d", 512, 300)):
        taken: dict[str, list[float]] = {name: [] for name in CONTENDERS}
        for round_number in range(options.rounds):
            for name, (arguments, threads) in CONTENDERS.items():
                taken[name].append(seconds(spec, batch, 4 if options.quick else steps, arguments, threads))
            progress(f"{spec} round {round_number + 1}/{options.rounds}")
        progress("")
        summaries = summarise(taken, "one process, two threads")
        print(f"\n{spec}, {batch} examples a step, {options.rounds} runs of {steps} steps each\n")
        print(markdown(["", *COLUMNS], [[name, *cells(summary)] for name, summary in summaries.items()]))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.processes", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5, help="in each, everyone trains once")
    parser.add_argument("--quick", action="store_true", help="one round of four steps: does it run?")
    options = parser.parse_args()
    if options.quick:
        options.rounds = 1
    return options


if __name__ == "__main__":
    main()
