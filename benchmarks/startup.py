"""How long ``zoo --help`` takes, beside an empty Python, and that it does not import torch."""

from __future__ import annotations

import argparse
import subprocess
import sys
from functools import partial

from .harness import COLUMNS, cells, interleave, machine, markdown, summarise, timed

HELP = """
import runpy, sys
sys.argv = ["zoo", "--help"]
try:
    runpy.run_module("zoo", run_name="__main__")
except SystemExit:
    pass
print("torch" in sys.modules)
"""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.startup", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--quick", action="store_true", help="two rounds: does it run?")
    options = parser.parse_args()
    print(machine(1))
    commands = {
        "python -c pass": ["-c", "pass"],
        "zoo --help": ["-m", "zoo", "--help"],
        "import torch": ["-c", "import torch"],
    }
    blocks = {name: timed(partial(run, words), unmeasured=0) for name, words in commands.items()}
    summaries = summarise(interleave(blocks, 2 if options.quick else options.rounds, 1), "python -c pass")
    print("\n" + markdown(["", *COLUMNS], [[name, *cells(summary)] for name, summary in summaries.items()]))
    print(f"\nzoo --help imports torch: {run(['-c', HELP]).splitlines()[-1]}")


def run(words: list[str]) -> str:
    """What a new interpreter prints."""
    return subprocess.run([sys.executable, *words], check=True, capture_output=True, text=True).stdout


if __name__ == "__main__":
    main()
