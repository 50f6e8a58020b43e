"""`check_spec` passes a sound spec, and finds what a spec's own components break."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest
from fake_plugins import installed

from zoo.testing import LawBroken, check_spec

MODEL = '''
    """A model of one's own."""

    import random

    import torch
    from torch import nn
    import zoo

    STEPS = []


    @zoo.component("scaled")
    class Scaled(zoo.Model, zoo.Samples):
        """Normal, around a learned mean."""

        def __init__(self, event):
            super().__init__(event)
            self.mean = nn.Parameter(torch.zeros(*event.shape))
            self.mine = 0

        def forward(self, batch, clock):
            loss = (batch[self.event.name] - self.mean).square().sum(1).mean()
            return zoo.Terms(loss, {"nll": loss})

        def sample(self, n, context=None, temperature=1.0):
            return self.mean + torch.randn(n, *self.event.shape)
'''
SPEC = """\
name: own
plugins: [./own.py]
data: {type: toy2d, figure: two_moons}
model: own.scaled
train: {steps: 4, batch: 8, optimizer: {type: adam, lr: 1.0e-2}}
small: {train.batch: 4}
"""
DEFECTS = {
    "counts beside the state": (
        "loss = (",
        "self.mine += self.training\n            loss = self.mine * (",
        "ends with different weights",
    ),
    "draws from Python's generator": (
        "self.mean + torch.randn",
        "random.random() + self.mean + torch.randn",
        "draw differently from the same seed",
    ),
    "draws another shape": ("(n, *self.event.shape)", "(n, 1, *self.event.shape)", r"the sample has shape \[3, 1, 2\]"),
}


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    with installed():
        yield


def spec_in(folder: Path, text: str) -> Path:
    """A spec, and beside it the file with its model."""
    (folder / "own.py").write_text(dedent(text))
    (folder / "own.yaml").write_text(SPEC)
    return folder / "own.yaml"


def test_a_sound_one_passes(tmp_path: Path) -> None:
    check_spec(spec_in(tmp_path, MODEL))


@pytest.mark.parametrize("defect", DEFECTS)
def test_planted_defect_is_found(defect: str, tmp_path: Path) -> None:
    sound, broken, told = DEFECTS[defect]
    assert MODEL.count(sound) == 1
    with pytest.raises(LawBroken, match=told):
        check_spec(spec_in(tmp_path, MODEL.replace(sound, broken)))
