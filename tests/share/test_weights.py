"""Trained weights: found by the name of a spec, proof of the figures that specs and README name."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

import zoo
from zoo.cli.app import app
from zoo.distribution import WEIGHTS as DISTRIBUTION
from zoo.errors import DataError
from zoo.format.header import read_header
from zoo.registry import discovery, shipped
from zoo.registry.shipped import shipped_specs, shipped_weights
from zoo.report.figures import check, recorded_figures
from zoo.run.directory import model_file
from zoo.share.file import export_again, open_share, read_share

ROOT = Path(__file__).parents[2]
MEGABYTE = 1_000_000
OWN = {name: path for name, path in shipped_weights().items() if path.is_relative_to(ROOT)}
FAST = ("digits", "toy2d", "mixture1d", "energy")
"""Data sets without files, whose figures are measured again in seconds."""
SLOW = ("edm-2d", "flow-matching-2d")
"""Of these, specs whose likelihood takes minutes: an equation for each point."""


@pytest.fixture(scope="module")
def release() -> Iterator[ModuleType]:
    """The script that writes figures from weights."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "weights"))
        yield import_module("release")
        sys.modules.pop("release")


def test_weights_are_small() -> None:
    sizes = {name: path.stat().st_size for name, path in OWN.items()}
    assert max(sizes.values()) <= 4 * MEGABYTE
    assert sum(sizes.values()) <= 60 * MEGABYTE


@pytest.mark.parametrize("name", OWN)
def test_weights_are_of_the_spec_as_it_is_shipped(name: str, release: ModuleType) -> None:
    share, spec = read_share(OWN[name]), zoo.load_spec(name)
    release.require_trained_as_declared(OWN[name], share, spec)
    assert recorded_figures(share)
    assert share.header.meta["metrics"]["seed"] == spec.train.seed


def test_weights_of_another_spec_are_refused(release: ModuleType) -> None:
    share = read_share(OWN["realnvp-2d"])
    for change in ("train.steps=7", "train.seed=1", "model.base=logistic"):
        with pytest.raises(zoo.UsageError):
            release.require_trained_as_declared(Path("run"), share, zoo.load_spec("realnvp-2d", [change]))


@pytest.mark.parametrize("name", sorted(name for name, path in shipped_specs().items() if path.is_relative_to(ROOT)))
def test_figures_of_a_spec_are_those_of_its_weights(name: str, release: ModuleType) -> None:
    text = shipped_specs()[name].read_text()
    assert release.with_reached(text, name) == text, "run: make reached"


def test_the_table_of_readme_is_written_from_the_weights(release: ModuleType) -> None:
    text = (ROOT / "README.md").read_text()
    assert release.with_table(text) == text, "run: make reached"


def test_a_figure_that_differs_is_written_anew(release: ModuleType) -> None:
    text = shipped_specs()["realnvp-2d"].read_text()
    value = release.figures_of("realnvp-2d")[0]["value"]
    changed = text.replace(f"value: {value}", "value: 0.5")
    assert changed != text
    assert release.with_reached(changed, "realnvp-2d") == text


def test_a_figure_without_a_file_stays(release: ModuleType) -> None:
    text = "name: it\nreached:\n  - {metric: nll, value: 1.5, file: null,\n     protocol: elsewhere}\ndata: digits\n"
    written = release.with_reached(text, "it")
    assert written.startswith("name: it\nreached: #") and written.endswith("data: digits\n")
    assert '{metric: nll, value: 1.5, file: null,\n     protocol: "elsewhere"}' in written
    assert release.with_reached(written, "it") == written


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.slow if name in SLOW else [])
        for name in OWN
        if zoo.load_spec(name).data.name in FAST
    ],
)
def test_a_figure_is_met(name: str) -> None:
    checks = list(check(name, "cpu"))
    assert checks
    assert [(one.metric, one.recorded, one.measured, one.problem) for one in checks if not one.met] == []


