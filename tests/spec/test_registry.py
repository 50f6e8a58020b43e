"""Names -> classes: prefixes, conflicts, and the quarantine of broken plugins."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest
import torch
from fake_plugins import point, registry_with
from typer.testing import CliRunner

import zoo
import zoo.training  # what is imported while a test has replaced the registry would keep that one
from zoo.cli.app import app
from zoo.distribution import DISTRIBUTION
from zoo.errors import PluginError
from zoo.registry.discovery import found, sources
from zoo.registry.part import declare_node
from zoo.registry.registry import Registry

SPLINE = '''
    """Splines."""
    from zoo import Conditioner, Mask, component

    class Sound(Conditioner):
        def forward(self, x, context=None):
            return x

    @component("spline")
    class Spline(Sound):
        """A spline."""

    @component("mlp")
    class Own(Sound):
        """Another perceptron: its name is prefixed."""
'''
SPEC = """\
name: plane
data: {type: toy2d, figure: two_moons}
model: {type: flow, base: NAME, transforms: [act_norm]}
train: {steps: 10, batch: 8, optimizer: {type: adam, lr: 1.0e-3}}
"""
Write = Callable[[str, str], str]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Writes a module that can be imported; gives its name."""
    monkeypatch.syspath_prepend(tmp_path)

    def write(name: str, text: str) -> str:
        path = tmp_path / f"{name.replace('.', '/')}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(dedent(text))
        monkeypatch.delitem(sys.modules, name, raising=False)
        return name

    return write


def test_names_of_strangers_are_prefixed(write: Write) -> None:
    registry = registry_with(point("acme", write("acme_one", SPLINE)))
    spline = registry.find(zoo.Conditioner, "acme.spline")
    assert registry.name_of(spline) == "acme.spline"
    assert registry.plugin_of(spline).distribution == "stranger"
    assert registry.find(zoo.Conditioner, "mlp").__module__.startswith("zoo.plugins")
    assert registry.find(zoo.Conditioner, "acme.mlp").__name__ == "Own"
    with pytest.raises(LookupError, match=r"unknown conditioner 'spline'; did you mean 'acme.spline'\?"):
        registry.find(zoo.Conditioner, "spline")


def test_own_names_are_bare() -> None:
    registry = registry_with()
    with pytest.raises(LookupError, match=r"unknown conditioner 'nets.mlp'; did you mean 'mlp'"):
        registry.find(zoo.Conditioner, "nets.mlp")


def test_only_what_is_named_is_imported(write: Write) -> None:
    registry = registry_with(point("acme", write("acme_two", SPLINE)))
    registry.find(zoo.Conditioner, "mlp")
    assert "acme_two" not in sys.modules
    registry.find(zoo.Conditioner, "acme.spline")
    assert "acme_two" in sys.modules


def test_wrong_kind_says_which() -> None:
    with pytest.raises(LookupError, match="'mlp' is a conditioner, a decoder and an encoder, expected a mask"):
        registry_with().find(zoo.Mask, "mlp")


BROKEN = {
    "raises": "raise RuntimeError('no such device')",
    "syntax": "def broken(:\n    pass",
    "imports": "import a_module_that_nobody_has",
    "exits": "import sys\nsys.exit(3)",
    "no kind": "from zoo import component\n@component('x')\nclass X: pass",
    "no annotation": SPLINE + "\n        def __init__(self, a, b, *, width=3): pass",
    "bad name": "from zoo import Mask, component\n@component('Bad-Name')\nclass X(Mask): pass",
}


@pytest.mark.parametrize("text", BROKEN.values(), ids=BROKEN)
def test_a_broken_plugin_is_quarantined(text: str, write: Write) -> None:
    registry = registry_with(point("bad", write("broken_plugin", text)), point("acme", write("acme_three", SPLINE)))
    state = {plugin.name: plugin for plugin in registry.plugins()}
    assert state["bad"].error is not None
    assert "broken_plugin" in state["bad"].error
    assert state["bad"].components == []
    assert state["acme"].error is None
    assert registry.find(zoo.Conditioner, "acme.spline")
    with pytest.raises(PluginError, match=r"the plugin 'bad' \(stranger 1.0\) is broken"):
        registry.find(zoo.Conditioner, "bad.spline")


def test_a_wrong_default_is_the_plugins_defect(write: Write) -> None:
    text = """
        from zoo import Bijection, Conditioner, Part, Shape, component, named

        @component("own")
        class Own(Bijection):
            def __init__(self, shape: Shape, *, net: Part[Conditioner] = named("mlp", widht=64)) -> None: ...
            def forward(self, x, context=None): ...
            def inverse(self, z, context=None): ...
    """
    registry = registry_with(point("bad", write("wrong_default", text)))
    plugin = next(plugin for plugin in registry.plugins() if plugin.name == "bad")
    assert plugin.error is not None
    assert "'widht' is not a parameter of conditioner 'mlp'" in plugin.error


