"""A run that diverges says which row and which part, and what to do about these."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch

import zoo
from zoo.assembly.hooks import Fault, first_not_finite
from zoo.errors import SLOWER, UNTRAINED


def diverging(tmp_path: Path, *transforms: Any, lr: float = 1e-3, **train: Any) -> str:
    node = {
        "name": "diverging",
        "data": {"type": "toy2d", "figure": "two_moons", "size": 64, "test_size": 8},
        "model": {"type": "flow", "base": "standard_normal", "transforms": list(transforms)},
        "train": {"steps": 5, "batch": 8, "optimizer": {"type": "adam", "lr": lr}, **train},
        "engine": {"compile": "off", "device": "cpu"},
    }
    with pytest.raises(zoo.Diverged) as caught:
        zoo.train(node, runs=tmp_path)
    return str(caught.value)


def test_beyond_a_domain_the_part_the_rows_and_the_interval_are_named(tmp_path: Path) -> None:
    message = diverging(tmp_path, "act_norm", "logit")
    assert "diverged at step 0" in message
    assert "bijection 'logit', at rows " in message
    assert "of the batch; its input there is outside [0, 1]" in message
    assert "a lower learning rate will not help" in message
    assert SLOWER not in message


def test_at_step_0_no_learning_rate_is_advised(tmp_path: Path) -> None:
    message = diverging(
        tmp_path, "act_norm", {"type": "affine_coupling", "mask": "channel", "conditioner": "mlp"}, lr=1e38
    )
    assert "at step 0" not in message
    assert SLOWER in message
    assert UNTRAINED in str(zoo.Diverged(0, ["nll"]))


def model_of(*transforms: str) -> Any:
    node = {"type": "flow", "base": "standard_normal", "transforms": list(transforms)}
    return zoo.declare(zoo.Model, node)(zoo.Event("point", zoo.Shape(2)))


def fault_of(model: Any, x: torch.Tensor) -> Fault | None:
    batch = {"point": x}
    return first_not_finite(model, batch, lambda: model.forward(batch, zoo.Clock(torch.tensor(0), 1)))


def test_rows_are_those_of_the_batch() -> None:
    x = torch.full((6, 2), 0.5)
    model = model_of("logit", "reverse")
    assert fault_of(model, x) is None
    x[1, 0], x[4, 1] = 7.0, -3.0
    fault = fault_of(model, x)
    assert fault is not None
    assert fault.part is not None
    assert (fault.part.name, fault.rows, fault.beyond) == ("logit", (1, 4), (0.0, 1.0))


def test_a_row_of_the_data_that_is_not_finite_is_blamed_on_no_part() -> None:
    x = torch.zeros(3, 2)
    x[2, 0] = math.nan
    fault = fault_of(model_of("act_norm"), x)
    assert fault is not None
    assert (fault.part, fault.rows) == (None, (2,))
    assert "the data, at row 2 of the batch" in str(fault)
    assert "Check these rows" in str(fault.advice)


def test_many_rows_are_counted() -> None:
    assert str(Fault(None, tuple(range(9)))) == "the data, at rows 0, 1, 2, 3, 4 and 4 more of the batch"
