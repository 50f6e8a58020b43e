"""Models and declarations survive pickle: whole, in another process, and with the Python file that brought them."""

from __future__ import annotations

import copy
import io
import json
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

import zoo
from zoo.registry.registry import installed
from zoo.spec import load_spec, shipped_specs
from zoo.testing.laws.model import _answers as answers
from zoo.testing.laws.model import step_of

OWN = '''
import torch
from torch import nn
import zoo


class Block(nn.Module):
    """A helper, that no registry knows."""


@zoo.component("bend")
class Bend(zoo.Bijection):
    """Adds the ``shift``."""

    def __init__(self, shape: zoo.Shape, *, shift: float = 1.0) -> None:
        super().__init__(shape)
        self.shift, self.block = shift, Block()

    def forward(self, x, context=None):
        return x + self.shift, torch.zeros(len(x))

    def inverse(self, z, context=None):
        return z - self.shift, torch.zeros(len(z))
'''


def through_pickle(model: Any) -> Any:
    return pickle.loads(pickle.dumps(model))


def through_torch(model: Any) -> Any:
    file = io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


@pytest.mark.parametrize("name", sorted(shipped_specs()))
def test_a_model_comes_back(name: str) -> None:
    model: Any = zoo.build(load_spec(name, small=True))
    step_of(model, model.players()[0], 0)
    model.get_submodule("").eval()
    model.double()
    first = next(iter(model.parameters())).requires_grad_(False)
    expected = answers(model)
    for way in (through_pickle, through_torch, copy.deepcopy):
        other = way(model)
        assert [part.training for part in other.modules()] == [part.training for part in model.modules()]
        assert [x.requires_grad for x in other.parameters()] == [x.requires_grad for x in model.parameters()]
        assert other.declaration.resolved() == model.declaration.resolved() and other.event == model.event
        assert next(iter(other.parameters())) is not first
        for what, ours in answers(other).items():
            assert torch.equal(ours, expected[what]) and ours.dtype == expected[what].dtype, (way, what)


def test_every_declaration_comes_back() -> None:
    for (_, name), cls in installed().components().items():
        try:
            part = zoo.declare(cls, {"type": name, **cls.__zoo__.example})  # type: ignore[attr-defined]
        except zoo.SpecError:  # pragma: no cover
            continue
        other = through_pickle(part)
        assert other.cls is part.cls and other.resolved() == part.resolved() and str(other) == str(part)


def test_another_process_gets_the_file_too(tmp_path: Path) -> None:
    (tmp_path / "bends.py").write_text(OWN)
    spec = {
        "name": "bent",
        "plugins": ["./bends.py"],
        "data": {"type": "toy2d", "figure": "two_moons"},
        "model": {"type": "flow", "base": "standard_normal", "transforms": [{"type": "bends.bend", "shift": 2.0}]},
        "train": {"steps": 1, "batch": 4, "optimizer": {"type": "adam", "lr": 0.001}},
    }
    (tmp_path / "bent.yaml").write_text(json.dumps(spec))
    model = zoo.build(tmp_path / "bent.yaml")
    (tmp_path / "model.pickle").write_bytes(pickle.dumps({"model": model, "part": model.declaration}))
    (tmp_path / "bends.py").unlink()
    script = f"""
import pickle, pathlib, torch
found = pickle.loads(pathlib.Path({str(tmp_path / "model.pickle")!r}).read_bytes())
again = pickle.loads(pickle.dumps(found["model"]))
import zoo
built = found["part"](again.event)
x = torch.zeros(1, 2)
print(found["model"].log_prob(x).item() == again.log_prob(x).item() == built.log_prob(x).item(), x.shape)
print(type(again.transforms.of[0]).origin)
"""
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert result.stdout.splitlines()[:1] == ["True torch.Size([1, 2])"], result.stderr
    assert result.stdout.splitlines()[1].startswith("bends.py 0+")
