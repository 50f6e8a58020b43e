"""Toys of what training can do, through all stages: built, trained, resumed, exported, and used in a fresh process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageSequence
from run_equality import assert_same_run
from safetensors.torch import load_file
from test_families import COMMANDS, SPECS
from toys import TOYS, toys

import zoo
from zoo.assembly import build as assembly
from zoo.format.header import read_header
from zoo.run import checkpoint
from zoo.share.file import reexport
from zoo.spec import load_spec

NAMES = ("gan-players", "frozen-encoder", "energy", "pair", "captioner", "clips")


@dataclass(frozen=True)
class Toy:
    """One spec, trained whole and in halves, and its share file."""

    spec: zoo.Spec
    whole: zoo.Run
    halves: Path
    file: Path

    @property
    def saved(self) -> Any:
        home = self.whole.directory / "checkpoints"
        return checkpoint.load(home, checkpoint.newest(home)[0])

    @property
    def optimizers(self) -> dict[str, int]:
        """How many steps each player has taken, by the moments of its first parameter; none of an optimizer without."""
        states = {name: state["state"].get(0, {}) for name, state in self.saved["optimizers"].items()}
        return {name: int(state["step"]) for name, state in states.items() if "step" in state}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("toys")


@pytest.fixture(scope="module")
def trained(home: Path) -> Iterator[dict[str, Toy]]:
    """Every toy. The frozen encoder starts from two autoencoders."""
    with toys():
        cpu = ["engine.device=cpu"]
        starts = [
            zoo.train(load_spec(SPECS / "control-vae.yaml", [*cpu, f"train.seed={i}"]), runs=home) for i in (1, 2)
        ]
        files = [f"init_from.{i}.file={run.model}" for i, run in enumerate(starts)]
        found = {}
        for name in NAMES:
            spec = load_spec(SPECS / f"{name}.yaml", [*cpu, *files] if name == "frozen-encoder" else cpu)
            assembly.check(spec)
            whole = zoo.train(spec, runs=home, name="whole")
            halves = zoo.resume(zoo.train(spec, runs=home, name="halves", steps=6).directory)
            file = home / f"{name}.safetensors"
            reexport(whole.directory, file, None)
            found[name] = Toy(spec, whole, halves.directory, file)
        yield found


@pytest.fixture
def toy(request: pytest.FixtureRequest, trained: dict[str, Toy]) -> Toy:
    return trained[request.param]


@pytest.fixture(scope="module")
def used(trained: dict[str, Toy], home: Path) -> list[dict[str, Any]]:
    """What a process says that has the package of toys, and the files alone."""
    packages = home / "packages"
    about = packages / "zoo_toys-0.1.0.dist-info"
    about.mkdir(parents=True)
    (packages / "zoo_toys").symlink_to(TOYS / "zoo_toys")
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: zoo-toys\nVersion: 0.1.0\n")
    (about / "entry_points.txt").write_text("[zoo.plugins]\ntoys = zoo_toys\n")
    image = torch.zeros(4, 4, dtype=torch.uint8)
    image[2] = 255
    Image.fromarray(image.numpy()).save(home / "row-2.png")
    given = ["--given", f"image={home / 'row-2.png'}"]
    commands = [
        ["sample", str(trained["gan-players"].file), "-o", str(home / "gan.npy")],
        ["sample", str(trained["energy"].file), "-o", str(home / "energy.npy")],
        ["sample", str(trained["pair"].file), "-o", str(home / "pair.jsonl")],
        ["sample", str(trained["captioner"].file), "-o", str(home / "texts.txt"), *given],
        ["sample", str(trained["clips"].file), "-o", str(home / "clips.gif")],
        ["sample", str(trained["frozen-encoder"].file), "-o", str(home / "frozen.npy")],
    ]
    asked = json.dumps([[*command, "--json", "--device", "cpu"] for command in commands])
    path = os.pathsep.join(filter(None, [str(packages), os.environ.get("PYTHONPATH")]))
    environment = os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", COMMANDS, asked], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.parametrize("toy", NAMES, indirect=True)
def test_resume_is_exact(toy: Toy) -> None:
    assert_same_run(toy.halves, toy.whole.directory)


def test_files_are_used_in_a_fresh_process(used: list[dict[str, Any]], home: Path) -> None:
    assert [answer.get("n") for answer in used] == [20] * 6
    for name, width in (("gan", 2), ("energy", 2), ("frozen", 2)):
        values = np.load(home / f"{name}.npy")
        assert values.shape[1:] == (width,)
        assert np.isfinite(values).all()


def shown(toy: Toy) -> set[str]:
    """The endings of the samples that training wrote."""
    return {path.suffix for path in (toy.whole.directory / "samples").iterdir()}


def test_entries_are_drawn_together(used: list[dict[str, Any]], trained: dict[str, Toy], home: Path) -> None:
    rows = [json.loads(line) for line in (home / "pair.jsonl").read_text().splitlines()]
    assert len(rows) == 20
    assert all(row.keys() == {"image", "text"} and isinstance(row["text"], str) for row in rows)
    model: Any = zoo.load(trained["pair"].file)
    assert model.event == trained["pair"].spec.data().event
    drawn = model.sample_entries(3)
    assert {name: tuple(x.shape) for name, x in drawn.items()} == {"image": (3, 1, 4, 4), "text": (3, 4)}
    assert torch.equal(model.sample(0), drawn["image"][:0])


def test_texts_are_of_the_image_that_is_given(used: list[dict[str, Any]], trained: dict[str, Toy], home: Path) -> None:
    assert len((home / "texts.txt").read_text().splitlines()) == 20
    model: Any = zoo.load(trained["captioner"].file)
    text = model.event.tokens(["row 2"])
    images = torch.zeros(2, 1, 4, 4, dtype=torch.uint8)
    images[0, :, 2], images[1, :, :, 2] = 1, 1
    with torch.no_grad():
        here, there = (float(model.log_prob(text, {"image": image[None]})) for image in images)
    assert here > there
    assert [path.suffix for path in sorted((trained["captioner"].whole.directory / "samples").iterdir())] == [
        ".txt"
    ] * 2


def test_clips_are_moving_pictures(used: list[dict[str, Any]], trained: dict[str, Toy], home: Path) -> None:
    with Image.open(home / "clips.gif") as clips:
        assert sum(1 for _ in ImageSequence.Iterator(clips)) == 3
    assert shown(trained["clips"]) == {".gif"}


def test_each_player_has_its_own_optimizer_and_steps(trained: dict[str, Toy]) -> None:
    toy = trained["gan-players"]
    states = toy.saved["optimizers"]
    assert toy.optimizers == {"generator": 6}  # in every second step of twelve
    assert set(states["discriminator"]["state"][0]) == {"momentum_buffer"}
    assert states["discriminator"]["param_groups"][0]["initial_lr"] == 0.05
    generator = [name for name in load_file(toy.file) if name.startswith("generator.")]
    assert len(toy.saved["average"]) == len(generator)


def test_the_encoder_is_that_of_its_file(trained: dict[str, Toy]) -> None:
    toy = trained["frozen-encoder"]
    files = [Path(source.file) for source in toy.spec.sources().values()]
    first, second = (load_file(file) for file in files)
    ours = load_file(toy.file)
    still = {name for name in ours if ours[name].equal(first[name])}
    assert still == {name for name in ours if name.startswith("encoder.")}
    assert not any(ours[name].equal(second[name]) for name in ours)
    assert read_header(toy.file).meta["parent"] == [read_header(file).meta["digest"] for file in files]


def test_chains_are_saved_and_not_shared(trained: dict[str, Toy]) -> None:
    toy = trained["energy"]
    ((name, chains),) = toy.saved["training_state"][0].items()
    assert (name, tuple(chains.shape)) == ("replay.chains", (2000, 2))
    assert name not in load_file(toy.file)
    assert toy.file.stat().st_size < chains.nbytes
