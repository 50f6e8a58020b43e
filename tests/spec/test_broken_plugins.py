"""Whatever a stranger's component does wrong is one message: who brought it, where in the spec, where in its code."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_plugins import installed
from python_file import SCALE, SPEC
from typer.testing import CliRunner

from zoo.cli.app import app

BRINGER = r"the plugin 'mine' \(mine\.py 0\+[0-9a-f]{12}\) is broken:"
PART = r"model\.transforms\[0\]  bijection 'mine\.scale' of mine\.py 0\+[0-9a-f]{12}:"
LEFT = "return x * self.by, sum_event(torch.full_like(x, self.by).log())"
INIT = "self.by = by"
HEAD = "(self, shape: Shape, *, by: float = BY)"

WRONG = {
    "raises at import": (
        "import torch\n",
        "import torchh\n",
        4,
        rf"{BRINGER}.*mine\.py\", line 5.*No module named 'torchh'",
    ),
    "raises at class definition": (
        "class Scale(Bijection):",
        "class Scale(Bijection, metaclass=3):",
        4,
        rf"{BRINGER}.*mine\.py\", line 13.*'int' object is not callable",
    ),
    "is of no kind": ("class Scale(Bijection):", "class Scale:", 4, rf"{BRINGER}.*line 12.*Scale has no kind"),
    "bears a name that cannot be": ('"scale"', '"Sc-ale"', 4, rf"{BRINGER}.*line 12.*must be snake_case, got 'Sc-ale'"),
    "has no annotation": (
        "by: float = BY",
        "by=BY",
        4,
        rf"{BRINGER}.*'by' of Scale has no annotation\n  in .*mine\.py, line 12",
    ),
    "takes what no spec can write": (
        "by: float = BY",
        "by: Tensor = BY",
        4,
        rf"{BRINGER}.*'by' of Scale has type Tensor, which cannot be written in YAML\n  in .*mine\.py",
    ),
    "has a wrong default": (
        "by: float = BY",
        "by: int = 'a'",
        4,
        rf"{BRINGER}.*default of 'by' of Scale: .*a whole number, got 'a'\n  in .*mine\.py",
    ),
    "takes whatever comes": (
        "by: float = BY)",
        "by: float = BY, **rest: float)",
        4,
        rf"{BRINGER}.*takes \*\*rest: .*must be named one by one\n  in .*mine\.py",
    ),
    "raises at build": (INIT, "self.by = by['x']", 2, rf"{PART} TypeError: .*subscriptable \(.*mine\.py, line 18\)"),
    "refuses": (INIT, "raise ValueError('takes no vectors')", 2, rf"{PART} takes no vectors\n"),
    "takes what no parent gives": (
        HEAD,
        "(self, shape: Shape, width: int, *, by: float = BY)",
        2,
        rf"{PART} its __init__ must take the 1 positional arguments of a bijection .*'width'",
    ),
    "lacks a method": ("def inverse", "def inverted", 2, rf"{PART} TypeError: .*abstract method '?inverse"),
    "forgets its base": ("super().__init__(shape)", "pass", 2, rf"{PART} its __init__ does not call super\(\)"),
    "raises in forward": (LEFT, "return x @ self.by, x", 2, rf"{PART} TypeError: .* @.*\(.*mine\.py, line 21\)"),
    "returns a wrong shape": (LEFT, "return x[:, :1], x.sum(1)", 2, rf"{PART} its z is \[2, 1\], expected \[B, 2\]"),
    "returns a wrong log-determinant": (LEFT, "return x, x", 2, rf"{PART} its log_det is \[2, 2\], expected \[B\]"),
    "returns no pair": (LEFT, "return x", 2, rf"{PART} its result is Tensor, expected a pair"),
}


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    with installed():
        yield


def said(folder: Path, sound: str, broken: str, command: str, *options: str) -> tuple[int, str]:
    """Exit code and messages of a command on a spec whose component is broken."""
    text = "\n".join(line.removeprefix("    ") for line in SCALE.strip("\n").splitlines()) + "\n"
    assert text.count(sound) == 1
    (folder / "mine.py").write_text(text.replace(sound, broken))
    (folder / "try.yaml").write_text(SPEC)
    result = CliRunner().invoke(
        app, [command, str(folder / "try.yaml"), *(["--runs", str(folder)] * (command == "train"))]
    )
    return result.exit_code, result.stderr


@pytest.mark.parametrize("wrong", WRONG)
def test_it_is_told_with_who_and_where(wrong: str, tmp_path: Path) -> None:
    sound, broken, code, message = WRONG[wrong]
    exit_code, stderr = said(tmp_path, sound, broken, "build")
    assert exit_code == code, stderr
    assert re.search(rf"(?s)try\.yaml:\d+:\d+  .*{message}", stderr), stderr
    assert "/zoo/" not in stderr.replace(str(tmp_path), ""), "frames of zoo tell a plugin's author nothing"


def test_nan_is_told_with_the_part_that_gave_it_first(tmp_path: Path) -> None:
    exit_code, stderr = said(tmp_path, LEFT, "return x * float('nan'), x.sum(1)", "train", "--runs", str(tmp_path))
    assert exit_code == 3
    assert re.search(r"diverged at step 0: 'nll' became NaN or infinite, first in .*try\.yaml:4:\d+  bijection "
                     r"'mine\.scale' of mine\.py 0\+", stderr), stderr  # fmt: skip


def test_what_is_given_nan_is_not_blamed(tmp_path: Path) -> None:
    """The parts above it give NaN as well, and so do those after it."""
    exit_code, stderr = said(tmp_path, LEFT, "return x, x.sum(1)", "train", "--runs", str(tmp_path))
    assert (exit_code, "first in" in stderr) == (0, False), stderr
