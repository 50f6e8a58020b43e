"""Python files that a spec names: a first try without a package, and never a way into a share file."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest
from fake_plugins import installed, point
from python_file import SCALE, SPEC
from tampered_files import closed as write_share
from tampered_files import meta_of, opened, sealed, with_meta
from typer.testing import CliRunner, Result

import zoo
from zoo.cli.app import app
from zoo.errors import DamagedFile, PluginError, SpecError, UsageError
from zoo.registry import registry
from zoo.registry.registry import Plugin
from zoo.share.file import reexport
from zoo.training.api import resume


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    """A registry in which no file has been brought yet."""
    with installed():
        yield


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A spec and the file that it names."""
    folder = tmp_path / "work"
    folder.mkdir()
    (folder / "mine.py").write_text(dedent(SCALE))
    (folder / "try.yaml").write_text(SPEC)
    return folder


@pytest.fixture
def run(folder: Path) -> Path:
    """A run of that spec, whose spec and file are gone."""
    run = zoo.train(folder / "try.yaml", runs=folder / "runs", name="a", steps=2).directory
    (folder / "mine.py").unlink()
    return run


def test_a_spec_is_made_of_them(folder: Path) -> None:
    spec = zoo.load_spec(folder / "try.yaml")
    model = zoo.build(spec)
    assert spec.plugins == ["./mine.py"]
    assert [type(part).__name__ for part in model.modules()].count("Scale") == 1


def test_no_bytecode_is_left_beside_them(folder: Path) -> None:
    zoo.load_spec(folder / "try.yaml")
    assert sorted(path.name for path in folder.iterdir()) == ["mine.py", "try.yaml"]


def test_a_run_keeps_its_own(run: Path) -> None:
    with installed():  # a later command, which has seen no file
        assert resume(run).steps == 4
    with installed():
        model = zoo.load(run)
        assert isinstance(model, zoo.Samples)
        assert model.sample(3).shape == (3, 2)


# -- a run that somebody sends -----------------------------------------------------------------------------------------


LOOKING = {
    "verify": ["verify RUN"],
    "compare": ["compare RUN", "compare RUN RUN --json"],
    "diff": ["diff RUN RUN", "diff RUN/resolved.yaml RUN/spec.yaml", "diff RUN/model.safetensors RUN"],
    "show": ["show RUN/resolved.yaml", "show RUN/spec.yaml", "show RUN/resolved.yaml --json"],
    "build": ["build RUN/resolved.yaml", "build RUN/spec.yaml", "build OUTSIDE"],
}
NEEDING = {
    "sample": ["sample RUN -n 2 -o x.npy", "sample RUN --density -n 2 -o x.png"],
    "evaluate": ["evaluate RUN"],
    "encode": ["encode RUN -o x.npy"],
    "export": ["export RUN -o x.safetensors", "export RUN --format torchscript -o x.pt"],
    "push": ["push RUN acme/try"],
    "figures": ["figures RUN"],
    "train": [
        "train --resume RUN",
        "train RUN/resolved.yaml --steps 1",
        "train RUN/spec.yaml --steps 1",
        "train OUTSIDE",
    ],
}
NEITHER = {"list", "table", "plugins", "doctor", "schema", "docs"}
MARK = "\nfrom pathlib import Path\nPath(__file__).with_suffix('.ran').touch()\n"


