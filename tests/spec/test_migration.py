"""Files of older versions are migrated by a step that somebody wrote, or refused: no default comes in by itself."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from fake_plugins import plugin
from tampered_files import closed, meta_of, opened, sealed, with_meta

import zoo
from zoo.assembly import build as assembly
from zoo.format import migrations
from zoo.format.header import read_header
from zoo.format.migrations import FORMAT
from zoo.run.record import MODEL
from zoo.share.file import export, export_again, open_share, read_share, reexport
from zoo.share.verify import verify
from zoo.spec import load_spec

HEAD = '''
"""Plugins of other versions."""
from __future__ import annotations
import torch
from torch import Tensor, nn
from pydantic import PositiveFloat
from zoo import Bijection, Component, Metric, Optimizer, Part, Settings, Shape, component, migration, named

class Limits(Settings):
    low: float
LIMITS

class Linear(Bijection):
    def __init__(self, shape: Shape, factor: float, inner: Bijection | None) -> None:
        super().__init__(shape)
        self.factor, self.inner, self.shift = factor, inner, nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return x * self.factor + self.shift, x.new_zeros(len(x))

    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return (z - self.shift) / self.factor, z.new_zeros(len(z))
'''
OLD = (
    HEAD.replace("LIMITS", "")
    + '''
@component("scale")
class Scale(Linear):
    """Multiplies by half the width."""

    def __init__(self, shape: Shape, *, width: PositiveFloat = 2.0) -> None:
        super().__init__(shape, width / 2, None)

@component("outer")
class Outer(Linear):
    """Has another within."""

    def __init__(
        self, shape: Shape, *, of: list[Part[Bijection]] = [named("acme.scale")], limits: Limits = Limits(low=0.0)
    ) -> None:
        super().__init__(shape, 1.0, of[0](shape))
        self.factor = self.inner.factor
'''
)
NEW_SCALE = '''
@component("scale")
class Scale(Linear):
    """Multiplies by a factor and a sign."""

    def __init__(self, shape: Shape, *, factor: PositiveFloat = 7.0, sign: float = 1.0) -> None:
        super().__init__(shape, factor * sign, None)
'''
OUTER = OLD[OLD.index('@component("outer")') :]
NEW = HEAD.replace("LIMITS", "") + NEW_SCALE + OUTER
STEP = """
@migration(Scale, before="0.3")
def factor_for_width(old):
    return {"factor": old["width"] / 2, "sign": 1.0}
"""
SPEC: dict[str, Any] = {
    "name": "older",
    "data": {"type": "toy2d", "figure": "two_moons", "size": 200, "test_size": 50},
    "model": {
        "type": "flow",
        "base": "standard_normal",
        "transforms": [
            {"type": "acme.scale", "width": 6.0},
            {"type": "acme.outer", "of": [{"type": "acme.scale", "width": 4.0}]},
        ],
    },
    "train": {"steps": 2, "batch": 16, "optimizer": "adam"},
    "evaluate": ["nll"],
}
X = torch.linspace(-1, 1, 8).reshape(4, 2)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A share file of acme-zoo 0.2, whose bijections multiply by three and by two."""
    folder = tmp_path_factory.mktemp("made")
    with plugin(folder, OLD, "0.2"):
        spec = load_spec(SPEC)
        model: Any = assembly.build(spec)
        assert scaled(model) == 6.0
        return export(folder / "older.safetensors", spec, model, step=5, data=None)


@pytest.fixture
def file(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(made, tmp_path))


def scaled(model: Any) -> float:
    """By how much the model's bijections multiply."""
    z = model.transforms(X)[0].detach()
    return float((z / X).mean())


# -- components --------------------------------------------------------------------------------------------------------


def test_a_registered_step_migrates_wherever_the_component_is_declared(file: Path, tmp_path: Path) -> None:
    before = file.read_bytes()
    with plugin(tmp_path, NEW + STEP, "0.3"):
        model, spec, header = open_share(file)
        assert scaled(model) == 6.0
        transforms = spec.resolved()["model"]["transforms"]
        assert transforms[0] == {"type": "acme.scale", "factor": 3.0, "sign": 1.0}
        assert transforms[1]["of"] == [{"type": "acme.scale", "factor": 2.0, "sign": 1.0}]
        assert [n.state for n in verify(file).components if n.name == "acme.scale"] == ["older"]
        assert header.meta["components"][1]["version"] == "0.2"
        assert read_share(file).respecified(["sample.n=3"]).model.resolved() == spec.model.resolved()
    assert file.read_bytes() == before