def test_a_figure_that_is_not_met_fails(tmp_path: Path) -> None:
    model, spec, header = open_share(OWN["realnvp-2d"])
    recorded = json.loads(json.dumps(header.meta["metrics"]))
    figure = recorded["figures"]["nll"]
    figure["value"] += 2 * figure["standard_error"]
    file = tmp_path / "boasting.safetensors"
    export_again(file, model, spec, header, metrics=recorded)
    result = CliRunner().invoke(app, ["figures", str(file), "realnvp-2d", "--json"])
    assert result.exit_code == 1
    said = json.loads(result.stdout)
    assert [one["met"] for one in said["figures"]] == [False, True] and not said["met"]
    assert "NOT MET" in CliRunner().invoke(app, ["figures", str(file)]).stdout
    assert CliRunner().invoke(app, ["figures", "realnvp-2d"]).exit_code == 0


def test_a_figure_in_other_features_is_not_compared(tmp_path: Path) -> None:
    model, spec, header = open_share(OWN["realnvp-2d"])
    recorded = json.loads(json.dumps(header.meta["metrics"]))
    recorded["figures"]["nll"]["features"] = "sha256:" + "0" * 64
    file = tmp_path / "other.safetensors"
    export_again(file, model, spec, header, metrics=recorded)
    one, *_ = check(str(file), "cpu")
    assert one.problem == "its features are of another network: expected sha256:000000000000, got none"
    assert not one.met


def test_data_that_is_missing_is_no_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: Any, **__: Any) -> None:
        raise DataError("no digits here")

    monkeypatch.setattr("zoo.report.figures.evaluate_opened", missing)
    result = CliRunner().invoke(app, ["figures", "realnvp-2d"])
    assert result.exit_code == 1
    assert "no digits here" in result.stdout


def drawn(name: str, n: int) -> torch.Tensor:
    model = zoo.load(name)
    assert isinstance(model, zoo.Samples)
    return model.sample(n)


# -- names -----------------------------------------------------------------------------------------------------------


def test_a_name_opens_wherever_a_run_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert model_file("realnvp-2d") == OWN["realnvp-2d"]
    assert drawn("realnvp-2d", 2).shape == (2, 2)
    started = zoo.load_spec("realnvp-2d", ["init_from=realnvp-2d"])
    assert started.sources()["init_from"].file == "realnvp-2d"
    for command in (["verify"], ["evaluate"], ["sample", "-o", "x.png"], ["compare"], ["encode", "-o", "z.npy"]):
        result = CliRunner().invoke(app, [command[0], "realnvp-2d", *command[1:]])
        assert result.exit_code == 0, result.stderr


def test_a_run_of_that_name_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("realnvp-2d").mkdir()
    with pytest.raises(zoo.UsageError, match="is not a run"):
        model_file("realnvp-2d")


