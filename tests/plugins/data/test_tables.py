"""Tables with columns that are given: which are modelled, and a flow of the one given the other, from file to draws."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

import zoo
from zoo.cli.app import app

TEXT = "a,b,c,d\n" + "".join(f"{n},{n + 10},{n + 20},{n + 30}\n" for n in range(8))
HEAD = zoo.Event("row", zoo.Shape(2), features=2)


def table(path: Path | str, **more: Any) -> zoo.Dataset:
    built: zoo.Dataset = zoo.declare(zoo.Dataset, {"type": "table", "train": str(path), **more})()
    return built


def first(data: zoo.Dataset, split: Any = "train") -> dict[str, list[float]]:
    return {key: x[0].tolist() for key, x in data.split(split).read(torch.tensor([0])).items()}


@pytest.fixture
def csv(tmp_path: Path) -> Path:
    path = tmp_path / "x.csv"
    path.write_text(TEXT)
    return path


@pytest.mark.parametrize(
    ("chosen", "row", "features"),
    [
        ({"features": ["b"]}, [0, 20, 30], [10]),
        ({"features": ["d", 1]}, [0, 20], [30, 10]),
        ({"columns": ["c"], "features": [3, "a"]}, [20], [30, 0]),
        ({"columns": ["d", "a"], "features": ["b"]}, [30, 0], [10]),
        ({"features": ["b"], "dims": 3}, [0, 20, 30], [10]),
    ],
)
def test_given_columns_stand_beside_the_others(chosen: Any, row: Any, features: Any, csv: Path) -> None:
    data = table(csv, test=str(csv), **chosen)
    assert first(data) == {"row": row, "features": features}
    names = tuple({0: "a", 10: "b", 20: "c", 30: "d"}[value] for value in row)
    known = None if "dims" in chosen else names  # declared by their number, columns are read from no file
    assert data.event == zoo.Event("row", zoo.Shape(len(row)), features=len(features), columns=known)
    assert data.split("train").read(torch.tensor([1]))["features"].dtype == torch.float32


def test_without_given_columns_there_are_no_features(csv: Path) -> None:
    assert table(csv).event.features is None
    assert set(first(table(csv))) == {"row"}


@pytest.mark.parametrize("split", ["train", "test"])
def test_a_row_keeps_its_own_features(split: Any, csv: Path) -> None:
    examples = table(csv, features=["c"], test_fraction=0.4).split(split)
    batch = examples.read(torch.arange(len(examples)))
    assert torch.equal(batch["features"], batch["row"][:, :1] + 20)


def test_an_event_with_given_columns_needs_no_file_where_it_is_declared() -> None:
    assert table("absent.csv", columns=["a", "b"], features=["c", "d"]).event == replace(HEAD, columns=("a", "b"))
    assert table("absent.csv", features=["c", "d"], dims=2).event == HEAD


def test_wrong_choices_are_named(csv: Path, tmp_path: Path) -> None:
    with pytest.raises(zoo.SpecError, match=r"the column 'b' is in 'columns' and in 'features'"):
        table(csv, columns=["a", "b"], features=["c", "b"])
    with pytest.raises(zoo.DataError, match=r"x\.csv: 'columns' and 'features' both choose column 1 'b'"):
        table(csv, columns=["a", "b"], features=[1]).split("train")
    with pytest.raises(zoo.DataError, match=r"x\.csv has no column 'e'; known: a, b, c, d"):
        table(csv, features=["e"]).split("train")
    with pytest.raises(zoo.DataError, match=r"has no column besides its features to model"):
        _ = table(csv, features=["a", "b", "c", "d"]).event
    with pytest.raises(zoo.DataError, match=r"has 3 columns besides its features, expected 4"):
        table(csv, features=["a"], dims=4).split("train")
    other = tmp_path / "y.csv"
    other.write_text("a,b,d,c\n1,2,3,4\n")
    with pytest.raises(zoo.DataError, match=r"the columns of .*y\.csv must be those of"):
        table(csv, features=["a"], test=str(other)).split("test")
    with pytest.raises(zoo.SpecError, match="features"):
        table(csv, features=[])
    with pytest.raises(zoo.SpecError, match="'features' has 'b' twice"):
        table(csv, features=["b", "b"])
    with pytest.raises(zoo.DataError, match="column 1 'b' is chosen twice"):
        table(csv, features=["b", 1]).split("train")


# -- a flow of two columns given two others ----------------------------------------------------------------------------

SPEC = """\
name: given
data: {{type: table, train: {train}, features: [place, spread]}}
model:
  type: flow
  base: standard_normal
  context: feature_vector
  transforms:
    - repeat: 2
      of:
        - {{type: affine_coupling, mask: channel, conditioner: &net {{type: mlp, width: 32, context: 2}}}}
        - {{type: affine_coupling, mask: {{type: channel, swap: true}}, conditioner: *net}}
train: {{steps: 500, batch: 256, optimizer: {{type: adam, lr: 1.0e-2}}, schedule: cosine}}
evaluate: [nll]
engine: {{compile: off, device: cpu}}
"""


def command(*words: str | Path) -> Any:
    done = CliRunner().invoke(app, [str(word) for word in words])
    assert done.exit_code == 0, done.output
    return done


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A flow that was trained on numbers around a given place, with a given spread."""
    home = tmp_path_factory.mktemp("given")
    rng = np.random.default_rng(0)
    place, spread = rng.uniform(-1, 1, 4000), rng.choice([0.1, 0.4], 4000)
    numbers = place + spread * rng.standard_normal((2, 4000))
    columns = np.stack((numbers[0], place, numbers[1], spread), 1)
    np.savetxt(home / "x.csv", columns, delimiter=",", header="x,place,y,spread", comments="")
    (home / "given.yaml").write_text(SPEC.format(train=home / "x.csv"))
    command("train", home / "given.yaml", "--runs", home, "--name", "run")
    return home / "given" / "run"


def test_a_trained_flow_scores_as_one_that_knows_its_features(run: Path) -> None:
    nll = json.loads(command("evaluate", run, "--json").stdout)["metrics"]["nll"]
    known = 1 + np.log(2 * np.pi) + np.log([0.1, 0.4]).mean() * 2
    # Who knows the spread alone has the place's own entropy, log 2, to add for each coordinate at least once.
    assert nll < known + 0.3 < known + np.log(2.0)


@pytest.mark.parametrize(("place", "spread"), [(-0.7, 0.1), (0.6, 0.4)])
def test_draws_are_given_the_features_of_a_file(place: float, spread: float, run: Path, tmp_path: Path) -> None:
    (tmp_path / "one.csv").write_text(f"{place},{spread}\n")
    command("sample", run, "--features", tmp_path / "one.csv", "-n", "400", "-o", tmp_path / "x.csv")
    drawn = np.loadtxt(tmp_path / "x.csv", delimiter=",")
    assert drawn.shape == (400, 2)
    assert np.abs(drawn.mean(0) - place).max() < 0.1
    assert np.abs(np.log(drawn.std(0) / spread)).max() < 0.5


def test_each_draw_may_have_features_of_its_own(run: Path, tmp_path: Path) -> None:
    places = np.linspace(-0.8, 0.8, 5)
    np.save(tmp_path / "five.npy", np.stack((places, np.full(5, 0.1)), 1))
    command("sample", run, "--features", tmp_path / "five.npy", "-n", "5", "-o", tmp_path / "x.csv")
    drawn = np.loadtxt(tmp_path / "x.csv", delimiter=",")
    assert np.abs(drawn - places[:, None]).max() < 0.5
