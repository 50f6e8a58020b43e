"""Golden texts: a spec, a command and what it must say, in one file each.

A file has sections, each opened by a line ``=== TITLE``: ``$ COMMAND`` is what is run, ``exit CODE`` what is expected
on standard error, and every other title is the name of a file that stands beside it. Set ``ZOO_WRITE_GOLDEN`` to
write what is said into the files, and read the difference before it is kept.
"""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "golden"
WRITE = bool(os.environ.get("ZOO_WRITE_GOLDEN"))


@dataclass(frozen=True)
class Golden:
    """One file of golden text."""

    path: Path
    command: list[str]
    files: dict[str, str]
    code: int
    text: str

    def __str__(self) -> str:
        return self.path.stem

    def write(self, code: int, text: str) -> None:
        """Let the file expect this."""
        kept = self.path.read_text(encoding="utf-8").partition("=== exit")[0]
        self.path.write_text(f"{kept}=== exit {code}\n{text}", encoding="utf-8")


def goldens() -> list[Golden]:
    """Every golden file, by name."""
    return [read(path) for path in sorted(FOLDER.glob("*.txt"))]


def read(path: Path) -> Golden:
    """The sections of a golden file."""
    sections: dict[str, str] = {}
    title = ""
    for line in path.read_text(encoding="utf-8").splitlines(keepends=True):
        if line.startswith("=== "):
            title = line.removeprefix("=== ").rstrip("\n")
            sections[title] = ""
        else:
            sections[title] += line
    command = next(t for t in sections if t.startswith("$ zoo "))
    expected = next((t for t in sections if t.startswith("exit ")), "exit 0")
    files = {t: text for t, text in sections.items() if t not in (command, expected)}
    words = shlex.split(command.removeprefix("$ zoo "))
    return Golden(path, words, files, int(expected.removeprefix("exit ")), sections.get(expected, ""))
