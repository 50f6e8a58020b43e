"""Fresh environments: zoo's own wheel, with torch and the other dependencies seen from where the tests found them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path

import torch

ROOT = Path(__file__).parents[2]
PIP = {
    "PIP_CONFIG_FILE": os.devnull,
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    "PIP_NO_BUILD_ISOLATION": "0",  # so named that zero turns the isolation off
    "PIP_NO_DEPS": "1",
    "PIP_NO_INDEX": "1",
}
"""pip without a network, and without a second torch."""


def wheel_of(folder: Path) -> Path:
    """zoo's wheel, of a copy of the checkout, so that nothing is left in this one."""
    copy = folder / "checkout"
    for name in ("zoo", "plugins", "specs", "docs"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, copy)
    command = [sys.executable, "-m", "pip", "wheel", "-q", "-w", str(folder), str(copy)]
    subprocess.run(command, check=True, capture_output=True, env=os.environ | PIP)
    (file,) = folder.glob("*.whl")
    return file


@dataclass(frozen=True)
class Environment:
    """A virtual environment, and a folder for what is kept and made there."""

    home: Path

    def run(self, *command: str | Path, folder: Path | None = None, **words: str) -> subprocess.CompletedProcess[str]:
        """A command of this environment, whatever becomes of it."""
        kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
        path = os.pathsep.join([str(self.home / "bin"), kept.get("PATH", os.defpath)])
        own = {
            "PATH": path,
            "ZOO_CACHE": str(self.home / "cache"),
            "OMP_NUM_THREADS": "1",
            "VIRTUAL_ENV": str(self.home),
        }
        told = [str(self.home / "bin" / command[0]), *map(str, command[1:])]
        cwd = folder or self.home
        return subprocess.run(
            told,
            env=kept | PIP | own | words,
            cwd=cwd,
            text=True,
            capture_output=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )

    def tell(self, *command: str | Path, folder: Path | None = None) -> str:
        """What a command says on standard output, which must work."""
        done = self.run(*command, folder=folder)
        assert done.returncode == 0, f"{command}:\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def pip(self, *words: str | Path) -> None:
        """Install or uninstall here."""
        self.tell("python", "-m", "pip", *words)


def environment_with(wheel: Path, home: Path) -> Environment:
    """A fresh environment with a wheel in it, and nothing else of its own.

    A ``.pth`` line adds the folder that torch lies in. Lines of ``.pth`` files in that folder are not read, so that
    what is installed there in place, zoo itself for one, is not importable from here.
    """
    venv.create(home, symlinks=True)
    (packages,) = (home / "lib").glob("python*/site-packages")
    (packages / "torch.pth").write_text(f"{Path(torch.__file__).parent.parent}\n")
    made = Environment(home)
    made.pip("install", "--ignore-installed", wheel)
    return made
