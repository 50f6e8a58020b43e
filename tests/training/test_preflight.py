"""What a run's data can tell is said before step 0, with its place, and nothing is made before."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import zoo
from zoo.assembly.build import build, check, check_batch_size
from zoo.data.batches import Splits
from zoo.document.yaml import write_yaml
from zoo.interfaces import Batch
from zoo.progress import Silent
from zoo.registry.registry import installed
from zoo.spec import load_spec
from zoo.training import api as training
from zoo.training.preflight import misfits, preflight

FLOW = {"type": "flow", "base": "standard_normal", "transforms": ["act_norm"]}
TRAIN = {"steps": 2, "batch": 4, "optimizer": "adam"}


class Told(Silent):
    """Keeps what a user is told."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, message: str) -> None:
        self.notes.append(message)


def rows(path: Path, count: int, columns: str = "a,b") -> str:
    """A table of so many rows."""
    width = columns.count(",") + 1
    values = torch.randn(count, width, generator=torch.Generator().manual_seed(0)).tolist()
    path.write_text("\n".join([columns, *(",".join(map(str, row)) for row in values)]) + "\n")
    return str(path)


def written(home: Path, **more: Any) -> zoo.Spec:
    """A spec in a file, so that what is wrong has a line."""
    node = {"name": "early", "model": FLOW, "train": TRAIN, "engine": {"compile": "off", "device": "cpu"}, **more}
    (home / "early.yaml").write_text(write_yaml(node))
    return load_spec(home / "early.yaml")


def assert_refused_early(spec: zoo.Spec, home: Path, match: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Refused as a usage error before anything is timed or made."""

    def timed(*given: Any) -> Any:
        raise AssertionError("the device was timed before the data was looked at")

    monkeypatch.setattr(training, "choose", timed)
    with pytest.raises(zoo.UsageError, match=match):
        zoo.train(spec, runs=home / "runs")
    assert not (home / "runs").exists()


def test_missing_test_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = {"type": "table", "train": rows(tmp_path / "train.csv", 20), "test": "nowhere.csv"}
    assert_refused_early(written(tmp_path, data=data), tmp_path, "'nowhere.csv' not found", monkeypatch)


def test_other_columns_in_the_test_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {"train": rows(tmp_path / "a.csv", 20), "test": rows(tmp_path / "b.csv", 20, "a,c")}
    spec = written(tmp_path, data={"type": "table", **files}, evaluate=["nll"])
    assert_refused_early(spec, tmp_path, "b.csv", monkeypatch)


@pytest.mark.parametrize(
    ("count", "validation", "told"),
    [
        (6, 0.05, "0.05 of the 5 examples of the train split leaves none to validate on"),
        (6, 0.99, ".* leaves none to train on"),
    ],
)
def test_validation_that_leaves_no_rows(
    count: int, validation: float, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train = TRAIN | {"validation": validation, "validate_every": 1}
    data = {"type": "table", "train": rows(tmp_path / "a.csv", count)}
    spec = written(tmp_path, data=data, evaluate=["nll"], train=train)
    match = rf"early\.yaml:\d+:\d+  train\.validation  {told}"
    assert_refused_early(spec, tmp_path, match, monkeypatch)


FACTOR_METRICS = [name for kind, name in installed().components() if kind == "metric" and hasattr(
    installed().find(zoo.Metric, name), "least_factors")]  # fmt: skip


@pytest.mark.parametrize("metric", FACTOR_METRICS)
def test_metrics_of_factors_need_factors_that_vary(
    metric: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = load_spec("vae-dsprites", ["data.test_size=1"], small=True)
    evaluate = spec.evaluate.model_copy(update={"metrics": [zoo.declare(zoo.Metric, metric)]})
    named = spec.model_copy(update={"evaluate": evaluate})
    assert_refused_early(named, tmp_path, f"metric '{metric}': the score needs . factors that vary", monkeypatch)


class Bare(zoo.Examples):
    """Examples of a stranger's data set."""

    def __init__(self, batch: Mapping[str, Tensor], warnings: Iterable[str] = ()) -> None:
        self.batch, self.warnings = batch, warnings

    def __len__(self) -> int:
        return len(next(iter(self.batch.values())))

    def read(self, indices: Tensor) -> dict[str, Tensor]:
        return {name: x[indices] for name, x in self.batch.items()}

    def fingerprint(self) -> str:
        return "bare"

    def survey(self) -> Iterable[str]:
        return self.warnings


def opened(spec: zoo.Spec, **splits: zoo.Examples) -> Splits:
    """A spec's data of which some splits are these."""
    made = Splits(spec.data())
    made._opened |= splits  # type: ignore[arg-type]
    return made


def test_every_split_is_summarised_and_its_warnings_are_said(tmp_path: Path) -> None:
    spec = written(tmp_path, data={"type": "toy2d", "figure": "two_moons", "size": 20, "test_size": 5})
    told = Told()
    points = {"point": torch.zeros(4, 2)}
    preflight(spec, opened(spec, train=Bare(points, ["constant."]), test=Bare(points, ["few."])), told.note)
    assert told.notes == [
        "train data: 4 examples", "warning: train data: constant.", "test data: 4 examples", "warning: test data: few.",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("batch", "told"),
    [
        ({}, "the test split has no examples"),
        ({"point": torch.zeros(3, 3)}, r"the test split .*'point' has shape \[3\], expected \[2\]"),
        ({"points": torch.zeros(3, 2)}, "a batch has no 'point': it has points"),
        ({"point": torch.full((3, 2), torch.nan)}, "'point' has values that are not finite"),
        ({"point": torch.zeros(3, 2, dtype=torch.int64)}, "'point' is torch.int64"),
    ],
)
def test_examples_that_are_not_what_is_declared(batch: dict[str, Tensor], told: str, tmp_path: Path) -> None:
    spec = written(tmp_path, data={"type": "toy2d", "figure": "two_moons", "size": 20, "test_size": 5})
    test = Bare(batch or {"point": torch.zeros(0, 2)})
    with pytest.raises(zoo.DataError, match=told):
        preflight(spec, opened(spec, test=test), Told().note)


LABELLED = zoo.Event("image", zoo.Shape(1, 2, 2), levels=4, classes=3, features=2, factors={"x": 5})
FITTING = LABELLED.example(4, "cpu")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({}, []),
        ({"image": FITTING["image"].long() + 3}, ["'image' has values from 3 to 6, expected integers from 0 to 3"]),
        ({"image": FITTING["image"].float()}, ["'image' is torch.float32, expected integers from 0 to 3"]),
        ({"label": torch.arange(4)}, ["'label' has values from 0 to 3, expected integers from 0 to 2"]),
        ({"features": torch.zeros(4, 3)}, ["'features' has shape [3], expected [2]"]),
        ({"factors": torch.zeros(4, 2)}, ["'factors' has shape [2], expected [1]"]),
    ],
)
def test_misfits(change: Batch, told: list[str]) -> None:
    assert list(misfits(LABELLED, {**FITTING, **change})) == told


