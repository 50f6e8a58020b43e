"""What a component imports while it is built has values, whatever the model is built for."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch

import zoo
from zoo.assembly.imports import plain_imports
from zoo.testing.small import declares

LIBRARY = "from torch import empty, tensor\nSTEPS = tensor([0.25, 0.5])\nDRAWN = empty(1000).normal_()\n"
assembly: Any = import_module("zoo.assembly.build")


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A module with tensors that nothing has imported yet."""
    (tmp_path / "a_library.py").write_text(LIBRARY)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield "a_library"
    sys.modules.pop("a_library", None)


def test_tensors_of_an_imported_module_have_values(library: str) -> None:
    with torch.device("meta"), plain_imports():
        module: Any = import_module(library)
        assert torch.zeros(1).is_meta
    assert module.STEPS.tolist() == [0.25, 0.5]
    assert module.__loader__ is module.__spec__.loader
    assert "WithoutModes" not in type(module.__loader__).__name__


def test_without_it_they_have_none(library: str) -> None:
    with torch.device("meta"):
        module: Any = import_module(library)
    assert module.STEPS.is_meta


NODE = {
    "name": "late",
    "data": {"type": "toy2d", "figure": "rings"},
    "model": {"type": "flow", "base": "standard_normal", "transforms": ["reverse", "act_norm"]},
    "train": {"steps": 1, "batch": 2, "optimizer": "adam"},
}


@pytest.mark.parametrize("door", ["check", "declares", "load"])
def test_every_door_that_builds_for_another_device_or_without_draws(
    door: str, library: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    zoo_flows: Any = import_module("zoo.plugins.flows.bijections.permutation")
    spec = zoo.load_spec(NODE)
    if door == "load":
        exporting: Any = import_module("zoo.share.file")
        exporting.export(tmp_path / "late.safetensors", spec, zoo.build(spec), step=0, data=None)
    init = zoo_flows.Reverse.__init__

    def late(self: Any, *args: Any, **kwargs: Any) -> None:
        init(self, *args, **kwargs)
        import_module("a_library")

    monkeypatch.setattr(zoo_flows.Reverse, "__init__", late)
    match door:
        case "check":
            assembly.check(spec)
        case "declares":
            declares(spec, zoo.Causal)
        case "load":
            zoo.load(tmp_path / "late.safetensors")
    module = sys.modules["a_library"]
    assert module.STEPS.tolist() == [0.25, 0.5]
    assert 0.8 < float(module.DRAWN.std()) < 1.2
