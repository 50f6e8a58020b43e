"""The specs can be built, and their small versions train, ship and come back."""

from pathlib import Path

import pytest

import zoo

SPECS = sorted((Path(__file__).parent.parent / "specs").glob("*.yaml"))


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.stem)
def test_it_fits_together(spec: Path) -> None:
    assert sum(p.numel() for p in zoo.build(zoo.load_spec(spec)).parameters()) > 0


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.stem)
def test_it_trains_and_ships(spec: Path, tmp_path: Path) -> None:
    run = zoo.train(zoo.load_spec(spec, small=True), runs=tmp_path)
    assert run.steps == 4
    zoo.load(run.model)