def test_two_distributions_claim_a_name(write: Write) -> None:
    module = write("acme_four", SPLINE)
    registry = registry_with(point("acme", module, "first"), point("acme", module, "second"))
    claim = "2 distributions claim the plugin name 'acme': first and second; uninstall all but one"
    assert [p.error for p in registry.plugins() if p.name == "acme"] == [claim, claim]
    assert module not in sys.modules
    with pytest.raises(PluginError, match=claim):
        registry.find(zoo.Conditioner, "acme.spline")
    assert registry.find(zoo.Conditioner, "mlp")  # it harms nobody else


def test_nobody_takes_a_name_of_ours(write: Write) -> None:
    registry = registry_with(point("flows", write("acme_five", SPLINE)))
    ours, theirs = (p for p in registry.plugins() if p.name == "flows")
    assert ours.error is None and ours.components
    assert theirs.error is not None and "claim the plugin name 'flows': zoo and stranger" in theirs.error


def test_one_distribution_listed_twice_is_one_plugin(write: Write) -> None:
    module = write("acme_six", SPLINE)
    registry = Registry(found([point("acme", module), point("acme", module)]))
    assert len(registry.plugins()) == 1
    assert registry.plugins()[0].components != []


def test_two_components_of_one_name(write: Write) -> None:
    text = SPLINE + '\n    @component("spline")\n    class Second(Sound):\n        pass\n'
    registry = registry_with(point("acme", write("acme_seven", text)), point("good", write("acme_eight", SPLINE)))
    state = {plugin.name: plugin for plugin in registry.plugins()}
    assert "two components have, or had, the name conditioner 'acme.spline'" in str(state["acme"].error)
    assert registry.find(zoo.Conditioner, "good.spline")
    assert registry.find(zoo.Conditioner, "mlp")


def test_one_name_in_two_kinds_is_no_conflict(write: Write) -> None:
    text = SPLINE + '\n    @component("spline")\n    class Second(Mask):\n        pass\n'
    registry = registry_with(point("acme", write("acme_nine", text)))
    assert registry.find(zoo.Conditioner, "acme.spline") is not registry.find(zoo.Mask, "acme.spline")


def test_classes_of_other_modules_are_not_taken(write: Write) -> None:
    write("library", SPLINE)
    registry = registry_with(point("acme", write("acme_ten", "from library import Spline\n")))
    assert next(plugin for plugin in registry.plugins() if plugin.name == "acme").components == []


def test_a_subclass_does_not_inherit_the_mark(write: Write) -> None:
    text = SPLINE + "\n    class Heir(Spline):\n        pass\n"
    registry = registry_with(point("acme", write("acme_eleven", text)))
    names = [cls.__name__ for cls in next(p for p in registry.plugins() if p.name == "acme").components]
    assert names == ["Spline", "Own"]


def test_a_missing_plugin_names_its_package_and_gives_no_command() -> None:
    """``acme`` on a package index is somebody else's."""
    with pytest.raises(
        PluginError, match="'acme' is not installed; it is part of a package, usually named 'zoo-acme'"
    ) as raised:
        declare_node(registry_with(), zoo.Conditioner, "acme.spline")
    assert "trust" in str(raised.value) and "pip" not in str(raised.value)


def test_a_missing_plugin_may_be_one_that_is_here(write: Write) -> None:
    registry = registry_with(point("acme", write("acme_near", SPLINE)))
    with pytest.raises(PluginError, match=r"the plugin 'acne' is not installed; did you mean 'acme'\?$"):
        registry.require("acne")


def test_where_no_name_is_near_the_kind_can_be_listed() -> None:
    with pytest.raises(LookupError, match=r"unknown bijection 'qqq'; see: zoo list bijection$"):
        registry_with().find(zoo.Bijection, "qqq")


@pytest.mark.parametrize("distribution", ["zoo", "Zoo"])
def test_a_distribution_called_zoo_is_not_ours(distribution: str, write: Write) -> None:
    """It brings no bare names, takes none of ours, and cannot be taken for zoo in a share file."""
    module = write("acme_zoo", SPLINE)
    registry = registry_with(point("acme", module, distribution), point("flows", module, distribution))
    state = [(plugin.name, plugin.error) for plugin in registry.plugins() if plugin.module == module]
    assert {name for name, _ in state} == {"acme", "flows"}
    assert all(error is not None for _, error in state)
    assert module not in sys.modules
    assert registry.bringer("affine_coupling").version == zoo.__version__  # type: ignore[union-attr]


def test_ours_is_told_by_its_modules_whoever_packages_it(write: Write) -> None:
    for distribution in (DISTRIBUTION, "zoo", "zoo-of-a-distributor"):
        (ours,) = found([point("flows", "zoo.plugins.flows", distribution, "7.0")])
        assert (ours.distribution, ours.version, ours.prefix, ours.fault) == ("zoo", zoo.__version__, "", None)
    (theirs,) = found([point("waters", "zoo.plugins.flows")])
    assert theirs.fault == "its module is zoo.plugins.flows, which is part of zoo itself"