def test_written_again_it_is_of_today(file: Path, tmp_path: Path) -> None:
    with plugin(tmp_path, NEW + STEP, "0.3"):
        export_again(tmp_path / "again.safetensors", *open_share(file))
    with plugin(tmp_path, NEW, "0.3"):
        assert scaled(zoo.load(tmp_path / "again.safetensors")) == 6.0
    with (
        plugin(tmp_path, NEW + STEP.replace('before="0.3"', 'before="0.4"'), "0.4"),
        pytest.raises(zoo.DamagedFile, match=r"the migration of 'Scale' to 0\.4 failed: KeyError: 'width'"),
    ):
        zoo.load(tmp_path / "again.safetensors")


def test_a_run_of_an_older_version_is_exported_anew(file: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    old = read_header(file.rename(run / MODEL)).meta["digest"]
    with plugin(tmp_path, NEW + STEP, "0.3"):
        output, digest = reexport(run, tmp_path / "anew.safetensors", None)
    assert digest == read_header(output).meta["digest"] != old


def test_steps_follow_each_other_from_the_files_version_on(file: Path, tmp_path: Path) -> None:
    later = """
@migration(Scale, before="0.10")
def second(old):
    return {"factor": old["factor"] * 10, "sign": old["sign"]}

@migration(Scale, before="0.3")
def first(old):
    return {"factor": old["width"], "sign": -1.0}

@migration(Scale, before="0.2")
def never(old):
    raise RuntimeError
"""
    with plugin(tmp_path, NEW + later, "0.10"):
        assert scaled(zoo.load(file)) == 60.0 * 40.0


def test_a_parent_may_rewrite_what_is_declared_within(file: Path, tmp_path: Path) -> None:
    text = (
        NEW
        + STEP
        + """
@migration(Outer, before="0.3")
def twice(old):
    assert old == {"of": [{"type": "acme.scale", "width": 4.0}], "limits": {"low": 0.0}}
    return old | {"of": [{"type": "acme.scale", "width": 2 * old["of"][0]["width"]}]}
"""
    )
    with plugin(tmp_path, text, "0.3"):
        assert scaled(zoo.load(file)) == 3.0 * 4.0


GAINED = OLD.replace("width: PositiveFloat = 2.0", "width: PositiveFloat = 2.0, sign: float = -1.0")
READ = OLD.replace("width: PositiveFloat = 2.0", "width: Annotated[PositiveFloat, AfterValidator(round)] = 2.0")
READ = READ.replace("import PositiveFloat", "import AfterValidator, PositiveFloat\nfrom typing import Annotated")
REFUSED = {
    "a parameter with a default": (
        GAINED,
        r"model\.transforms\[1\]\.of\[0\]  bijection 'acme\.scale' has a parameter 'sign' that the file does not set",
    ),
    "a default within a record": (
        OLD.replace("low: float\n", "low: float\n    high: float = 9.0\n"),
        r"model\.transforms\[1\]: bijection 'acme\.outer' reads the parameter 'limits' differently",
    ),
    "a parameter that is read otherwise": (
        READ.replace("(round)", "(lambda width: width + 1)"),
        r"bijection 'acme\.scale' reads the parameter 'width' differently",
    ),
    "a step that leaves a parameter to its default": (
        NEW + STEP.replace(', "sign": 1.0', ""),
        r"bijection 'acme\.scale' has a parameter 'sign' that the file does not set",
    ),
    "a step that fails": (NEW + STEP.replace("width", "size"), "the migration of 'Scale' to 0.3 failed: KeyError"),
    "a step that gives nothing": (NEW + STEP.replace("return", "_ ="), "the migration of 'Scale' to 0.3 failed: Type"),
}


@pytest.mark.parametrize(("text", "message"), REFUSED.values(), ids=REFUSED)
def test_refused(text: str, message: str, file: Path, tmp_path: Path) -> None:
    # A file that says less than components of today ask is not damaged.
    error = zoo.SpecError if "does not set" in message else zoo.DamagedFile
    with plugin(tmp_path, text, "0.3"), pytest.raises(error, match=message) as refused:
        zoo.load(file)
    assert str(refused.value).startswith(str(file))


ADDED = GAINED.replace('@component("scale")', '@component("scale", added={"sign": 1.0})').replace(
    "width / 2", "sign * width / 2"
)


def test_a_parameter_that_was_added_has_the_value_that_changes_nothing(file: Path, tmp_path: Path) -> None:
    with plugin(tmp_path, ADDED, "0.2"):
        model, spec, header = open_share(file)
        assert scaled(model) == 6.0
        assert spec.resolved()["model"]["transforms"][0] == {"type": "acme.scale", "width": 6.0, "sign": 1.0}
        export_again(tmp_path / "again.safetensors", model, spec, header)
        assert scaled(zoo.load(tmp_path / "again.safetensors")) == 6.0
        assert scaled(assembly.build(load_spec(SPEC))) == 6.0  # where a spec leaves it out, its default: -1, twice
        once = {"type": "flow", "base": "standard_normal", "transforms": [{"type": "acme.scale", "width": 6.0}]}
        assert scaled(assembly.build(load_spec(SPEC | {"model": once}))) == -3.0


@pytest.mark.parametrize(
    ("added", "message"),
    [
        ('{"colour": 1.0}', "the 'added' of 'colour' of Scale"),
        ('{"sign": "minus"}', "the 'added' of 'sign' of Scale"),
    ],
)
def test_what_was_added_is_a_parameter(added: str, message: str, file: Path, tmp_path: Path) -> None:
    text = ADDED.replace('{"sign": 1.0}', added)
    with plugin(tmp_path, text, "0.2"), pytest.raises(zoo.PluginError, match=message):
        zoo.load(file)


def test_what_is_read_as_it_was_is_taken(file: Path, tmp_path: Path) -> None:
    with plugin(tmp_path, READ, "0.3"):
        assert scaled(zoo.load(file)) == 6.0


@pytest.mark.parametrize("text", [GAINED, NEW], ids=["gained", "renamed"])
def test_the_refusal_says_what_to_do(text: str, file: Path, tmp_path: Path) -> None:
    with plugin(tmp_path, text, "0.3"), pytest.raises(zoo.ZooError) as refused:
        zoo.load(file)
    assert refused.value.exit_code in (2, 5)
    assert "acme-zoo 0.2 (installed: 0.3): pip install acme-zoo==0.2, or a version" in str(refused.value)


def test_other_defaults_change_nothing(file: Path, tmp_path: Path) -> None:
    with plugin(tmp_path, OLD.replace("= 2.0", "= 99.0").replace("low=0.0", "low=5.0"), "0.3"):
        assert scaled(zoo.load(file)) == 6.0


def test_how_it_was_trained_may_gain_settings(file: Path, tmp_path: Path) -> None:
    header, data = opened(file)
    meta = meta_of(header)
    del meta["spec"]["engine"], meta["spec"]["train"]["clip"], meta["spec"]["train"]["optimizer"]["betas"]
    closed(file, sealed(with_meta(header, meta), data), data)
    with plugin(tmp_path, OLD, "0.2"):
        assert scaled(zoo.load(file)) == 6.0


WRONG = {
    "another's": "from zoo import migration, Bijection\n"
    "from zoo.plugins.flows.bijections.normalization import ActNorm\n"
    "@migration(ActNorm, before='9')\ndef step(old): return old\n",
    "twice": NEW + STEP + STEP.replace("factor_for_width", "again"),
    "no version": NEW + STEP.replace("0.3", "soon"),
}


@pytest.mark.parametrize("text", WRONG.values(), ids=WRONG)
def test_a_wrong_migration_is_the_plugins_defect(text: str, tmp_path: Path) -> None:
    with plugin(tmp_path, text, "0.3") as registry:
        state = {plugin.name: plugin.error for plugin in registry.plugins()}
    assert "ValueError" in str(state.pop("acme"))
    assert set(state.values()) == {None}


# -- the format --------------------------------------------------------------------------------------------------------


def renamed(meta: dict[str, Any]) -> dict[str, Any]:
    """The step from a format in which ``step`` was called ``steps``, and the spec's name was a list."""
    meta["spec"]["name"] = meta["spec"]["name"][0]
    return {"step" if key == "steps" else key: value for key, value in meta.items()}


def test_an_older_format_is_brought_up_to_date(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    header, data = opened(file)
    meta = meta_of(header)
    meta["steps"], meta["format"] = meta.pop("step"), FORMAT - 2
    meta["spec"]["name"] = [meta["spec"]["name"]]
    closed(file, sealed(with_meta(header, meta), data), data)
    steps: Mapping[int, Any] = {FORMAT - 2: lambda meta: meta, FORMAT - 1: renamed}
    monkeypatch.setattr(migrations, "STEPS", steps)
    with plugin(tmp_path, OLD, "0.2"):
        model, spec, _ = open_share(file)
    told = read_header(file).meta
    assert (scaled(model), spec.name, told["step"], told["format"]) == (6.0, "older", 5, FORMAT)
    closed(file, with_meta(header, meta | {"seed": 3}), data)
    monkeypatch.setattr(migrations, "STEPS", {FORMAT - 1: renamed})
    with pytest.raises(zoo.DamagedFile, match=f"has format {FORMAT - 2}, which is no longer supported"):
        read_header(file)


def test_a_newer_format_is_refused(file: Path) -> None:
    header, data = opened(file)
    closed(file, with_meta(header, meta_of(header) | {"format": FORMAT + 1}), data)
    with pytest.raises(zoo.DamagedFile, match="update zoo to open it"):
        read_header(file)
