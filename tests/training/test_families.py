"""Other families live in a package of their own: the same commands serve them, and nothing in zoo knows of them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from run_equality import assert_same_run
from safetensors.torch import load_file

import zoo
from zoo.run import checkpoint

TOYS = Path(__file__).parents[1] / "zoo-toys"
SPECS = TOYS / "specs"
NAMES = ("gan", "consistency", "control-vae", "nade")
SCORED = {"control-vae": "bound", "nade": "exact"}
COMMANDS = """
import json, sys
from zoo.cli import app
for command in json.loads(sys.argv[1]):
    try:
        app(command)
    except SystemExit as done:
        if done.code:
            raise
"""


class Installation:
    """zoo with the package of toys beside it, in processes of its own."""

    def __init__(self, packages: Path) -> None:
        path = os.pathsep.join(filter(None, [str(packages), os.environ.get("PYTHONPATH")]))
        self.environment = os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"}

    def __call__(self, *commands: list[str]) -> list[dict[str, Any]]:
        """Run command lines one after the other in one process; what each printed as JSON."""
        asked = json.dumps([[*command, "--json"] for command in commands])
        done = self.run([sys.executable, "-c", COMMANDS, asked])
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    def run(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False)


@pytest.fixture(scope="session")
def toys(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    source, packages = tmp_path_factory.mktemp("source") / "toys", tmp_path_factory.mktemp("packages")
    shutil.copytree(TOYS, source)  # building leaves files in the source
    pip = [sys.executable, "-m", "pip", "install", "--no-deps", "--no-build-isolation", "--no-index", "-q"]
    subprocess.run([*pip, "--target", str(packages), str(source)], check=True)
    return Installation(packages)


@dataclass(frozen=True)
class Family:
    """One spec through all commands: trained whole, and in two halves by two processes."""

    home: Path
    name: str
    trained: dict[str, Any]
    told: list[dict[str, Any]]

    @property
    def whole(self) -> Path:
        return self.home / self.name / "whole"

    @property
    def halves(self) -> Path:
        return self.home / self.name / "halves"

    @property
    def file(self) -> Path:
        return self.home / f"{self.name}.safetensors"

    def draws(self, seed: int) -> Any:
        return np.load(self.home / f"{self.name}-{seed}.npy")

    def state(self) -> dict[str, Any]:
        home = self.whole / "checkpoints"
        return checkpoint.load(home, checkpoint.newest(home)[0])


@pytest.fixture(scope="session")
def families(toys: Installation, device: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Family]:
    home, on = tmp_path_factory.mktemp("families"), ["--device", device]
    before, after = [], []
    for name in NAMES:
        spec, file = str(SPECS / f"{name}.yaml"), str(home / f"{name}.safetensors")
        train = ["train", spec, "--runs", str(home), *on, "--name"]
        before += [["build", spec], [*train, "whole"], [*train, "halves", "--steps", "6"]]
        runs = home / name
        after += [["train", "--resume", str(runs / "halves")], ["export", str(runs / "whole"), "-o", file]]
        after += [["sample", file, "-o", str(home / f"{name}-{i}.npy"), *on] for i in (1, 2)]
        after += [["evaluate", file, *on] if name in SCORED else ["compare", file]]
    told = [toys(*before), toys(*after)]
    return {name: Family(home, name, told[0][3 * i + 1], told[1][5 * i : 5 * i + 5]) for i, name in enumerate(NAMES)}


@pytest.fixture
def family(request: pytest.FixtureRequest, families: dict[str, Family]) -> Family:
    return families[request.param]


each = pytest.mark.parametrize("family", NAMES, indirect=True)


@each
def test_resume_is_exact(family: Family) -> None:
    assert_same_run(family.halves, family.whole)


@each
def test_training_moves(family: Family) -> None:
    first, last = (load_file(family.whole / "checkpoints" / f"step-{n}" / "state.safetensors") for n in (6, 12))
    still = [name for name in first if name.startswith("/model/") and torch.equal(first[name], last[name])]
    assert set(still) <= {"/model/times"}  # the noise levels of the consistency model are fixed


@each
def test_draws_the_same_twice(family: Family) -> None:
    one, two = family.draws(1), family.draws(2)
    assert len(one) == family.told[2]["n"]
    assert np.isfinite(one).all()
    assert np.array_equal(one, two)


@each
def test_the_shared_file_is_what_was_trained(family: Family) -> None:
    assert family.file.read_bytes() == (family.whole / "model.safetensors").read_bytes()


@each
def test_needs_its_plugin(family: Family) -> None:
    with pytest.raises(zoo.PluginError, match=r"needs components that are not installed: .*zoo-toys"):
        zoo.load(family.file)


@pytest.mark.parametrize("name", SCORED)
def test_scores_with_a_likelihood(name: str, families: dict[str, Family]) -> None:
    trained, scored = families[name].trained, families[name].told[4]
    assert trained["split"] == scored["split"] == "test"
    assert scored["metrics"] == pytest.approx(trained["metrics"])
    assert scored["kinds"]["nll"] == SCORED[name]


def test_compares_without_one(families: dict[str, Family]) -> None:
    (row,) = families["gan"].told[4]["rows"]
    assert families["gan"].trained["split"] == "train"
    assert (row["name"], row["step"], row["metrics"]) == ("gan", 12, {})
    assert row["seconds_per_sample"] > 0


def test_players_take_their_updates(families: dict[str, Family]) -> None:
    optimizers = families["gan"].state()["optimizers"]
    taken = {name: {int(s["step"]) for s in state["state"].values()} for name, state in optimizers.items()}
    assert taken == {"discriminator": {24}, "generator": {12}}


def test_teacher_follows_and_is_not_averaged(families: dict[str, Family]) -> None:
    state, shared = families["consistency"].state(), load_file(families["consistency"].file)
    live = state["model"]
    students = [name for name in live if name.startswith("student.")]
    assert len(state["optimizers"]["model"]["state"]) == len(students)
    for name in students:
        teacher = name.replace("student", "teacher")
        assert torch.equal(shared[teacher], live[teacher])
        assert not torch.equal(shared[name], live[name])
        assert not torch.equal(live[teacher], live[name])


def test_controller_acts_once_a_step(families: dict[str, Family]) -> None:
    family = families["control-vae"]
    rows = [json.loads(line) for line in (family.whole / "metrics.jsonl").read_text().splitlines()]
    errors = [0.05 - row["kl"] for row in rows if row["split"] == "train"]  # the means of four steps each
    integral = family.state()["model"]["controller.integral"]
    assert float(integral) == pytest.approx(-0.01 * 4 * sum(errors), rel=1e-5)


def test_draws_one_element_after_the_other(families: dict[str, Family]) -> None:
    x = families["nade"].draws(1)
    assert x.shape == (4, 1, 8, 8)
    assert x.dtype == np.uint8
    assert x.max() <= 16


def test_a_plugin_brings_a_kind(toys: Installation) -> None:
    script = shutil.which("zoo", path=str(Path(sys.executable).parent)) or pytest.skip("zoo is not installed here")
    done = toys.run([script, "list", "controller", "--json"])
    assert json.loads(done.stdout)["components"]["controller"].keys() == {"toys.pi"}
    wrong = toys.run([script, "build", str(SPECS / "control-vae.yaml"), "--set", "model.controller=mlp"])
    assert wrong.returncode == 2
    assert "'mlp' is a conditioner, a decoder and an encoder, expected a controller" in wrong.stderr
