"""What a stranger writes, installs and takes away, beside zoo's wheel in an environment of their own."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from environments import ROOT, Environment, environment_with, wheel_of

ACME = ROOT / "examples" / "zoo-acme"
WHO = """
import importlib.metadata, json, zoo
points = importlib.metadata.entry_points(group="zoo.plugins")
print(json.dumps([zoo.__file__, [[point.name, str(point.dist.locate_file(""))] for point in points]]))
"""
ONE_AFTER_THE_OTHER = """
import json, sys
from zoo.cli import app
for command in json.loads(sys.argv[1]):
    app(command, standalone_mode=False)
"""
HOLD = "from zoo.testing import laws_of; laws = laws_of('tiny'); [law() for law in laws]; print(len(laws))"


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    folder = tmp_path_factory.mktemp("fresh")
    return environment_with(wheel_of(folder), folder / "venv")


@dataclass(frozen=True)
class Followed:
    """What became of the five minutes."""

    done: subprocess.CompletedProcess[str]
    package: Path


@pytest.fixture(scope="module")
def five_minutes(fresh: Environment, tmp_path_factory: pytest.TempPathFactory) -> Followed:
    folder = tmp_path_factory.mktemp("five")
    (fresh.home / "bin" / "sh").symlink_to(shutil.which("sh") or "/bin/sh")
    done = fresh.run("sh", ROOT / "docs" / "five-minutes.sh", folder=folder, STEPS="20")
    return Followed(done, folder / "zoo-mine")


def test_the_wheel_is_what_runs(fresh: Environment) -> None:
    """Neither the checkout nor the installation that runs the tests: each plugin is found once, in the wheel."""
    file, points = json.loads(fresh.tell("python", "-c", WHO))
    assert Path(file).is_relative_to(fresh.home)
    assert {Path(place) for _, place in points} == {Path(file).parent.parent}
    names = [name for name, _ in points]
    assert len(names) == len(set(names)) > 5


def test_a_strangers_package_comes_and_goes(fresh: Environment, tmp_path: Path) -> None:
    """Installed, it is listed, obeys the laws, trains and ships; uninstalled, its file says what to install."""
    source, runs, file = tmp_path / "zoo-acme", tmp_path / "runs", tmp_path / "acme.safetensors"
    shutil.copytree(ACME, source, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info", "build", "runs"))
    fresh.pip("install", source)
    listed = json.loads(fresh.tell("zoo", "list", "--json"))["components"]
    for kind, name in {"bijection": "sinh_arcsinh", "conditioner": "siren", "weighting": "free_bits"}.items():
        assert listed[kind][f"acme.{name}"]
    passed = fresh.tell("python", "-m", "pytest", "-q", folder=source)
    assert re.search(r"\d{3} passed", passed) and "failed" not in passed and "skipped" not in passed

    spec = source / "specs" / "sinh-arcsinh-2d.yaml"
    run, draws = runs / "sinh-arcsinh-2d" / "run", tmp_path / "draws.csv"
    commands = [
        ["train", spec, "--small", "--runs", runs, "--name", run.name, "--json"],
        ["export", run, "-o", file],
        ["sample", file, "-n", "10", "-o", draws],
        ["verify", file, "--json"],
    ]
    asked = json.dumps([[str(word) for word in command] for command in commands])
    told = fresh.tell("python", "-c", ONE_AFTER_THE_OTHER, asked).splitlines()
    assert json.loads(told[0])["run"] == str(run)
    rows = json.loads(told[-1])["components"]
    brought = {row["name"]: row["state"] for row in rows if row["distribution"] == "zoo-acme"}
    assert brought == {"acme.siren": "ok", "acme.sinh_arcsinh": "ok"}
    assert draws.is_file()

    fresh.pip("uninstall", "-y", "zoo-acme")
    assert "acme." not in fresh.tell("zoo", "list")
    refused = fresh.run("zoo", "sample", file, "-o", tmp_path / "none.csv")
    assert refused.returncode == 4
    assert "'acme.sinh_arcsinh' of zoo-acme 0.1.0" in refused.stderr
    assert refused.stderr.rstrip().endswith("pip install zoo-acme==0.1.0")
    assert "Traceback" not in refused.stderr
    assert not (tmp_path / "none.csv").exists()


def test_five_minutes(five_minutes: Followed) -> None:
    """The script as a reader follows it, its training cut short: the laws pass, and there is a picture."""
    done, package = five_minutes.done, five_minutes.package
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert re.search(r"\d\d passed", done.stdout) and "failed" not in done.stdout
    shown = done.stdout.partition("bijection 'mine.leaky'")[2]
    for edited in ("and stretches what lies above", r"\max(x, 0) / s + s \min(x, 0)", "[[2.0, -1.0]], 0.0"):
        assert edited in shown
    assert (package / "moons.png").read_bytes().startswith(b"\x89PNG")


def test_a_wrong_formula_is_told(five_minutes: Followed, fresh: Environment) -> None:
    """The same edit without its log-determinant: a law says what is wrong with it, in numbers."""
    module = five_minutes.package / "zoo_mine" / "leaky.py"
    right = module.read_text()
    wrong = right.replace("torch.full_like(x, -math.log(slope))", "torch.zeros_like(x)")
    assert wrong != right
    module.write_text(wrong)
    told = fresh.run("python", "-m", "pytest", "-q", "-k", "leaky-2 and jacobian", folder=five_minutes.package)
    module.write_text(right)
    assert told.returncode == 1
    assert "1 failed" in told.stdout
    assert re.search(r"LawBroken: .*log_det", told.stdout), told.stdout


MATHS = re.compile(r"\s+(return |\")")
TINY = {
    "pyproject.toml": """\
[project]
name = "zoo-tiny"
version = "1.0"
dependencies = ["generative-zoo"]
[project.entry-points."zoo.plugins"]
tiny = "zoo_tiny"
""",
    "zoo_tiny.py": """\
import torch
from zoo import Bijection, component, sum_event

@component("arsinh")
class Arsinh(Bijection):
    "Inverse hyperbolic sine, z = arsinh x."

    def forward(self, x, context=None):
        return torch.asinh(x), -sum_event(0.5 * torch.log1p(x * x))

    def inverse(self, z, context=None):
        return torch.sinh(z), sum_event(torch.logaddexp(z, -z) - torch.log(torch.tensor(2.0, dtype=z.dtype)))
""",
}
"""The least that makes a bijection that pip installs, specs can name and the laws hold of."""


def test_a_minimal_plugin_is_twelve_lines_beyond_its_maths(fresh: Environment, tmp_path: Path) -> None:
    """Every line that is not blank counts, those of pyproject.toml too, but for the three that hold the formulas."""
    lines = [line for text in TINY.values() for line in text.splitlines() if line.strip()]
    assert len([line for line in lines if MATHS.match(line)]) == 3
    assert len([line for line in lines if not MATHS.match(line)]) <= 12
    for name, text in TINY.items():
        (tmp_path / name).write_text(text)
    fresh.pip("install", tmp_path)
    assert int(fresh.tell("python", "-c", HOLD)) > 50
