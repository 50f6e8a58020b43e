"""What ``make test-lowest`` is made of: the lowest versions that pyproject.toml declares, torch aside.

``requirements`` prints them as pip takes them, ``tests`` the files of the suite's fast part, and ``share FOLDER`` lets
an environment use what it lacks, torch and what only tests need, from the one that runs this.
"""

from __future__ import annotations

import sys
import sysconfig
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
AS_THEY_ARE = ("torch", "torchvision")
FAST = (
    "broken_plugins", "budget", "cli", "data", "differing", "doctests", "drawing", "encoding", "errors", "explained",
    "golden_files", "hostile_files", "laws_component", "metrics", "part", "registry", "schema", "share_file",
    "shareable", "spec", "structure", "tables", "unfilled", "verify", "yaml",
)  # fmt: skip


def requirements() -> list[str]:
    """One requirement for each dependency, of its lowest version."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    bounds = [dependency.split(",")[0] for dependency in project["dependencies"]]
    return [bound.replace(">=", "==") for bound in bounds if bound.split(">=")[0] not in AS_THEY_ARE]


def share(folder: Path) -> None:
    """What the environment in this folder lacks it takes from this one."""
    (site,) = folder.glob("lib/python*/site-packages")
    (site / "rest.pth").write_text(f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n")


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["requirements"]:
            print(*requirements())
        case ["tests"]:
            print(*(file for name in FAST for file in (ROOT / "tests").rglob(f"test_{name}.py")))
        case ["share", folder]:
            share(Path(folder))
        case _:
            sys.exit(__doc__)