@pytest.fixture
def sent(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run whose Python file leaves a mark where it is executed; this user has trained nothing with it."""
    with (folder / "mine.py").open("a") as file:
        file.write(MARK)
    monkeypatch.setenv("ZOO_STATE", str(folder / "theirs"))
    run = zoo.train(folder / "try.yaml", runs=folder / "runs", name="a", steps=2).directory
    (folder / "mine.py").unlink()
    (folder / "mine.ran").unlink()
    (folder / "outside.yaml").write_text(f"extends: {run / 'resolved.yaml'}\n")
    monkeypatch.setenv("ZOO_STATE", str(folder / "mine"))
    monkeypatch.chdir(folder)
    return run


def called(command: str, run: Path) -> Result:
    """A later command, which has seen no file."""
    words = command.replace("RUN", str(run)).replace("OUTSIDE", str(run.parents[2] / "outside.yaml")).split()
    with installed():
        return CliRunner().invoke(app, words)


def test_every_command_either_looks_or_needs() -> None:
    commands = {str(command.name) for command in app.registered_commands}
    assert commands == LOOKING.keys() | NEEDING.keys() | NEITHER


@pytest.mark.parametrize("made", ["here", "elsewhere"])
@pytest.mark.parametrize("command", [line for lines in LOOKING.values() for line in lines])
def test_looking_executes_no_file_of_a_run(
    command: str, made: str, sent: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ZOO_STATE", str(sent.parents[2] / ("theirs" if made == "here" else "mine")))
    result = called(command, sent)
    if command != "build OUTSIDE" or made == "elsewhere":  # a spec of one's own needs the file that it leads to
        assert not list(sent.rglob("*.ran")), result.output
        expected = 4 if command.startswith("build") else int(command.startswith("diff RUN/"))
        assert result.exit_code == expected, result.output
    if command.startswith(("verify", "compare", "build")) and "--json" not in command and made == "elsewhere":
        assert "mine.py" in result.output


@pytest.mark.parametrize("command", [line for lines in NEEDING.values() for line in lines])
def test_a_file_of_somebody_elses_run_is_executed_only_if_trusted(command: str, sent: Path) -> None:
    result = called(command, sent)
    assert result.exit_code == 4, result.output
    assert "mine.py is a Python file of a run" in result.stderr
    assert "--trust" in result.stderr
    assert not list(sent.rglob("*.ran"))
    called(f"{command} --trust", sent)
    assert list(sent.rglob("*.ran"))


def test_trust_is_for_one_command_and_training_for_good(sent: Path) -> None:
    assert called("evaluate RUN --trust", sent).exit_code == 0
    assert called("evaluate RUN", sent).exit_code == 4
    assert called("train RUN/spec.yaml --steps 1 --trust --runs mine", sent).exit_code == 0
    assert called("evaluate RUN", sent).exit_code == 0
    (sent / "mine.py").write_text((sent / "mine.py").read_text() + "# another\n")
    assert called("evaluate RUN", sent).exit_code == 4


def test_python_asks_too(sent: Path) -> None:
    for opening in (zoo.load, resume):
        with installed(), pytest.raises(PluginError, match="trust=True"):
            opening(sent)
    with installed(), pytest.raises(PluginError, match="trust=True"):
        zoo.load_spec(sent / "resolved.yaml")
    with installed():
        assert isinstance(zoo.load(sent, trust=True), zoo.Samples)


@pytest.mark.parametrize("spec", ["extends: sub/base.yaml", "plugins: [sub/mine.py]", "plugins: [ELSEWHERE]"])
def test_no_path_leads_around_it(spec: str, sent: Path) -> None:
    """A file below the run, and one that the run names elsewhere, are files of the run."""
    (sent / "sub").mkdir()
    for home in (sent / "sub", sent.parents[2] / "elsewhere"):
        home.mkdir(exist_ok=True)
        (home / "mine.py").write_text((sent / "mine.py").read_text())
        (home / "base.yaml").write_text((sent / "resolved.yaml").read_text())
    (sent / "mine.py").unlink()
    elsewhere = sent.parents[2] / "elsewhere" / "mine.py"
    lines = (sent / "resolved.yaml").read_text().splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("plugins"))
    changed = spec.replace("ELSEWHERE", str(elsewhere)).splitlines()
    (sent / "resolved.yaml").write_text("\n".join([*lines[:start], *changed, *lines[start + 2 :]]) + "\n")
    for command in ("evaluate RUN", "train --resume RUN", "build RUN/resolved.yaml", "train RUN/resolved.yaml"):
        result = called(command, sent)
        assert result.exit_code == 4, result.output
    assert not list(sent.parents[2].rglob("*.ran"))


@pytest.mark.parametrize("command", [["evaluate"], ["sample", "-o", "x.npy"], ["verify"], ["compare"]])
def test_commands_on_a_run_find_them(run: Path, command: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(run.parent)
    with installed():
        result = CliRunner().invoke(app, [command[0], str(run), *command[1:]])
    assert result.exit_code == 0, result.output


def test_a_share_file_brings_none(run: Path, tmp_path: Path) -> None:
    """Neither alone nor with the file beside it: who opens a stranger's file runs nothing of it."""
    moved = Path(shutil.copy(run / "model.safetensors", tmp_path / "shared.safetensors"))
    shutil.copy(run / "mine.py", tmp_path / "mine.py")
    shutil.copy(run / "resolved.yaml", tmp_path / "resolved.yaml")
    for file in (moved, run / "model.safetensors"):
        with installed(), pytest.raises(PluginError, match=r"'mine\.scale' of mine\.py 0\+[0-9a-f]{12}: a Python file"):
            zoo.load(file)


def test_a_share_file_that_names_one_is_refused(run: Path) -> None:
    file = run / "model.safetensors"
    header, data = opened(file)
    meta = meta_of(header)
    assert meta["spec"]["plugins"] == []
    meta["spec"]["plugins"] = ["./mine.py"]
    write_share(file, sealed(with_meta(header, meta), data), data)
    with pytest.raises(DamagedFile, match=r"has '\./mine\.py' among its plugins"):
        zoo.load(run)


def test_it_is_not_exported(run: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"components of mine\.py: a share file contains no code"):
        reexport(run, tmp_path / "out.safetensors", None)
    assert not (tmp_path / "out.safetensors").exists()


def test_an_edited_file_takes_effect_and_leaves_models_alone(folder: Path) -> None:
    before = zoo.build(zoo.load_spec(folder / "try.yaml"))
    (folder / "mine.py").write_text(dedent(SCALE).replace("BY = 2.0", "BY = 3.0"))
    after = zoo.build(zoo.load_spec(folder / "try.yaml"))
    factors = [[part.by for part in model.modules() if hasattr(part, "by")] for model in (before, after)]
    assert factors == [[2.0], [3.0]]
    assert [plugin_of(model).version == plugin_of(before).version for model in (before, after)] == [True, False]


def plugin_of(model: zoo.Model) -> Plugin:
    """Who brought the scale of a model."""
    scale = next(part for part in model.modules() if isinstance(part, zoo.Bijection) and hasattr(part, "by"))
    return registry.installed().plugin_of(type(scale))


def test_the_path_starts_where_it_is_written(folder: Path) -> None:
    other = folder / "elsewhere"
    other.mkdir()
    (other / "wide.yaml").write_text("extends: ../try.yaml\nname: wide\n")
    assert zoo.load_spec(other / "wide.yaml").plugins == ["./mine.py"]


def test_one_that_was_broken_can_be_mended(folder: Path) -> None:
    (folder / "mine.py").write_text("import nothing_like_this\n")
    with pytest.raises(PluginError, match=r"(?s)try\.yaml:2:11.*mine\.py 0\+.*mine\.py\", line 1.*nothing_like_this"):
        zoo.load_spec(folder / "try.yaml")
    (folder / "mine.py").write_text(dedent(SCALE))
    zoo.load_spec(folder / "try.yaml")


def test_plain_values_name_none(folder: Path) -> None:
    node = zoo.load_spec(folder / "try.yaml").resolved()
    with pytest.raises(SpecError, match="can only be named in a spec file"):
        zoo.load_spec(node)
    with pytest.raises(SpecError, match="can only be named in a spec file"):
        zoo.load_spec(folder / "try.yaml", ["plugins=[./mine.py]"])


@pytest.mark.parametrize(
    ("entries", "told"),
    [
        ("[./gone.py]", r"gone\.py cannot be read: No such file"),
        ("[./mine.txt]", r"'\./mine\.txt' is not a Python file"),
        ("[./]", "is not a Python file"),
        ("['./my file.py']", r"invalid file name '\./my file\.py': it prefixes"),
        ("[./mine.py, ./other/mine.py]", r"duplicate plugin name '\./other/mine\.py'"),
    ],
)
def test_what_cannot_be_is_told_with_its_place(folder: Path, entries: str, told: str) -> None:
    (folder / "other").mkdir()
    shutil.copy(folder / "mine.py", folder / "other")
    (folder / "try.yaml").write_text(SPEC.replace("[./mine.py]", entries))
    with pytest.raises(PluginError, match=rf"(?s)try\.yaml:2:.*plugins\[\d\].*{told}"):
        zoo.load_spec(folder / "try.yaml")


def test_the_name_of_an_installed_plugin_is_taken(folder: Path) -> None:
    taken = pytest.raises(PluginError, match="has the name of the installed plugin 'mine'")
    with installed(point("mine", "a_package", "zoo-mine")), taken:
        zoo.load_spec(folder / "try.yaml")
