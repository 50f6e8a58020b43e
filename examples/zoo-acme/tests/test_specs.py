"""The specs can be built; their small versions train, ship, come back and go on to the same bits."""

from pathlib import Path

import pytest

import zoo
from zoo.testing import check_spec

SPECS = sorted((Path(__file__).parent.parent / "specs").glob("*.yaml"))


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.stem)
def test_it_fits_together(spec: Path) -> None:
    assert sum(p.numel() for p in zoo.build(zoo.load_spec(spec)).parameters()) > 0


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.stem)
def test_it_keeps_what_zoo_promises(spec: Path) -> None:
    check_spec(spec)
