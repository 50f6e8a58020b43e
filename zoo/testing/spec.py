"""A whole spec: its model trains, ships, comes back and draws the same; a run that stopped goes on to the same bits."""

from __future__ import annotations

import math
import os
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from ..inference.sample import sample
from ..interfaces.capabilities import Samples
from ..share.file import export_again, open_share
from ..spec import Spec, load_spec
from ..training.api import resume, train
from .errors import require, require_event


def check_spec(spec: str | os.PathLike[str]) -> None:
    """Train the small version of a spec for two steps on the CPU, and check the result by the laws.

    LawBroken where it breaks a promise; the errors of `load_spec` and `train` where it cannot be declared or trained.

    >>> from zoo.testing import check_spec
    >>> check_spec("realnvp-2d")
    """
    declared = load_spec(spec, small=True, say=lambda message: None)
    plain = declared.engine.model_copy(update={"device": "cpu", "compile": "off"})
    declared = declared.model_copy(update={"engine": plain})
    with TemporaryDirectory() as folder:
        straight = train(declared, runs=folder, name="straight", steps=2)
        worst = [name for name, value in straight.metrics.items() if not math.isfinite(value)]
        require(
            not worst, f"after two steps {', '.join(worst)} is not finite: try a lower learning rate, or train.clip"
        )
        _resumes(declared, Path(folder), straight.model.read_bytes())
        _comes_back(straight.model, Path(folder, "again.safetensors"))


def _resumes(spec: Spec, folder: Path, straight: bytes) -> None:
    stopped = train(spec, runs=folder, name="stopped", steps=1)
    went_on = resume(stopped.directory, steps=2)
    require(
        went_on.model.read_bytes() == straight,
        "a run that is stopped and resumed ends with different weights: keep all that training changes in parameters "
        "and persistent buffers, and draw from torch's default generators",
    )


def _comes_back(file: Path, again: Path) -> None:
    model, spec, header = open_share(file)
    export_again(again, model, spec, header)
    require(again.read_bytes() == file.read_bytes(), "saving the model of a share file again gives a different file")
    if isinstance(model, Samples):
        other, _, _ = open_share(again)
        ours, theirs = (sample(one, 3, temperature=1.0, seed=0) for one in (model, other))
        require_event("the sample", ours, 3, model.event.shape)
        require(torch.equal(ours, theirs), "two models of one share file draw differently from the same seed")
