"""Somebody's share file reads no data of ours: it says what it names, and one who has agreed has it read."""

from __future__ import annotations

import inspect
from importlib import import_module
from pathlib import Path
from typing import Any, get_type_hints

import pytest
from typer.testing import CliRunner, Result

import zoo
from zoo.assembly import build as assembly
from zoo.cli.app import app
from zoo.inference.outside_data import places_in
from zoo.registry.registry import installed
from zoo.share.file import export
from zoo.spec import load_spec

SPEC: dict[str, Any] = {
    "name": "theirs",
    "data": {"type": "table", "train": "secret.csv", "dims": 2},
    "model": {"type": "flow", "base": "standard_normal", "transforms": ["act_norm"]},
    "train": {"steps": 2, "batch": 8, "optimizer": "adam"},
    "engine": {"compile": "off"},
    "evaluate": ["nll"],
}
VAE: dict[str, Any] = SPEC | {
    "model": {
        "type": "vae",
        "latent": 1,
        "encoder": {"type": "mlp_encoder", "width": 4, "depth": 1},
        "decoder": {"type": "mlp_decoder", "width": 4, "depth": 1},
        "likelihood": "normal",
        "prior": "standard_normal",
    },
    "evaluate": ["elbo"],
}
OURS = "data={type: table, train: ours.csv, dims: 2}"


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that names a path of this machine, in a folder where there is something at that path."""
    monkeypatch.setenv("ZOO_STATE", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "secret.csv").write_text("user,word\nroot,toor\n")
    (tmp_path / "ours.csv").write_text("a,b\n" + "".join(f"{i},{i * i % 7}\n" for i in range(40)))
    spec = load_spec(SPEC)
    return export(tmp_path / "theirs.safetensors", spec, assembly.build(spec), step=0, data=None)


def called(*words: str | Path) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.mark.parametrize(
    "command", [["verify"], ["compare"], ["sample", "-o", "x.npy"], ["sample", "--density", "-o", "x.png"]]
)
def test_no_data_is_read_for_it(command: list[str], file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any) -> None:
        raise AssertionError("data is read")

    table = load_spec(SPEC).data.cls
    for name in ("split", "event", "__init__"):
        monkeypatch.setattr(table, name, property(refuse) if name == "event" else refuse)
    result = called(command[0], file, *command[1:])
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize("command", [["evaluate"], ["encode", "-o", "x.npy"]])
def test_it_says_what_it_names(command: list[str], file: Path) -> None:
    for also in ([], ["--set", "data.dims=2"], ["--set", "data.test=ours.csv"]):
        result = called(command[0], file, *command[1:], *also)
        assert result.exit_code == 2
        assert "train: 'secret.csv' of dataset 'table'" in result.stderr
        assert "--set data=... to use your own data, or --data-of-file" in result.stderr


def test_one_who_agrees_has_it_read_and_nothing_of_it_is_shown(file: Path) -> None:
    result = called("evaluate", file, "--data-of-file")
    assert result.exit_code == 2
    assert "secret.csv" in result.stderr
    for content in ("root", "toor"):
        assert content not in result.output


def test_data_of_ones_own_is_read(file: Path) -> None:
    assert called("evaluate", file, "--set", OURS).exit_code == 0


def test_what_was_trained_on_here_needs_no_question(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = load_spec(SPEC | {"data": {"type": "table", "train": "ours.csv", "dims": 2}})
    run = zoo.train(spec, runs=file.parent, name="mine").directory
    for target in (run, run / "model.safetensors"):
        assert called("evaluate", target).exit_code == 0
    assert called("evaluate", run, "--set", "data.test=ours.csv").exit_code == 0
    monkeypatch.setenv("ZOO_STATE", str(file.parent / "of another user"))
    for target in (run, run / "model.safetensors"):
        assert called("evaluate", target).exit_code == 2
        assert called("evaluate", target, "--data-of-file").exit_code == 0


@pytest.mark.parametrize("name", sorted(name for kind, name in installed().components() if kind == "dataset"))
def test_every_data_set_says_what_it_reads(name: str) -> None:
    cls: Any = installed().components()["dataset", name]
    hints = get_type_hints(cls.__init__)
    texts = {name for name, hint in hints.items() if hint in (str, str | None, Path, Path | None)}
    texts &= set(inspect.signature(cls.__init__).parameters) - {"sha256"}  # of what another parameter names
    assert cls.places is not None
    assert set(cls.places) >= texts | ({"download"} & hints.keys())
    assert set(cls.places) <= hints.keys()


@pytest.mark.parametrize(
    ("data", "named"),
    [
        ({"type": "mnist"}, []),
        ({"type": "mnist", "download": True}, ["download: True of dataset 'mnist'"]),
        ({"type": "binarised", "of": {"type": "mnist", "root": "/etc"}}, ["root: '/etc' of dataset 'mnist'"]),
        ({"type": "dsprites"}, []),
        ({"type": "dsprites", "path": "x.npz"}, ["path: 'x.npz' of dataset 'dsprites'"]),
        ("digits", []),
    ],
)
def test_places_are_what_the_declaration_sets(data: Any, named: list[str]) -> None:
    assert list(places_in(load_spec(SPEC | {"data": data}))) == named


def test_data_that_does_not_say_is_asked_about(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = load_spec(SPEC | {"data": "digits"})
    monkeypatch.setattr(spec.data.cls, "places", None)
    assert list(places_in(spec)) == ["the data that dataset 'digits' reads"]


MOONS = {"type": "toy2d", "figure": "two_moons", "size": 64, "test_size": 32}
FEATURES = {"type": "frechet_distance", "features": "secret.csv", "n": 4}


@pytest.mark.parametrize("named", ["secret.csv", "hf://acme/theirs"])
def test_files_that_metrics_of_a_file_name_are_not_read(
    named: str, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = load_spec(SPEC | {"data": MOONS, "evaluate": ["nll", FEATURES | {"features": named}]})
    theirs = export(file.parent / "metrics.safetensors", spec, assembly.build(spec), step=0, data=None)
    monkeypatch.setattr("zoo.plugins.metrics.samples.draws.features_of", lambda *_: pytest.fail("it was read"))
    refused = called("evaluate", theirs)
    assert refused.exit_code == 2
    assert f"features: '{named}' of metric 'frechet_distance'" in refused.stderr
    assert called("evaluate", theirs, "--metric", "nll").exit_code == 0
    assert called("figures", theirs).exit_code == 2


def test_what_metrics_read_is_read_where_it_was_trained_with(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    zoo.train(load_spec(SPEC | {"data": MOONS}), runs=Path("other"), name="a")
    features = Path("other") / "theirs" / "a"
    brought: Any = import_module("zoo.plugins.metrics.samples.features")
    monkeypatch.setattr(brought, "Codes", lambda name: brought.Pixels())
    spec = load_spec(SPEC | {"data": MOONS, "evaluate": [FEATURES | {"features": str(features)}]})
    run = zoo.train(spec, runs=Path("runs"), name="b").directory
    assert called("evaluate", run / "model.safetensors").exit_code == 0
    monkeypatch.setenv("ZOO_STATE", str(file.parent / "of another user"))
    assert called("evaluate", run / "model.safetensors").exit_code == 2
    assert called("evaluate", run / "model.safetensors", "--data-of-file").exit_code == 0


@pytest.mark.parametrize("name", sorted(name for kind, name in installed().components() if kind == "metric"))
def test_every_metric_says_what_it_reads(name: str) -> None:
    cls: Any = installed().components()["metric", name]
    hints = get_type_hints(cls.__init__)
    texts = {name for name, hint in hints.items() if hint in (str, str | None, Path, Path | None)}
    assert set(cls.places) >= texts & set(inspect.signature(cls.__init__).parameters)
    assert set(cls.places) <= hints.keys()