def test_values_of_a_range() -> None:
    event = zoo.Event("x", zoo.Shape(1), range=(-1.0, 1.0))
    assert list(misfits(event, {"x": torch.tensor([[-1.0], [1.0]])})) == []
    assert list(misfits(event, {"x": torch.tensor([[-1.0], [1.5]])})) == [
        "'x' has values from -1 to 1.5, expected numbers from -1 to 1"
    ]


def test_a_metric_of_other_data_needs_that_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = {"type": "table", "train": "elsewhere.csv", "dims": 2}
    data = {"type": "table", "train": rows(tmp_path / "a.csv", 20)}
    spec = written(tmp_path, data=data, evaluate=[{"type": "ood", "data": other}])
    assert_refused_early(spec, tmp_path, r"evaluate\[0\]  metric 'ood': 'elsewhere.csv' not found", monkeypatch)


# -- batches that are too small ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "change", "least"),
    [
        ("realnvp-2d", "model.transforms=[act_norm, batch_norm]", 2),
        ("beta-tcvae", "train.steps=1", 2),
        ("dip-vae", "model.objective.type=dip_i", 2),
        ("dip-vae", "train.steps=1", 2),
        ("factor-vae", "train.steps=1", 4),
    ],
)
def test_parts_that_compare_examples_need_some(spec: str, change: str, least: int) -> None:
    with pytest.raises(zoo.SpecError, match=rf"train\.batch must be at least {least}, got {least - 1}"):
        check(load_spec(spec, [change, f"train.batch={least - 1}"], small=True))
    check(load_spec(spec, [change, f"train.batch={least}"], small=True))


def test_torchs_own_batch_norm_needs_two() -> None:
    model = build(load_spec("realnvp-2d", small=True))
    model.extra = torch.nn.BatchNorm1d(2)
    assert [problem.message for problem in check_batch_size(model, 2)] == []
    (problem,) = check_batch_size(model, 1)
    assert "model 'flow': its training compares the examples of a batch" in problem.message
