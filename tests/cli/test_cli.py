"""The command line: what it prints where, its JSON, its exit codes, its files."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from subprocess_run import fork
from typer.testing import CliRunner, Result

import zoo
from zoo.cli.app import JOURNEY, app
from zoo.spec import shipped_specs

ZOO = str(Path(sys.executable).parent / "zoo")


def invoke(*args: object) -> Result:
    result = CliRunner().invoke(app, [str(arg) for arg in args])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def as_json(*args: object) -> dict[str, Any]:
    """The one JSON object of a command; nothing else may stand on standard output."""
    result = invoke(*args, "--json")
    assert result.exit_code == 0, result.stderr
    value = json.loads(result.stdout)
    assert isinstance(value, dict)
    assert result.stdout.count("\n") == 1
    return value


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """One tiny run by the installed command, with what it printed."""
    runs = tmp_path_factory.mktemp("runs")
    command = [ZOO, "train", "realnvp-2d", "--small", "--runs", str(runs), "--json", "--device", "cpu"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return {**json.loads(done.stdout), "stdout": done.stdout, "stderr": done.stderr}


@pytest.fixture
def run(trained: dict[str, Any]) -> Path:
    return Path(trained["run"])


def test_train_prints_one_object(trained: dict[str, Any]) -> None:
    assert {"run", "steps", "seconds", "metrics", "model"} <= trained.keys()
    assert trained["steps"] == 20
    assert trained["seconds"] > 0
    assert set(trained["metrics"]) == {"nll"}
    assert Path(trained["model"]).is_file()
    assert trained["stdout"].count("\n") == 1


def test_train_speaks_in_plain_lines_where_nobody_watches(trained: dict[str, Any]) -> None:
    assert "training realnvp-2d: " in trained["stderr"]
    assert "step 20/20" in trained["stderr"]
    assert "\x1b" not in trained["stderr"]
    assert "\r" not in trained["stderr"]
    assert "Traceback" not in trained["stderr"]


def test_help_and_version_of_the_installed_command() -> None:
    version = subprocess.run([ZOO, "--version"], check=True, capture_output=True, text=True)
    assert version.stdout == f"zoo {zoo.__version__}\n"
    helped = subprocess.run([ZOO, "--help"], check=True, capture_output=True, text=True)
    for name in ("list", "show", "build", "train", "evaluate", "sample", "export", "compare", "plugins", "schema"):
        assert f"  {name} " in helped.stdout
    assert helped.stderr == version.stderr == ""


def test_list() -> None:
    value = as_json("list")
    assert {"realnvp", "realnvp-2d"} <= {spec["name"] for spec in value["specs"]}
    assert all(spec["family"] != "Unknown" and spec["description"] for spec in value["specs"])
    assert value["components"]["conditioner"]["mlp"]
    assert set(as_json("list", "mask")["components"]) == {"mask"}
    text = invoke("list").stdout
    assert "Specs: Normalizing flows" in text
    assert "Components: bijection" in text
    wrong = invoke("list", "maks")
    assert (wrong.exit_code, wrong.stderr) == (2, "error: unknown kind 'maks'; did you mean 'mask'?\n")


def test_show_component() -> None:
    (page,) = as_json("show", "affine_coupling")["components"]
    assert page["kind"] == "bijection"
    assert page["distribution"] == "zoo"
    assert page["version"]
    assert "arXiv" in page["doc"]
    (mask,) = [row for row in page["parameters"] if row["name"] == "mask"]
    assert (mask["type"], mask["default"]) == ("mask", "") and mask["description"].endswith(".")
    text = invoke("show", "affine_coupling").stdout
    assert "In a spec: {type: affine_coupling" in text
    assert re.search(r"\nParameters:\n  mask: mask\n      [^\n]+\.\n", text)
    assert "Args:" not in text and "Args:" not in page["doc"]
    assert "\n\nNo parameters.\n" in invoke("show", "max_likelihood").stdout
    wrong = invoke("show", "afine_coupling")
    assert wrong.exit_code == 2
    assert "did you mean 'affine_coupling'?" in wrong.stderr


def test_show_spec(tmp_path: Path) -> None:
    spec = as_json("show", "realnvp-2d", "--set", "train.steps=7")["spec"]
    assert spec["train"]["steps"] == 7
    assert spec["train"]["optimizer"]["betas"] == [0.9, 0.999]
    path = tmp_path / "resolved.yaml"
    path.write_text(invoke("show", "realnvp-2d").stdout)
    assert as_json("show", path)["spec"] == as_json("show", "realnvp-2d")["spec"]


def test_build(tmp_path: Path) -> None:
    file = tmp_path / "model.safetensors"
    value = as_json("build", "realnvp-2d", "-o", file)
    assert {"name", "parameters", "parts"} <= value.keys()
    assert value["parts"][0]["type"] == "flow"
    assert value["parameters"] == value["parts"][0]["parameters"] == sum(p.numel() for p in zoo.load(file).parameters())
    text = invoke("build", "realnvp-2d").stdout
    assert f"{value['parameters']:,} parameters" in text
    assert as_json("build", "realnvp-2d", "--small")["parameters"] <= value["parameters"]


def test_evaluate(run: Path, trained: dict[str, Any]) -> None:
    value = as_json("evaluate", run)
    assert {"metrics", "split", "n"} <= value.keys()
    assert (value["split"], value["n"]) == ("test", 10_000)
    assert value["metrics"] == trained["metrics"]
    assert as_json("evaluate", trained["model"])["metrics"] == value["metrics"]
    assert as_json("evaluate", run, "--set", "data.test_size=50", "--metric", "nll")["n"] == 50
    assert "nll" in invoke("evaluate", run, "--set", "data.test_size=50").stdout
    for metric, told in (("bits_per_dim", "need discrete data"), ("nl", "did you mean 'nll'?")):
        wrong = invoke("evaluate", run, "--metric", metric)
        assert wrong.exit_code == 2
        assert told in wrong.stderr


def _array(path: Path) -> np.ndarray[Any, Any]:
    match path.suffix:
        case ".npy":
            return np.asarray(np.load(path))
        case ".pt":
            return np.asarray(torch.load(path, weights_only=True).numpy())
        case ".csv":
            return np.loadtxt(path, delimiter=",", dtype=np.float32)
    return np.asarray(Image.open(path))


@pytest.mark.parametrize("ending", ["png", "npy", "pt", "csv"])
def test_sample_is_a_function_of_the_seed(ending: str, run: Path, tmp_path: Path) -> None:
    files = [tmp_path / f"{name}.{ending}" for name in ("one", "same", "other")]
    for file, seed in zip(files, (3, 3, 4), strict=True):
        value = as_json("sample", run, "-n", 40, "-o", file, "--seed", seed)
        assert {"output": str(file), "n": 40}.items() <= value.items()
        assert value["seconds"] > 0
    one, same, other = (file.read_bytes() for file in files)
    assert one == same != other
    drawn = _array(files[0])
    assert drawn.ndim == 3 if ending == "png" else drawn.shape == (40, 2)


def test_endings_hold_the_same_draws(run: Path, tmp_path: Path) -> None:
    for ending in ("npy", "pt", "csv"):
        assert invoke("sample", run, "-n", 7, "-o", tmp_path / f"x.{ending}").exit_code == 0
    arrays = [_array(tmp_path / f"x.{ending}") for ending in ("npy", "pt", "csv")]
    assert (arrays[0] == arrays[1]).all()
    assert (arrays[0] == arrays[2]).all()


def test_temperature_scales_the_spread(run: Path, tmp_path: Path) -> None:
    spreads = []
    for temperature in (0.1, 1.0):
        invoke("sample", run, "-n", 500, "-o", tmp_path / "x.npy", "--temperature", temperature)
        spreads.append(_array(tmp_path / "x.npy").std(0).max())
    assert spreads[0] < 0.5 * spreads[1]


def test_export_and_compare(run: Path, tmp_path: Path, trained: dict[str, Any]) -> None:
    file = tmp_path / "deep" / "shared.safetensors"
    value = as_json("export", run, "-o", file, "--licence", "CC0-1.0")
    assert value["output"] == str(file)
    assert value["digest"].startswith("sha256:")
    rows = as_json("compare", run, file)["rows"]
    assert [row["name"] for row in rows] == ["realnvp-2d", "realnvp-2d"]
    assert rows[0]["metrics"] == rows[1]["metrics"]
    assert rows[0]["metrics"]["nll"]["value"] == trained["metrics"]["nll"]
    assert (rows[0]["train_seconds"] is not None, rows[1]["train_seconds"]) == (True, None)
    assert "ms/sample" in invoke("compare", run).stdout


def test_plugins() -> None:
    rows = {row["name"]: row for row in as_json("plugins")["plugins"]}
    assert {"nets", "flows", "data", "metrics", "training"} <= rows.keys()
    assert rows["flows"]["distribution"] == "zoo"
    assert rows["flows"]["error"] is None
    assert rows["flows"]["n"] > 5
    assert "broken" not in invoke("plugins").stdout


def test_schema(tmp_path: Path) -> None:
    assert as_json("schema")["title"] == "zoo spec"
    assert invoke("schema", "-o", tmp_path / "schema.json").exit_code == 0
    assert json.loads((tmp_path / "schema.json").read_text()) == json.loads(invoke("schema").stdout)


USAGE: list[tuple[list[str], str]] = [
    (["train"], "expected either a spec to train or a run to --resume"),
    (["train", "realnvp-2d", "--resume", "RUN"], "expected either a spec to train or a run to --resume"),
    (["train", "--resume", "RUN", "--set", "train.steps=3"], "--set cannot be combined with --resume"),
    (["train", "--resume", "RUN", "--seed", "3"], "--seed cannot be combined with --resume"),
    (["train", "--resume", "RUN", "--seed", "0"], "--seed cannot be combined with --resume"),
    (["train", "--resume", "RUN", "--small"], "--small cannot be combined with --resume"),
    (["train", "--resume", "RUN", "--name", "x"], "--name cannot be combined with --resume"),
    (["train", "--resume", "RUN", "--device", "cpu"], "--device cannot be combined with --resume"),
    (["train", "--resume", "nowhere"], "run not found: nowhere"),
    (["train", "realnvp-2d", "--steps", "0"], "--steps"),
    (["train", "realnvp-2d", "--seed", "-1"], "--seed"),
    (["train", "realnvp-2d", "--small", "--name", "../x"], "invalid run name"),
    (["train", "realnvp-2d", "--small", "--name", ".."], "invalid run name"),
    (["export", "RUN", "-o", "x.pth"], "'x.pth' must end in one of .safetensors, .onnx, .pt, .pt2"),
    (["export", "RUN", "-o", "RUN/resolved.yaml"], "must end in"),
    (["train", "realnvp-2d", "--small", "--device", "abacus"], "abacus"),
    (["train", "realnvp-2e"], "unknown spec 'realnvp-2e'; did you mean 'realnvp-2d'?"),
    (["evaluate", "nowhere"], "run or file not found: nowhere"),
    (["evaluate", "."], ". is not a run"),
    (["evaluate", "RUN", "--set", "model.base=logistic"], "the model of a share file cannot be changed"),
    (["sample", "RUN", "--temperature", "0"], "the temperature must be above 0, got 0.0"),
    (["sample", "RUN", "--temperature", "-1"], "the temperature must be above 0, got -1.0"),
    (["sample", "RUN", "--temperature", "nan"], "the temperature must be above 0, got nan"),
    (["sample", "RUN", "--temperature", "inf"], "the temperature must be above 0, got inf"),
    (["sample", "RUN", "-n", "0"], "-n"),
    (["sample", "RUN", "-o", "x.jpg"], "'x.jpg' must end in one of .png, .npy, .npz, .pt, .csv"),
    (["sample", "RUN", "-o", "x"], "'x' must end in one of"),
    (["export", "nowhere"], "nowhere is not a run directory"),
    (["compare"], "RUN_OR_FILE"),
    (["build"], "SPEC"),
    (["build", "realnvp-2d", "--what"], "--what"),
    (["nonsense"], "nonsense"),
]


@pytest.mark.parametrize(("args", "told"), USAGE, ids=[" ".join(args) for args, _ in USAGE])
def test_usage_errors(args: list[str], told: str, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = invoke(*[str(run) if arg == "RUN" else arg for arg in args])
    assert result.exit_code == 2, result.stderr
    assert told in result.stderr
    assert result.stdout == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"short", b"\x10" + b"\0" * 7 + b"{}" + b" " * 20, b"\xff" * 200])
def test_a_damaged_file_is_exit_5(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "x.safetensors").write_bytes(content)
    for command in ("evaluate", "sample", "compare"):
        result = invoke(command, tmp_path / "x.safetensors")
        assert result.exit_code == 5
        assert result.stderr.startswith("error: ")


def test_a_truncated_file_is_exit_5(run: Path, tmp_path: Path) -> None:
    whole = (run / "model.safetensors").read_bytes()
    (tmp_path / "x.safetensors").write_bytes(whole[:-5])
    assert invoke("evaluate", tmp_path / "x.safetensors").exit_code == 5


def test_seed_steps_and_name(tmp_path: Path) -> None:
    value = as_json(
        "train",
        "realnvp-2d",
        "--small",
        "--steps",
        3,
        "--seed",
        5,
        "--name",
        "mine",
        "--runs",
        tmp_path,
        "--device",
        "cpu",
    )
    directory = tmp_path / "realnvp-2d" / "mine"
    assert (value["run"], value["steps"]) == (str(directory), 3)
    assert "seed: 5" in (directory / "resolved.yaml").read_text()
    assert (directory / "spec.yaml").read_text() == shipped_specs()["realnvp-2d"].read_text()
    again = invoke("train", "realnvp-2d", "--small", "--name", "mine", "--runs", tmp_path, "--device", "cpu")
    assert again.exit_code == 2
    assert "already exists: resume it with --resume" in again.stderr
    assert as_json("train", "--resume", directory, "--steps", 5)["steps"] == 5


def test_divergence_is_exit_3(tmp_path: Path) -> None:
    wild = ["--set", "train.optimizer.lr=1e30", "--set", "train.schedule=null", "--device", "cpu"]
    result = invoke("train", "realnvp-2d", "--small", "--runs", tmp_path, *wild)
    assert result.exit_code == 3
    assert "training diverged at step" in result.stderr


def test_a_process_that_ends_looks_for_no_cycles() -> None:
    script = "import atexit, gc; atexit.register(lambda: print(gc.get_freeze_count() > 0)); import zoo.cli"
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert done.stdout == "True\n"


def _watch(words: list[str], environment: dict[str, str]) -> tuple[int, str]:
    """Run a command in a forked process with standard error on a terminal; its exit code and what the terminal saw."""
    ours, theirs = pty.openpty()

    def work() -> None:
        os.dup2(theirs, 2)
        sys.stderr = open(2, "w", buffering=1, closefd=False)  # noqa: SIM115
        os.environ.update(environment)
        app(words)

    child = fork(work)
    os.close(theirs)
    seen = b""
    with suppress(OSError):  # the end of a terminal that nobody holds any more
        while some := os.read(ours, 4096):
            seen += some
    os.close(ours)
    return child.wait(), seen.decode()


@pytest.mark.parametrize("colour", [True, False], ids=["colour", "NO_COLOR"])
def test_a_terminal_sees_a_live_bar(colour: bool, tmp_path: Path) -> None:
    environment = {"TERM": "xterm-256color", "COLUMNS": "160"} | ({} if colour else {"NO_COLOR": "1"})
    command = ["train", "realnvp-2d", "--small", "--runs", str(tmp_path), "--set", "train.log_every=5"]
    code, seen = _watch(command, environment)
    assert code == 0, seen
    assert "20/20" in seen
    assert "train nll" in seen
    assert "\x1b[2K" in seen or "\x1b[1A" in seen or "\r" in seen
    assert ("\x1b[38;" in seen or "\x1b[3" in seen) == colour


def test_help_lists_every_command_in_the_order_of_use() -> None:
    lines = invoke("--help").stdout.partition("Commands:")[2].splitlines()
    assert [line.split()[0] for line in lines if line.startswith("  ") and line[2] != " "] == list(JOURNEY)
