"""The lowest versions that pyproject.toml declares, as pip takes them: ``pydantic==2.9 typer==0.15 ...``.

``make test-lowest`` runs the fast part of the suite with them. torch and torchvision are those of ``.venv``.
"""

from __future__ import annotations

import tomllib
from pathlib import Path

PROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
AS_THEY_ARE = ("torch", "torchvision")


def lowest() -> list[str]:
    """One requirement for each dependency."""
    found = []
    for dependency in PROJECT["dependencies"]:
        name, _, version = dependency.partition(">=")
        if name not in AS_THEY_ARE:
            found.append(f"{name}=={version.split(',')[0]}")
    return found


if __name__ == "__main__":
    print(*lowest())
