"""The command in a process of its own: what it prints, and what it had imported when it ended."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

ASK = """
import atexit, sys
atexit.register(lambda: print(*sys.modules, file=sys.stderr))
from zoo.cli import app
app(prog_name="zoo")
"""


def ask(*words: str, env: Mapping[str, str], cwd: Path | None = None) -> tuple[str, set[str]]:
    """What ``zoo`` prints with these words, and the names of the modules."""
    command = [sys.executable, "-c", ASK, *words]
    done = subprocess.run(command, env={**os.environ, **env}, cwd=cwd, check=True, capture_output=True, text=True)
    return done.stdout, set(done.stderr.splitlines()[-1].split())


def tab(line: str, env: Mapping[str, str], cwd: Path) -> tuple[list[str], set[str]]:
    """What bash is told of a command line that ends where the cursor is."""
    asked = {"_ZOO_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(line.count(" "))}
    told, imported = ask(env={**env, **asked}, cwd=cwd)
    return told.split(), imported
