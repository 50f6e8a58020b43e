"""``zoo encode``: the codes of data, in its order."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner, Result

import zoo
from zoo.cli.app import app
from zoo.share.file import export
from zoo.spec import load_spec

FLOW = "realnvp-2d"
DATA = {"type": "toy2d", "figure": "two_moons", "size": 1200, "test_size": 700}
CHANGES = [f"data={json.dumps(DATA)}"]


def invoke(*args: object) -> Result:
    result = CliRunner().invoke(app, [str(arg) for arg in args])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


@pytest.fixture(scope="module")
def model() -> zoo.Model:
    return zoo.build(load_spec(FLOW, CHANGES)).eval()


@pytest.fixture(scope="module")
def file(model: zoo.Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    spec = load_spec(FLOW, CHANGES)
    return export(tmp_path_factory.mktemp("file") / "flow.safetensors", spec, model, step=0, data=None)


@pytest.fixture
def truth(model: zoo.Model, request: pytest.FixtureRequest) -> torch.Tensor:
    assert isinstance(model, zoo.Encodes)
    examples = zoo.declare(zoo.Dataset, DATA)().split(getattr(request, "param", "test"))
    with torch.no_grad():
        return model.encode(examples.read(torch.arange(len(examples)))["point"])


@pytest.mark.parametrize("truth", ["test", "train"], indirect=True)
def test_codes_are_those_of_the_split_in_order(file: Path, truth: torch.Tensor, tmp_path: Path) -> None:
    split, n = ("test", 700) if len(truth) == 700 else ("train", 1200)
    result = invoke("encode", file, "-o", tmp_path / "z.npy", "--split", split, "--json", "--device", "cpu")
    assert json.loads(result.stdout) == {"output": str(tmp_path / "z.npy"), "n": n, "shape": [n, 2]}
    assert np.allclose(np.load(tmp_path / "z.npy"), truth.numpy(), atol=1e-5)


def test_each_form_holds_the_same_codes(file: Path, truth: torch.Tensor, tmp_path: Path) -> None:
    for ending in ("pt", "csv"):
        assert invoke("encode", file, "-o", tmp_path / f"z.{ending}", "--device", "cpu").exit_code == 0
    assert torch.allclose(torch.load(tmp_path / "z.pt", weights_only=True), truth, atol=1e-5)
    assert np.allclose(np.loadtxt(tmp_path / "z.csv", delimiter=","), truth.numpy(), atol=1e-5)


def test_other_data_can_be_named(file: Path, tmp_path: Path) -> None:
    few = "data={type: toy2d, figure: two_moons, size: 100, test_size: 30}"
    result = invoke("encode", file, "-o", tmp_path / "z.npy", "--set", few, "--json")
    assert json.loads(result.stdout)["shape"] == [30, 2]


def test_codes_with_noise_are_the_same_each_time(tmp_path: Path) -> None:
    """Dequantisation draws; the file does not change for it."""
    node = {
        "name": "noisy",
        "data": "digits",
        "model": {"type": "flow", "base": "standard_normal", "dequantize": "uniform", "transforms": ["act_norm"]},
        "train": {"steps": 1, "batch": 8, "optimizer": {"type": "adam", "lr": 0.001}},
    }
    spec = load_spec(node)
    file = export(tmp_path / "noisy.safetensors", spec, zoo.build(spec).eval(), step=0, data=None)
    for name in ("a", "b"):
        assert invoke("encode", file, "-o", tmp_path / f"{name}.npy", "--device", "cpu").exit_code == 0
    assert (tmp_path / "a.npy").read_bytes() == (tmp_path / "b.npy").read_bytes()
    assert np.load(tmp_path / "a.npy").shape == (360, 1, 8, 8)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("-o", "z.png"), "must end in one of .npy, .pt, .csv"),
        (("--split", "validation"), "unknown split 'validation': expected test or train"),
        (("--set", "data=digits"), "data 'digits' does not fit model 'flow'"),
    ],
)
def test_what_cannot_be_is_said(file: Path, args: tuple[str, ...], message: str) -> None:
    result = invoke("encode", file, *args)
    assert result.exit_code == 2
    assert message in result.stderr


def test_a_model_without_codes_is_refused(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bare = type("Bare", (zoo.Model,), {"forward": lambda self, batch, clock: None})
    monkeypatch.setattr("zoo.share.file.Share.model", lambda share: bare(zoo.Event("point", zoo.Shape(2))))
    result = invoke("encode", file, "-o", tmp_path / "z.npy")
    assert result.exit_code == 2
    assert "has no codes: model 'flow' does not encode" in result.stderr
    assert not (tmp_path / "z.npy").exists()