def test_command_lists_the_broken_and_needs_them_only_where_named(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = registry_with(point("bad", write("broken_too", BROKEN["raises"])))
    for module in ("zoo.registry.registry", "zoo.spec.load"):
        monkeypatch.setattr(f"{module}.installed", lambda: registry)
    listed = CliRunner().invoke(app, ["plugins"])
    assert listed.exit_code == 0
    assert "broken" in listed.stdout
    assert "RuntimeError: no such device" in listed.stdout
    path = tmp_path / "x.yaml"
    path.write_text(SPEC.replace("NAME", "standard_normal"))
    assert CliRunner().invoke(app, ["build", str(path)]).exit_code == 0
    path.write_text(SPEC.replace("NAME", "bad.normal"))
    refused = CliRunner().invoke(app, ["build", str(path)])
    assert refused.exit_code == 4
    assert "x.yaml:3:27  model.base  the plugin 'bad' (stranger 1.0) is broken" in refused.stderr
    assert "RuntimeError: no such device" in refused.stderr
    path.write_text(SPEC.replace("NAME", "gaussean"))
    hinted = CliRunner().invoke(app, ["build", str(path)])
    assert hinted.exit_code == 2
    assert "(broken plugins: bad; see: zoo plugins)" in hinted.stderr


ODD = {
    "prints": "print('hello')\nimport os; os.system('true')",
    "stops": "raise KeyError",
    "raises at the root": "class Own(BaseException): pass\nraise Own('mine')",
    "generator exit": "raise GeneratorExit",
    "no text": 'b"\\xff".decode()',
    "moves": "import os\nos.chdir('/')",
    "changes numbers": "import torch\ntorch.set_default_dtype(torch.float64)",
    "swaps the output": "import sys, io\nsys.stdout = io.StringIO()",
    "warns": "import warnings\nwarnings.simplefilter('error')",
}


@pytest.mark.parametrize("text", ODD.values(), ids=ODD)
def test_an_odd_plugin_changes_nothing_for_others(text: str, write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    before = Path.cwd(), torch.get_default_dtype(), sys.stdout, list(warnings.filters)
    registry = registry_with(point("odd", write("odd_plugin", text)), point("acme", write("acme_beside", SPLINE)))
    assert {plugin.name for plugin in registry.plugins()} > {"odd", "acme"}
    assert (Path.cwd(), torch.get_default_dtype(), sys.stdout, list(warnings.filters)) == before
    assert registry.find(zoo.Conditioner, "acme.spline")
    assert capsys.readouterr().out == ""


def test_a_program_of_a_plugin_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "with_program"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "__main__.py").write_text("raise SystemExit('run')")
    (package / "parts.py").write_text(dedent(SPLINE))
    monkeypatch.syspath_prepend(tmp_path)
    registry = registry_with(point("acme", "with_program"))
    assert registry.find(zoo.Conditioner, "acme.spline")


def test_metadata_that_cannot_be_read_is_at_fault_alone(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither what is installed under a name that is no text, nor entry points that are none, stop the others."""
    module = write("acme_metadata", SPLINE)
    for folder, metadata, points in (
        (
            "one_odd-1.0.dist-info",
            b"Name: one_odd\nVersion: 1.0\nAuthor: \xff\n",
            f"[zoo.plugins]\none = {module}\n".encode(),
        ),
        ("two_odd-2.0.dist-info", b"Name: two_odd\nVersion: 2.0\n", b"[zoo.plugins]\n\xff = nothing\n"),
        ("three-3.0.dist-info", b"Name: three\nVersion: 3.0\n", f"[zoo.plugins]\nthree = {module}\n".encode()),
    ):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "METADATA").write_bytes(metadata)
        (tmp_path / folder / "entry_points.txt").write_bytes(points)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    state = {plugin.name: plugin.fault for plugin in found()}
    assert state["three"] is None and state["flows"] is None
    assert str(state["one"]).startswith("its metadata cannot be read: 'utf-8' codec")
    assert str(state["two_odd"]).startswith("its entry points cannot be read: 'utf-8' codec")
    assert Registry(found()).find(zoo.Conditioner, "three.spline")


def test_a_link_that_leads_nowhere_hides_no_plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Such as the lock of an editor, beside the source that it has open."""
    package = tmp_path / "being_edited"
    package.mkdir()
    (package / "__init__.py").write_text(dedent(SPLINE))
    (package / ".#parts.py").symlink_to("someone@host.1234")
    monkeypatch.syspath_prepend(tmp_path)
    (plugin,) = found([point("acme", "being_edited")])
    before = plugin.stamp()
    (package / "parts.py").write_text("")
    sources.cache_clear()
    assert plugin.stamp() != before, "the other sources are seen as before"
    assert registry_with(point("acme", "being_edited")).find(zoo.Conditioner, "acme.spline")


def test_a_finder_that_fails_stops_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    class Finder:
        def find_spec(self, *_: object) -> None:
            raise RuntimeError("no")

    (plugin,) = found([point("acme", "somewhere_else")])
    monkeypatch.setattr(sys, "meta_path", [Finder(), *sys.meta_path])
    sources.cache_clear()
    assert plugin.stamp()
    sources.cache_clear()
