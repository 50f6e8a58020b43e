"""A run goes on only as the run that was saved: what differs is listed, and what may change is a list."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from golden_files import RUN
from run_equality import assert_same_run
from small_runs import FLOW, Told, flow

import zoo
from zoo.document.yaml import write_yaml
from zoo.run import checkpoint, record
from zoo.run import directory as run
from zoo.spec import load_spec
from zoo.training import provenance

NAME = str(FLOW["name"])


@pytest.fixture
def stopped(device: str, tmp_path: Path) -> Path:
    return zoo.train(flow(device), runs=tmp_path, name="x", steps=3).directory


def edit(directory: Path, path: str, value: Any) -> None:
    """Change a key of the resolved spec."""
    spec: Any = load_spec(directory / record.RESOLVED).resolved()
    node, *rest = spec, *path.split(".")
    for key in rest[:-1]:
        node = node[int(key) if isinstance(node, list) else key]
    node[rest[-1]] = value
    (directory / record.RESOLVED).write_text(write_yaml(spec))


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        ("train.optimizer.lr", 0.1, r"train\.optimizer\.lr  was 0\.01 when the run was saved, and is 0\.1 now"),
        ("train.batch", 16, r"train\.batch  was 24 .* 16 now"),
        ("train.steps", 80, r"train\.steps  was 8 .* 80 now"),
        ("model.transforms.1.conditioner.width", 6, r"model\.transforms\[1\]\.conditioner\.width  was 4 .* 6 now"),
        ("engine.precision", "bf16", r"engine\.precision  was fp32 .* bf16 now"),
        ("data.noise", 0.2, r"data\.noise  was .* 0\.2 now"),
    ],
)
def test_an_edited_spec_is_refused(path: str, value: Any, told: str, stopped: Path) -> None:
    edit(stopped, path, value)
    before = sorted(stopped.rglob("*"))
    with pytest.raises(zoo.UsageError, match=r"resolved\.yaml:\d+:\d+  " + told):
        zoo.resume(stopped)
    assert sorted(stopped.rglob("*")) == before


def test_a_removed_item_of_a_list_is_named_alone(stopped: Path) -> None:
    transforms = load_spec(stopped / record.RESOLVED).resolved()["model"]["transforms"]
    edit(stopped, "model.transforms", transforms[:-1])
    removed = r"resolved\.yaml:\d+:\d+  model\.transforms\[2\]  was .*batch_norm"
    with pytest.raises(zoo.UsageError, match=removed) as error:
        zoo.resume(stopped)
    assert "transforms[0]" not in str(error.value)


def test_every_difference_is_listed(stopped: Path) -> None:
    edit(stopped, "train.optimizer.lr", 0.1)
    edit(stopped, "train.clip", 2.0)
    with pytest.raises(zoo.UsageError, match=r"(?s)saved at step 3.*lr  was.*clip  was.*init_from="):
        zoo.resume(stopped)


def test_what_may_change_is_used(stopped: Path) -> None:
    edit(stopped, "train.log_every", 1)
    edit(stopped, "train.sample_every", None)
    zoo.resume(stopped)
    rows = [json.loads(line) for line in (stopped / record.METRICS).read_text().splitlines()]
    assert [row["step"] for row in rows if row["split"] == "train"] == [3, 4, 5, 6, 7, 8]
    assert {path.name for path in (stopped / run.SAMPLES).iterdir()} == {"step-2.png", "density-step-8.png"}


def test_what_may_change_is_a_key() -> None:
    spec = load_spec(FLOW).resolved()
    for path in provenance.MAY_CHANGE:
        node: Any = spec
        for key in path.split("."):
            assert key in node, path
            node = node[key]


def test_overwritten_data_is_noticed(device: str, tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    rows = ["a,b", *(f"{i}.5,{i * i % 7}.25" for i in range(30))]
    file.write_text("\n".join(rows))
    data = {"type": "table", "train": str(file)}
    spec = load_spec(FLOW | {"data": data, "engine": {"compile": "off", "device": device}})
    directory = zoo.train(spec, runs=tmp_path, steps=3).directory
    file.write_text("\n".join([rows[0], *rows[:0:-1]]))
    with pytest.raises(zoo.UsageError, match="data: the examples of the train split have changed: fingerprint sha256:"):
        zoo.resume(directory)
    file.write_text("\n".join(rows))
    assert zoo.resume(directory).steps == 8


def test_a_run_needs_the_file_that_it_started_from_no_longer(device: str, tmp_path: Path) -> None:
    first = zoo.train(flow(device), runs=tmp_path, name="first", steps=1)
    spec = flow(device, seed=3).model_copy(update={"init_from": str(first.model)})
    whole = zoo.train(spec, runs=tmp_path, name="whole").directory
    half = zoo.train(spec, runs=tmp_path, name="half", steps=3).directory
    shutil.rmtree(first.directory)
    assert_same_run(zoo.resume(half).directory, whole)  # the parent's digest in the share file included


def test_steps_beyond_the_schedules_are_refused(device: str, stopped: Path, tmp_path: Path) -> None:
    with pytest.raises(zoo.UsageError, match=r"--steps 40 is beyond the 8 of train\.steps.*--set train\.steps=40"):
        zoo.train(flow(device), runs=tmp_path, name="y", steps=40)
    assert not (tmp_path / NAME / "y").exists()
    with pytest.raises(zoo.UsageError, match=r"--steps 40 is beyond the 8 .*start a new run"):
        zoo.resume(stopped, steps=40)


def test_other_versions_are_told(stopped: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provenance, "_versions", lambda spec: {"torch": "9.9"})
    told = Told()
    zoo.resume(stopped, progress=told)
    assert any("resumed with 9.9: the bits may differ" in note for note in told.notes)


def test_a_checkpoint_without_a_record_goes_on(tmp_path: Path) -> None:
    """As one of format 1."""
    old = Path(shutil.copytree(RUN, tmp_path / "realnvp-2d" / "old"))
    (step,) = checkpoint.steps(old / run.CHECKPOINTS)
    assert provenance.recorded(old, step) == {}
    assert zoo.resume(old, steps=8).steps == 8
    assert provenance.recorded(old, 8)["spec"] == load_spec(old / record.RESOLVED).resolved()
