"""What is said of a wrong value: in zoo's words, whichever parameter of whichever component it is."""

from __future__ import annotations

import math
import re
from typing import Any

import pytest
from pydantic import ValidationError

from zoo.document.diagnostics import described, problems_in
from zoo.document.yaml import read_yaml, write_yaml
from zoo.interfaces.component import Component
from zoo.registry.part import parameters_of
from zoo.registry.registry import installed

JARGON = re.compile(
    r"Input|valid (list|tuple|dictionary|integer|number|string|boolean)|(?<!')instance|parse|validation|Value error|"
    r"type=|pydantic|https?:|NoneType|literal|callable| at 0x|Error\b"
)
WRONG: list[Any] = ["a", "", 1, -1, 0, 1.5, math.inf, True, None, [], [1], ["a"], [[1]], [None], {}, {"a": 1},
                    {"type": "nonsense"}, 10**30, list(range(9)), list("abcdefghi")]  # fmt: skip


@pytest.mark.parametrize(("called", "cls"), installed().components().items(), ids=str)
def test_no_word_of_the_machinery_is_said(called: tuple[str, str], cls: type[Component]) -> None:
    schema = parameters_of(cls)
    for name, info in schema.model_fields.items():
        for wrong in WRONG:
            key = info.alias or name
            node = read_yaml(write_yaml({key: wrong}), "x.yaml")
            try:
                schema.model_validate({**node}, context={"lookup": installed()})
            except ValidationError as error:
                said = [problem.message for problem in problems_in(error, node, schema, f"{called[0]} '{called[1]}'")]
                assert not [message for message in said if JARGON.search(message)], (key, wrong, said)


def test_a_component_that_raises_is_told_without_addresses() -> None:
    assert described(RuntimeError(f"cannot read {object()!r}")) == "RuntimeError: cannot read <object object>"
    assert described(ValueError("at 0x7f is where")) == "at 0x7f is where".replace(" at 0x7f", "")
    assert described(IsADirectoryError(21, "Is a directory", "rows.csv")) == "rows.csv is a folder, expected a file"
