"""What the quick start and the tutorials say runs, block by block."""

from __future__ import annotations

import os
import re
import site
import subprocess
import venv
from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

DOCS = Path(__file__).parents[2] / "docs"
RUN = ("index.md", "write-a-component.md", "share-a-checkpoint.md")
"""The pages whose blocks run, in their order and in one folder.

A block whose first line is a comment with the name of a file is that file; one of ``sh`` or ``python`` is run. Excerpts
of YAML without a name, and blocks of other languages, are only read.
"""
NAMED = re.compile(r"# ([\w/.-]+\.(?:py|yaml))\n")
SHIMS = {
    "zoo": 'exec "{python}" -m zoo "$@"',
    "pytest": 'exec "{python}" -m pytest -q -p no:cacheprovider "$@"',
    "pip": 'exec "{python}" -m pip "$@" -q --no-deps --no-build-isolation --no-index',
}


def blocks(text: str) -> list[Token]:
    return [token for token in MarkdownIt("commonmark").parse(text) if token.type == "fence"]


def script(page: Path) -> str:
    """The blocks of a page as one script."""
    lines = ["set -euo pipefail"]
    for block in blocks(page.read_text()):
        named = NAMED.match(block.content)
        if named:
            lines += [f"mkdir -p $(dirname {named[1]})", f"cat > {named[1]} <<'END'\n{block.content}END"]
        elif block.info == "python":
            lines += [f"python - <<'END'\n{block.content}END"]
        elif block.info == "sh":
            lines += [block.content]
    return "\n".join(lines)


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """An installation of its own that sees what is installed here: what a page installs goes into it alone."""
    home = tmp_path / "venv"
    venv.create(home, symlinks=True)
    (packages,) = home.glob("lib/python*/site-packages")
    here = [folder for folder in site.getsitepackages() if Path(folder).is_dir()]
    (packages / "here.pth").write_text("".join(f"import site; site.addsitedir({folder!r})\n" for folder in here))
    for name, line in SHIMS.items():
        shim = home / "bin" / name
        shim.write_text(f"#!/bin/sh\n{line.format(python=home / 'bin' / 'python')}\n")
        shim.chmod(0o755)
    return os.environ | {"PATH": f"{home / 'bin'}{os.pathsep}{os.environ['PATH']}", "OMP_NUM_THREADS": "1"}


@pytest.mark.parametrize("name", RUN)
def test_what_a_page_says_runs(name: str, tmp_path: Path, environment: dict[str, str]) -> None:
    folder = tmp_path / "reader"
    folder.mkdir()
    commands = ["bash", "-c", script(DOCS / name)]
    done = subprocess.run(commands, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert list(folder.rglob("model.safetensors"))


def test_pages_that_run_have_something_to_run() -> None:
    for name in RUN:
        assert sum(block.info in ("sh", "python") for block in blocks((DOCS / name).read_text())) >= 2
