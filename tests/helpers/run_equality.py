"""Two runs are the same where every file that they leave behind is, bit for bit."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file

from zoo.run import checkpoint
from zoo.run.directory import CHECKPOINTS
from zoo.run.record import METRICS, MODEL


def assert_same_run(one: Path, other: Path) -> None:
    """The same model, averaged weights, optimizer state, controllers and rows of figures."""
    newest = [checkpoint.steps(run / CHECKPOINTS)[-1] for run in (one, other)]
    assert newest[0] == newest[1]
    states = [run / CHECKPOINTS / f"step-{newest[0]}" for run in (one, other)]
    ours, theirs = (load_file(state / "state.safetensors") for state in states)
    assert ours.keys() == theirs.keys()
    assert [name for name in ours if not torch.equal(_bits(ours[name]), _bits(theirs[name]))] == []
    assert (states[0] / "state.json").read_text() == (states[1] / "state.json").read_text()
    assert (one / METRICS).read_text() == (other / METRICS).read_text()
    assert (one / MODEL).read_bytes() == (other / MODEL).read_bytes()


def _bits(x: torch.Tensor) -> torch.Tensor:
    """NaN equals itself, and zero is not minus zero."""
    return x.contiguous().reshape(-1).view(torch.uint8)
