"""``--json``: one object, which any parser of JSON reads, whatever was measured and whoever prints."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from fake_plugins import installed
from toy_table import TOY
from typer.testing import CliRunner, Result

import zoo
from zoo.cli.app import app
from zoo.cli.replies import reply

PRINTS = """\
from zoo import Bijection, component

print("imported")


@component("loud")
class Loud(Bijection):
    def forward(self, x, context=None):
        print("forward")
        return x, x.new_zeros(len(x))

    def inverse(self, z, context=None):
        return self.forward(z)
"""


def strict(text: str) -> Any:
    """The one object of a reply, by a parser that knows nothing beyond JSON."""
    assert text.count("\n") == 1

    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is not JSON")

    return json.loads(text, parse_constant=refuse)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A toy run, beside a file with two rows that its likelihood cannot count."""
    monkeypatch.chdir(tmp_path)
    Path("rows.csv").write_text("a,b\n1,2\n3,5\n2,2\n4,1\n")
    Path("far.csv").write_text("a,b\n1,2\n1e30,5\n2,2\n4,1e31\n")
    Path("toy.yaml").write_text(TOY)
    return str(zoo.train("toy.yaml", name="x").directory)


def evaluated(run: str, *options: str) -> Result:
    return CliRunner().invoke(app, ["evaluate", run, "--set", "data.test=far.csv", *options])


def test_what_is_not_finite_is_null_and_counted(run: str) -> None:
    value = strict(evaluated(run, "--json").stdout)
    assert value["metrics"] == {"nll": None}
    assert value["not_finite"] == {"metrics.nll": "inf"}
    assert value["rows_not_finite"] == {"nll": 2}
    assert "inf (2 of 4 rows are not finite)" in evaluated(run).stdout
    assert "not_finite" not in strict(CliRunner().invoke(app, ["evaluate", run, "--json"]).stdout)


def test_a_plugin_that_prints_spoils_no_object(run: str) -> None:
    Path("mine.py").write_text(PRINTS)
    Path("loud.yaml").write_text(TOY.replace("act_norm", "act_norm, mine.loud") + "plugins: [./mine.py]\n")
    with installed():  # its file is in no other test's registry
        for words in (["build", "loud.yaml"], ["train", "loud.yaml", "--name", "y"]):
            result = CliRunner().invoke(app, [*words, "--json"])
            assert isinstance(strict(result.stdout), dict)
            assert "forward" in result.stderr
        Path("mine.py").write_text(PRINTS.replace("imported", "imported again"))
        assert "imported" not in CliRunner().invoke(app, ["show", "loud.yaml"]).stdout


@pytest.mark.parametrize("odd", [float("nan"), float("inf"), -float("inf")])
def test_wherever_it_stands(odd: float) -> None:
    value = strict(reply({"a": [1.0, {"b": odd}], "c": (odd,), "d": "nan"}) + "\n")
    assert value == {
        "a": [1.0, {"b": None}], "c": [None], "d": "nan", "not_finite": {"a[1].b": str(odd), "c[0]": str(odd)}
    }  # fmt: skip