@pytest.fixture
def without_weights(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(
        shipped, "_own", lambda group: Path(zoo.__file__).parents[1] / "specs" if group == discovery.SPECS else None
    )
    shipped._files.cache_clear()
    yield
    shipped._files.cache_clear()


@pytest.mark.usefixtures("without_weights")
def test_without_the_package_a_message_says_what_to_install() -> None:
    result = CliRunner().invoke(app, ["sample", "realnvp"])
    assert result.exit_code == 2
    assert "pip install 'generative-zoo[weights]', or train it by: zoo train realnvp" in result.stderr
    assert CliRunner().invoke(app, ["figures"]).exit_code == 2


def test_a_spec_without_weights_says_how_to_train_it() -> None:
    with pytest.raises(
        zoo.UsageError, match="no trained weights of it are installed; train it by: zoo train glow-cifar10"
    ):
        model_file("glow-cifar10")


def install(name: str, points: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A distribution with these entry points, in a folder from which Python imports."""
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Name: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(points)
    monkeypatch.syspath_prepend(str(folder))


def test_a_plugin_brings_specs_and_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By entry points at folders, which are not imported."""
    for name, text in {"specs": "", "weights": "raise SystemError"}.items():
        (tmp_path / f"acme_{name}").mkdir()
        (tmp_path / f"acme_{name}" / "__init__.py").write_text(text)
    (tmp_path / "acme_specs" / "moons.yaml").write_text(shipped_specs()["realnvp-2d"].read_text())
    (tmp_path / "acme_weights" / "moons.safetensors").write_bytes(OWN["realnvp-2d"].read_bytes())
    install("acme", "[zoo.specs]\nacme = acme_specs\n\n[zoo.weights]\nacme = acme_weights\n", tmp_path, monkeypatch)
    assert shipped_specs()["acme.moons"] == tmp_path / "acme_specs" / "moons.yaml"
    assert drawn("acme.moons", 1).shape == (1, 2)
    assert zoo.load_spec("acme.moons").name == "realnvp-2d"
    listed = json.loads(CliRunner().invoke(app, ["list", "--json"]).stdout)["specs"]
    assert next(one for one in listed if one["name"] == "acme.moons")["weights"].endswith("moons.safetensors")


def test_nobody_else_brings_weights_of_zoo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "evil").mkdir()
    (tmp_path / "evil" / "realnvp-cifar10.safetensors").write_bytes(OWN["realnvp-2d"].read_bytes())
    install("evil", "[zoo.weights]\nzoo = evil\n", tmp_path, monkeypatch)
    assert "realnvp-cifar10" not in shipped_weights()


def test_a_spec_without_weights_is_compared_by_the_figures_that_it_names(tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    result = CliRunner().invoke(app, ["compare", "realnvp-mnist", "realnvp", "-o", str(table)])
    assert result.exit_code == 0, result.stderr
    rows = {row["run"]: row for row in csv.DictReader(table.read_text().splitlines())}
    assert float(rows["realnvp-mnist"]["bits_per_dim"]) == zoo.load_spec("realnvp-mnist").reached[0].value
    assert rows["realnvp-mnist"]["parameters"] == "" and rows["realnvp"]["parameters"] == "259026"
    assert CliRunner().invoke(app, ["compare", "glow-cifar10"]).exit_code == 2


def test_the_distribution_brings_every_file(tmp_path: Path) -> None:
    source = tmp_path / "weights"
    shutil.copytree(ROOT / "weights", source, ignore=shutil.ignore_patterns("build", "*.egg-info", "__pycache__"))
    how = ["--no-deps", "--no-build-isolation", "--no-index", "-w", str(tmp_path), str(source)]
    done = subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "-q", *how], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    assert wheel.name.startswith(DISTRIBUTION.replace("-", "_"))
    with zipfile.ZipFile(wheel) as packed:
        names = set(packed.namelist())
        points = next(name for name in names if name.endswith("entry_points.txt"))
        assert "[zoo.weights]\nzoo = zoo_weights\n" in packed.read(points).decode()
    assert {f"zoo_weights/{path.name}" for path in OWN.values()} < names


# -- figures in a file ------------------------------------------------------------------------------------------------


def test_a_mean_has_its_standard_error() -> None:
    measured = zoo.Measurement.mean_of(torch.tensor([1.0, 2.0, 6.0], dtype=torch.float64))
    assert measured.standard_error == pytest.approx(7**0.5 / 3**0.5)  # s^2 = ((2)^2 + 1 + 3^2) / 2 = 7
    assert zoo.Measurement.mean_of(torch.tensor([1.0])).standard_error is None
    assert zoo.Measurement.mean_of(torch.tensor([1.0, torch.nan])).standard_error is None


@pytest.mark.parametrize("error", ["0.1", None, True, [0.1]])
def test_a_standard_error_is_a_number(error: Any, tmp_path: Path) -> None:
    model, spec, header = open_share(OWN["realnvp-2d"])
    figures = {"nll": {"value": 1.0, "n": 10, "kind": "exact", "standard_error": error}}
    with pytest.raises(zoo.UsageError, match="'metrics'"):
        export_again(tmp_path / "it.safetensors", model, spec, header, metrics={"figures": figures})


def test_figures_that_were_reached_are_not_inherited(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("extends: realnvp-2d\nname: mine\n")
    assert zoo.load_spec("realnvp-2d").reached
    assert not zoo.load_spec(tmp_path / "mine.yaml").reached


# -- halves -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_weights_stored_in_halves_open_in_32_bits(dtype: torch.dtype, tmp_path: Path) -> None:
    model, spec, header = open_share(OWN["realnvp-2d"])
    file = tmp_path / "half.safetensors"
    export_again(file, model, spec, header, dtype=dtype)
    assert file.stat().st_size < 0.6 * OWN["realnvp-2d"].stat().st_size + 20_000
    opened = zoo.load(file)
    for name, tensor in model.state_dict().items():
        expected = tensor.to(dtype).to(tensor.dtype) if tensor.dtype == torch.float32 else tensor
        assert torch.equal(opened.state_dict()[name], expected)
    assert "F16" in CliRunner().invoke(app, ["verify", str(file)]).stdout
    again = tmp_path / "again.safetensors"
    export_again(again, opened, *open_share(file)[1:])
    assert {entry.dtype for entry in read_header(again).tensors.values()} == {
        entry.dtype for entry in header.tensors.values()
    }


def test_a_half_file_starts_another_model(tmp_path: Path) -> None:
    model, spec, header = open_share(OWN["realnvp-2d"])
    file = tmp_path / "half.safetensors"
    export_again(file, model, spec, header, dtype=torch.float16)
    run = zoo.train(
        zoo.load_spec(
            "realnvp-2d", [f"init_from={file}", "train.steps=1", "train.optimizer.lr=1e-30", "train.ema=null"]
        ),
        runs=tmp_path / "runs",
    )
    assert all(
        torch.equal(tensor, zoo.load(file).state_dict()[name])
        for name, tensor in zoo.load(run.model).state_dict().items()
    )


def test_values_beyond_a_half_are_refused(tmp_path: Path) -> None:
    model, spec, header = open_share(OWN["realnvp-2d"])
    with torch.no_grad():
        next(model.parameters()).fill_(1e6)
    with pytest.raises(zoo.UsageError, match="beyond the range of F16: use bfloat16"):
        export_again(tmp_path / "it.safetensors", model, spec, header, dtype=torch.float16)
    export_again(tmp_path / "it.safetensors", model, spec, header, dtype=torch.bfloat16)


def test_export_stores_halves_without_the_figures_of_other_weights(tmp_path: Path, small_run: Path) -> None:
    file = tmp_path / "it.safetensors"
    result = CliRunner().invoke(app, ["export", str(small_run), "--dtype", "float16", "-o", str(file)])
    assert result.exit_code == 0, result.stderr
    assert read_header(file).meta["metrics"] == {}
    refused = CliRunner().invoke(app, ["export", str(small_run), "--dtype", "float8"])
    assert refused.exit_code == 2 and "expected float16 or bfloat16" in refused.stderr


@pytest.fixture(scope="module")
def small_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return zoo.train(zoo.load_spec("realnvp-2d", small=True), runs=tmp_path_factory.mktemp("runs")).directory


def test_a_view_of_shipped_weights_reads_the_data_that_they_name(tmp_path: Path) -> None:
    """And not that of a copy, whose data is its author's choice."""
    picture = tmp_path / "x.png"
    assert CliRunner().invoke(app, ["sample", "vq-vae", "--view", "reconstruct", "-o", str(picture)]).exit_code == 0
    copy = tmp_path / "copy.safetensors"
    copy.write_bytes(OWN["vq-vae"].read_bytes())
    refused = CliRunner().invoke(app, ["sample", str(copy), "--view", "reconstruct", "-o", str(picture)])
    assert refused.exit_code == 2
    assert "needs data" in refused.stderr
