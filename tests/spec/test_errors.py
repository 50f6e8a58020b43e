"""What a user is told: golden texts, and whose line a misbehaving component is blamed on."""

from __future__ import annotations

import ast
import difflib
import importlib
from pathlib import Path

import pytest
from fake_plugins import point, registry_with
from golden_texts import WRITE, Golden, goldens
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from zoo.assembly.build import check
from zoo.cli.app import app
from zoo.errors import Diverged, Interrupted, Problem, SpecError, UsageError, ZooError, nearest
from zoo.spec import load_spec


@pytest.mark.parametrize("golden", goldens(), ids=str)
def test_golden(golden: Golden, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ZOO_DATA", "nowhere")
    for name, text in golden.files.items():
        Path(name).write_text(text, encoding="utf-8")
    result = CliRunner().invoke(app, golden.command)
    assert result.exception is None or isinstance(result.exception, SystemExit)
    said = result.stderr.replace(str(tmp_path), "HERE")
    if WRITE:
        golden.write(result.exit_code, said)
    else:
        assert said == golden.text
        assert result.exit_code == golden.code
        assert result.stdout == ""


PLANE = """\
name: misfit
data: {type: toy2d, figure: two_moons}
model:
  type: flow
  base: standard_normal
  transforms:
    - act_norm
    - MISFIT
train: {steps: 10, batch: 8, optimizer: {type: adam, lr: 1.0e-3}}
evaluate: [nll]
"""

OF = " of stranger 1.0"
BLAMED = {
    "misfits.wrong_shape": f"bijection 'misfits.wrong_shape'{OF}: its z is [2, 1], expected [B, 2]",
    "misfits.wrong_log_det": (
        f"bijection 'misfits.wrong_log_det'{OF}: its log_det is [], expected [B]: one number for each sample"
    ),
    "misfits.no_pair": f"bijection 'misfits.no_pair'{OF}: its result is Tensor, expected a pair",
    "misfits.raises_in_forward": f"bijection 'misfits.raises_in_forward'{OF}: RuntimeError: ",
    "{type: misfits.raises_at_build, size: 3}": f"bijection 'misfits.raises_at_build'{OF}: KeyError: 'size 3'",
    "{type: misfits.bad_parent, conditioner: mlp}": (
        f"bijection 'misfits.bad_parent'{OF}: passes conditioner 'mlp' an input of the wrong form: "
        "the input is [2, 4], expected [B, 2]"
    ),
    "{type: chain, of: [misfits.wrong_shape]}": (
        f"bijection 'misfits.wrong_shape'{OF}: its z is [2, 1], expected [B, 2]"
    ),
}


@pytest.fixture
def misfits(monkeypatch: pytest.MonkeyPatch) -> None:
    registry = registry_with(point("misfits", "bad_components"))
    monkeypatch.setattr("zoo.spec.load.installed", lambda: registry)


def _problem(text: str, path: Path) -> Problem:
    path.write_text(text)
    with pytest.raises(SpecError) as raised:
        check(load_spec(path))
    (problem,) = raised.value.problems
    return problem


@pytest.mark.usefixtures("misfits")
@pytest.mark.parametrize(("declared", "message"), BLAMED.items())
def test_a_misfit_is_blamed_by_its_own_line(declared: str, message: str, tmp_path: Path) -> None:
    problem = _problem(PLANE.replace("MISFIT", declared), tmp_path / "x.yaml")
    assert problem.message.startswith(message)
    assert problem.mark is not None
    assert problem.mark.line == 8
    inner = declared.find("misfits.wrong_shape]")
    assert problem.mark.column == 7 + max(0, inner)


@pytest.mark.usefixtures("misfits")
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("vector_loss", f"model 'misfits.vector_loss'{OF}: its loss has shape [2], expected a scalar"),
        ("plain_loss", f"model 'misfits.plain_loss'{OF}: its forward returns Tensor, expected zoo.Terms"),
    ],
)
def test_a_model_is_held_to_its_kind(name: str, message: str, tmp_path: Path) -> None:
    head, _, tail = PLANE.partition("model:")
    text = f"{head}model: misfits.{name}\n{tail[tail.index('train:') :]}"
    problem = _problem(text, tmp_path / "x.yaml")
    assert problem.message == message
    assert problem.mark is not None
    assert (problem.mark.line, problem.mark.column) == (3, 8)


@pytest.mark.usefixtures("misfits")
def test_what_needs_values_is_checked_on_the_cpu(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(PLANE.replace("MISFIT", "misfits.needs_values"))
    assert any(part.type == "misfits.needs_values" for part in check(load_spec(path)).parts)


def test_exit_codes() -> None:
    importlib.import_module("zoo.hub.errors")
    own = (cls for cls in _subclasses(ZooError) if not cls.__module__.startswith("zoo.plugins."))
    codes = {cls.__name__: cls.exit_code for cls in own}
    assert codes == {
        "UsageError": 2,
        "SpecError": 2,
        "DataError": 2,
        "Diverged": 3,
        "NeverFinite": 3,
        "PluginError": 4,
        "DamagedFile": 5,
        "Interrupted": 1,
        "Unreachable": 1,
    }
    assert Interrupted(15, "runs/x", 3).exit_code == 143
    assert "'nll', 'kl' became NaN" in str(Diverged(7, ["nll", "kl"]))


def _subclasses(cls: type[ZooError]) -> list[type[ZooError]]:
    return [found for sub in cls.__subclasses__() for found in (sub, *_subclasses(sub))]


def test_nearest() -> None:
    assert nearest("widht", ["width", "depth"]) == "; did you mean 'width'?"
    assert nearest("xyz", ["width", "depth"]) == "; known: depth, width"
    assert nearest("qqq", [f"w{i}" for i in range(50)]) == ""
    assert nearest("x", []) == ""
    assert nearest("hiden", ["width", "depth"]) == "; known: depth, width", "five letters agree by chance in two"
    assert nearest("elbos", ["width", "elbow"], missing=["elbo"]) == "; did you mean 'elbo'?"
    assert nearest("units", ["width", "depth"], missing=["width"]) == "; 'width' is missing"
    assert nearest("units", [], missing=["a", "b"]) == "; 'a' and 'b' are missing"


@given(st.text("abcdef_", min_size=1, max_size=8), st.lists(st.text("abcdef_", min_size=1, max_size=8), max_size=6))
def test_nothing_far_is_suggested(word: str, known: list[str]) -> None:
    hint = nearest(word, known)
    if hint.startswith("; did you mean"):
        name = hint.split("'")[1]
        assert word in name.split("_") or difflib.SequenceMatcher(None, name, word).ratio() >= 0.6


def test_no_message_is_an_assertion() -> None:
    """User input is never judged by ``assert``: python -O would let it pass."""
    root = Path(__file__).parents[2]
    for path in [*(root / "zoo").rglob("*.py"), *(root / "plugins").rglob("*.py")]:
        found = [n.lineno for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Assert)]
        assert not found, f"{path}: {found}"


def test_usage_error_is_for_the_user() -> None:
    assert str(UsageError("no")) == "no"
