"""A run directory and a share file that were written in format 1 open, score, draw and resume."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from golden_files import RUN, SHARE

import zoo
from zoo.format.header import read_header
from zoo.inference.evaluate import evaluate_file
from zoo.run.record import METRICS
from zoo.share.verify import verify
from zoo.training import api as training


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return Path(shutil.copytree(RUN, tmp_path / "realnvp-2d" / "format-1"))


@pytest.mark.parametrize("file", [SHARE, RUN / "model.safetensors"], ids=["share", "run"])
def test_it_verifies_and_draws(file: Path) -> None:
    assert verify(file).problems == []
    model = zoo.load(file)
    assert isinstance(model, zoo.Samples)
    drawn = model.sample(3)
    assert drawn.shape == (3, *model.event.shape)


def test_share_file_scores_as_recorded() -> None:
    measured, _ = evaluate_file(SHARE, ["elbo"], ["data=digits"])
    # The ELBO as the file recorded it when it was written: bounds of digits draw noise, by a seed.
    assert measured["elbo"].value == pytest.approx(recorded()["elbo"]["value"], rel=1e-3)


def test_run_resumes(run: Path) -> None:
    before = (run / METRICS).read_text().splitlines()
    result = training.resume(run)
    assert result.steps == 12
    rows = (run / METRICS).read_text().splitlines()
    assert rows[: len(before)] == before
    assert result.metrics["nll"] == pytest.approx(2.5, abs=0.2)


def recorded() -> dict[str, dict[str, float]]:
    figures: dict[str, dict[str, float]] = read_header(SHARE).meta["metrics"]["figures"]
    return figures
