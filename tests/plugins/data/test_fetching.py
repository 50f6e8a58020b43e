"""``zoo data fetch``: what a message about missing data says to do, works."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner, Result

import zoo
from zoo.cli.app import app
from zoo.data.fetch import fetch
from zoo.registry.shipped import shipped_specs
from zoo.spec import load_spec, parts_in

SETS = ("mnist", "fashion_mnist", "kmnist", "cifar10")
ARCHIVES = ("MNIST", "FashionMNIST", "KMNIST", "CIFAR10")


class Offered:
    """A data set of torchvision's as it is used here: 12 images, once they are downloaded."""

    down = False

    def __init__(self, root: str, train: bool, download: bool) -> None:
        held, name = Path(root) / "here", type(self).__name__
        print("Downloading ...")  # as some versions do
        if download and self.down:
            raise RuntimeError(f"Error downloading {name}:\nTried https://example.org, got:\n<urlopen error>\n")
        if download:
            held.mkdir(parents=True, exist_ok=True)
            (held / name).touch()
        if not (held / name).exists():
            raise RuntimeError("Dataset not found. You can use download=True to download it")
        shape = (12, 32, 32, 3) if name == "CIFAR10" else (12, 28, 28)
        # Of many levels, and other images to train than to test.
        self.data = torch.arange(12 * 32 * 32 * 3).remainder(256)[: torch.Size(shape).numel()].reshape(shape) // (
            1 + train
        )
        self.data = self.data.to(torch.uint8)
        self.targets = [number % 10 for number in range(12)]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home of data, and data sets that can be downloaded into it."""
    for name in ARCHIVES:
        monkeypatch.setattr(f"torchvision.datasets.{name}", type(name, (Offered,), {}))
    monkeypatch.setenv("ZOO_DATA", str(tmp_path / "home"))
    return tmp_path / "home"


def run(*words: str) -> Result:
    return CliRunner().invoke(app, ["data", "fetch", *words])


def downloadable() -> list[str]:
    """The shipped specs whose data torchvision offers."""
    return [name for name in shipped_specs() if {part.name for part in parts_in(load_spec(name).data)} & set(SETS)]


def commanded(error: zoo.DataError) -> list[str]:
    found = re.search(r"fetch it with: zoo data fetch (.*?);", str(error))
    assert found
    return shlex.split(found[1])


def test_many_specs_are_of_data_that_is_offered() -> None:
    assert len(downloadable()) > 14


@pytest.mark.parametrize("name", downloadable())
def test_what_the_message_says_works(name: str, home: Path) -> None:
    with pytest.raises(zoo.DataError) as caught:
        load_spec(name).data().split("train")
    option = re.search(r"or use --set (\S+)$", str(caught.value))
    assert option
    offered = next(part for part in parts_in(load_spec(name, [option[1]]).data) if part.name in SETS)
    assert offered().download
    assert run(*commanded(caught.value)).exit_code == 0
    fetched = next(part for part in parts_in(load_spec(name).data) if part.name in SETS)
    assert len(fetched().split("test")) == 12
    assert len(load_spec(name).data().split("test"))


@pytest.mark.parametrize("name", SETS)
def test_a_root_of_ones_own_is_in_the_command(name: str, home: Path, tmp_path: Path) -> None:
    data = zoo.declare(zoo.Dataset, {"type": name, "root": str(tmp_path / "my own")})()
    with pytest.raises(zoo.DataError, match="'download: true'") as caught:
        data.split("train")
    result = run(*commanded(caught.value))
    assert result.exit_code == 0
    assert result.stdout.startswith(str(tmp_path / "my own"))
    assert len(data.split("train")) == 12
    assert not home.exists()


def test_one_object_says_what_is_there(home: Path) -> None:
    result = run("made", "--json")
    answer = json.loads(result.stdout)
    assert answer["folders"] == {"mnist": str(home / "MNIST" / "raw")}
    assert answer["examples"] == {"train": 12, "test": 12}
    assert {*answer["fingerprints"]} == {"train", "test"}


def test_data_that_needs_no_download_is_said_to_be_here() -> None:
    result = run("digits")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "nothing to download" in result.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["minst"], "unknown data set or spec 'minst'; did you mean 'mnist'?"),
        (["absent.yaml"], "file not found: absent.yaml"),
        (["table"], "dataset 'table' needs 'train'"),
        (["dsprites"], "is available at https://github.com/deepmind/dsprites-dataset"),
        (["mnist", "--set", "data.rot=x"], "did you mean 'root'?"),
    ],
)
def test_what_cannot_be_fetched(words: list[str], message: str, home: Path) -> None:
    result = run(*words)
    assert result.exit_code == 2
    assert message in result.stderr


def test_a_download_that_fails_says_why_and_where(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Offered, "down", True)
    result = run("mnist")
    assert result.exit_code == 2
    assert f"no usable 'MNIST/raw' in {home} (Error downloading MNIST: Tried https://example.org, got:" in result.stderr
    assert "fetch it with" not in result.stderr


@pytest.mark.parametrize("words", [["binarised"], ["binarised", "data.how=static"], ["subset", "data.train=4"]])
def test_data_around_other_data_is_fetched_too(words: list[str], home: Path) -> None:
    assert fetch(words[0], ["data.of=mnist", *words[1:]]).folders == {"mnist": home / "MNIST" / "raw"}
