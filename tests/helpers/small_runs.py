"""A small flow to train in a second, and who keeps what a user is told of a run."""

from __future__ import annotations

from typing import Any

import zoo
from zoo.progress import Silent
from zoo.spec import load_spec

FLOW: dict[str, Any] = {
    "name": "small-flow",
    "data": {"type": "toy2d", "figure": "two_moons", "size": 200, "test_size": 50},
    "model": {
        "type": "flow",
        "base": "standard_normal",
        "transforms": [
            "act_norm",
            {"type": "affine_coupling", "mask": "channel", "conditioner": {"type": "mlp", "width": 4, "dropout": 0.2}},
            "batch_norm",
        ],
    },
    "train": {
        "steps": 8,
        "batch": 24,
        "optimizer": {"type": "adam", "lr": 0.01, "groups": [{"match": "*.log_scale", "lr": 0.1}]},
        "schedule": "cosine",
        "clip": 1.0,
        "ema": 0.9,
        "validation": 0.2,
        "validate_every": 2,
        "best": {"metric": "nll"},
        "checkpoint_every": 3,
        "log_every": 3,
        "sample_every": 2,
    },
    "engine": {"compile": "off"},
    "evaluate": ["nll"],
}


def flow(device: str, **train: Any) -> zoo.Spec:
    return load_spec(FLOW | {"train": FLOW["train"] | train, "engine": {"compile": "off", "device": device}})


class Told(Silent):
    """Keeps what a user is told."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, message: str) -> None:
        self.notes.append(message)
