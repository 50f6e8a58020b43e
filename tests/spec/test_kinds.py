"""Kinds that plugins bring: told apart by class where they share a name, and with laws of their own."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import fake_plugins
import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
from run_equality import assert_same_run
from typer.testing import CliRunner

import zoo
from zoo.catalogue import queries
from zoo.cli import app, completion
from zoo.errors import SpecError
from zoo.format.header import read_header
from zoo.interfaces.component import kind_of
from zoo.registry.kinds import labels
from zoo.registry.registry import Registry
from zoo.share.file import reexport
from zoo.share.stored_spec import spec_of
from zoo.share.verify import verify
from zoo.site.component_pages import Reference
from zoo.spec import load_spec
from zoo.testing import LawBroken, check_component, laws_of, laws_of_kind

PACKAGES = Path(__file__).parents[1] / "zoo-kinds"
PLUGINS = {"acme": "acme_noise", "beta": "beta_pace", "gamma": "gamma_both"}
SPEC: dict[str, Any] = {
    "name": "paced",
    "data": {"type": "toy2d", "figure": "two_moons", "size": 64, "test_size": 16},
    "model": {"type": "gamma.paced", "noise": "acme.linear", "pace": "beta.linear"},
    "train": {
        "steps": 6,
        "batch": 16,
        "optimizer": "adam",
        "schedule": "cosine",
        "checkpoint_every": 3,
        "log_every": 2,
    },
    "engine": {"compile": "off", "device": "cpu"},
}


def install(folder: Path, *names: str) -> Path:
    """A folder for ``sys.path`` with the packages of these plugins, as pip leaves them."""
    for name in names:
        module, facts = PLUGINS[name], folder / f"{name}_zoo-1.0.dist-info"
        shutil.copytree(PACKAGES / module, folder / module, ignore=shutil.ignore_patterns("__pycache__"))
        facts.mkdir(parents=True)
        (facts / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}-zoo\nVersion: 1.0\n")
        (facts / "entry_points.txt").write_text(f"[zoo.plugins]\n{name} = {module}\n")
    return folder


@contextmanager
def installed(folder: Path) -> Iterator[Registry]:
    """Within this block the packages of a folder are installed, and no others of these."""
    with pytest.MonkeyPatch.context() as patch:
        others = [home for home in sys.path if not any((Path(home) / name).is_dir() for name in PLUGINS.values())]
        patch.setattr(sys, "path", [str(folder), *others])
        importlib.invalidate_caches()
        for name in imported():
            patch.delitem(sys.modules, name)
        with fake_plugins.installed() as registry:
            yield registry
        for name in imported():
            del sys.modules[name]


def imported() -> list[str]:
    return [name for name in sys.modules if name.partition(".")[0] in PLUGINS.values()]


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """All three are installed."""
    with installed(install(tmp_path_factory.mktemp("three"), *PLUGINS)) as found:
        yield found


def spec(**model: Any) -> zoo.Spec:
    return load_spec(SPEC | {"model": SPEC["model"] | model})


def component(registry: Registry, kind: str, name: str) -> type[zoo.Component]:
    return registry.components()[kind, name]


# -- told apart --------------------------------------------------------------------------------------------------------


def test_kinds_go_by_name_and_by_plugin_where_they_share_one(registry: Registry) -> None:
    kinds = registry.kinds()
    assert {label for label in kinds if "schedule" in label} == {"schedule", "acme.schedule", "beta.schedule"}
    assert kinds["schedule"] is zoo.Schedule
    assert [kinds[f"{name}.schedule"].__module__ for name in ("acme", "beta")] == ["acme_noise.schedule", "beta_pace"]
    assert [registry.label(kind) for kind in kinds.values()] == list(kinds)


def test_a_kind_that_shares_its_name_with_none_goes_by_it() -> None:
    assert labels(["acme.base.pace"], {"acme": "acme"}) == {"acme.base.pace": "pace"}
    assert labels(["a.pace", "b.x.pace", "b.pace"], {"b": "bee"}) == {
        "a.pace": "a.pace", "b.x.pace": "b.x.pace", "b.pace": "b.pace",
    }  # fmt: skip


def test_two_kinds_of_one_plugin_go_by_their_modules() -> None:
    found = labels(["pace", "acme.one.pace", "acme.two.pace"], {"acme": "acme"})
    assert found == {"pace": "pace", "acme.one.pace": "acme.one.pace", "acme.two.pace": "acme.two.pace"}


def test_kinds_of_zoos_own_go_first_wherever_a_label_is_asked_for(tmp_path: Path) -> None:
    """Also where nothing has named a component of zoo's yet."""
    with installed(install(tmp_path, "beta")) as registry:
        (linear,) = registry.components_of("beta")
        assert registry.label(kind_of(linear)) == "beta.schedule"


def test_a_name_is_found_by_the_class_of_its_kind(registry: Registry) -> None:
    kinds = registry.kinds()
    noise, pace = (registry.find(kinds[f"{name}.schedule"], "gamma.cosine") for name in ("acme", "beta"))
    assert (noise.__name__, pace.__name__) == ("CosineNoise", "CosinePace")
    assert registry.find(zoo.Schedule, "cosine").__module__.startswith("zoo.plugins")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"noise": "beta.linear"}, "'beta.linear' is a beta.schedule, expected an acme.schedule"),
        ({"pace": "acme.linear"}, "'acme.linear' is an acme.schedule, expected a beta.schedule"),
        ({"noise": "cosine"}, "'cosine' is a path and a schedule, expected an acme.schedule"),
        ({"pace": "gamma.cosines"}, "unknown beta.schedule 'gamma.cosines'; did you mean 'gamma.cosine'?"),
        ({"pace": 3}, "should be a beta.schedule"),
    ],
)
def test_a_message_names_the_kind_that_is_meant(registry: Registry, changed: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError) as refused:
        spec(**changed)
    assert message in str(refused.value)


def test_a_part_of_another_kind_of_that_name_is_refused(registry: Registry) -> None:
    kinds = registry.kinds()
    pace = zoo.declare(kinds["beta.schedule"], "beta.linear")
    with pytest.raises(SpecError, match=r"beta\.schedule 'beta\.linear' is not an acme\.schedule"):
        zoo.declare(kinds["acme.schedule"], pace)


def test_the_catalogue_has_both(registry: Registry) -> None:
    shelves = queries.catalogue()
    found = queries.components(shelves, "schedule")
    assert list(found) == ["acme.schedule", "beta.schedule", "schedule"]
    assert list(found["acme.schedule"]) == ["acme.linear", "gamma.constant", "gamma.cosine"]
    assert list(queries.components(shelves, "beta.schedule")) == ["beta.schedule"]
    (page,) = queries.pages(shelves, "gamma.paced")
    assert {row.name: row.type for row in page.entry.parameters} == {
        "noise": "acme.schedule", "pace": "beta.schedule", "net": "conditioner",
    }  # fmt: skip
    assert ("acme.schedule", "") in completion.kinds("acme")


def test_what_a_command_prints_names_both(registry: Registry) -> None:
    listed = CliRunner().invoke(app, ["list", "schedule", "--json"])
    assert set(json.loads(listed.stdout)["components"]) == {"schedule", "acme.schedule", "beta.schedule"}
    shown = CliRunner().invoke(app, ["show", "gamma.cosine", "--json"])
    assert [page["kind"] for page in json.loads(shown.stdout)["components"]] == ["acme.schedule", "beta.schedule"]


def test_what_zoo_lists_alone_is_a_part_of_what_it_lists_beside_them(registry: Registry) -> None:
    """Kinds and components of zoo's own keep their names, whatever is installed."""
    own = [shelf for shelf in queries.catalogue() if shelf.distribution == "zoo"]
    with_others = queries.components(queries.catalogue())
    for kind, names in queries.components(own).items():
        assert with_others[kind].items() >= names.items()


def test_the_schema_has_both(registry: Registry) -> None:
    document = queries.whole_schema()
    Draft202012Validator.check_schema(document)
    assert document["$defs"]["acme.schedule"]["description"].startswith("How much of the data is left")
    assert document["$defs"]["beta.schedule"]["description"] == "A pace by the number of a step"
    assert {"acme.schedule.gamma.cosine", "beta.schedule.gamma.cosine", "item.acme.schedule"} <= set(document["$defs"])
    valid = Draft202012Validator(document).is_valid
    slow = {"type": "beta.linear", "slope": 2.0}
    assert valid(SPEC)
    assert valid(SPEC | {"model": SPEC["model"] | {"pace": slow}})
    assert not valid(SPEC | {"model": SPEC["model"] | {"noise": slow}})
    assert not valid(SPEC | {"model": SPEC["model"] | {"pace": "acme.linear"}})
    many = {"type": "acme.denoiser", "further": ["acme.linear", {"repeat": 2, "of": ["gamma.cosine"]}]}
    assert valid(SPEC | {"model": many})
    assert not valid(SPEC | {"model": many | {"further": ["beta.linear"]}})


def test_the_site_has_a_page_of_each(registry: Registry) -> None:
    pages = Reference(queries.catalogue(), registry, {}).pages()
    assert {f"reference/{kind}.md" for kind in ("schedule", "acme.schedule", "beta.schedule")} <= set(pages)
    assert "### `goes_from_one_to_zero`" in pages["reference/acme.schedule.md"]
    assert "goes_from_one_to_zero" not in pages["reference/beta.schedule.md"]
    assert "[acme.schedule](../acme.schedule.md)" in pages["reference/model/gamma.paced.md"]


# -- their laws --------------------------------------------------------------------------------------------------------


def test_a_component_of_anothers_kind_is_held_to_its_laws(registry: Registry) -> None:
    check_component(component(registry, "acme.schedule", "gamma.cosine"))
    with pytest.raises(LawBroken, match=r"it goes from 0\.5 to 0\.5; expected 1 to 0"):
        check_component(component(registry, "acme.schedule", "gamma.constant"))


def test_everything_that_a_plugin_brings_is_held_to_them(registry: Registry) -> None:
    broken = set()
    for law in laws_of("gamma"):
        try:
            law()
        except LawBroken:
            broken.add(str(law))
    assert broken == {"constant-goes_from_one_to_zero", "constant-decreases"}


def test_a_kind_without_laws_says_how_one_brings_them(registry: Registry) -> None:
    assert laws_of_kind(registry.kinds()["beta.schedule"]) is None
    with pytest.raises(zoo.UsageError) as refused:
        check_component(component(registry, "beta.schedule", "beta.linear"))
    assert "no laws for a beta.schedule: define a classmethod 'laws'" in str(refused.value)
    assert "'laws' on beta_pace.Schedule that returns a zoo.testing.Laws" in str(refused.value)


def test_laws_that_are_none_are_refused() -> None:
    class Pace(zoo.Component):
        @classmethod
        def laws(cls) -> Any:
            return {"increases": print}

    with pytest.raises(zoo.UsageError, match=r"laws of kind 'pace' must be a zoo\.testing\.Laws, got dict"):
        laws_of_kind(Pace)


def test_laws_are_imported_where_they_are_wanted(tmp_path: Path) -> None:
    """A plugin works without them, also one whose laws do not."""
    folder = install(tmp_path, "acme")
    (folder / "acme_noise" / "laws.py").write_text("raise ImportError('pytest is missing')\n")
    with installed(folder) as registry:
        assert registry.find(registry.kinds()["acme.schedule"], "acme.linear")
        assert "acme_noise.laws" not in sys.modules
        pages = Reference(queries.catalogue(), registry, {}).pages()
        assert "goes_from_one_to_zero" not in pages["reference/acme.schedule.md"]


# -- share files -------------------------------------------------------------------------------------------------------


def made(folder: Path, model: dict[str, Any], name: str = "one") -> Path:
    """A share file of a model that was trained for a step."""
    declared = load_spec(SPEC | {"model": model, "train": SPEC["train"] | {"steps": 1, "checkpoint_every": 1}})
    file = folder / f"{name}.safetensors"
    reexport(zoo.train(declared, runs=folder, name=name).directory, file, None)
    return file


def drawn(file: Path) -> tuple[int, ...]:
    """The shape of two samples of a share file's model."""
    model: Any = zoo.load(file)
    return tuple(model.sample(2).shape)


def kinds_in(file: Path) -> set[tuple[str, str]]:
    recorded = read_header(file).meta["components"]
    return {(one["kind"], one["name"]) for one in recorded if one["distribution"] != "zoo"}


def test_a_file_of_before_a_second_kind_of_that_name_opens_after_it(tmp_path: Path) -> None:
    """And is the same file, whatever else is installed: it names kinds by their bare names."""
    model = {"type": "acme.denoiser", "noise": "acme.linear"}
    with installed(install(tmp_path / "one", "acme")):
        before = made(tmp_path, model, "before")
    with installed(install(tmp_path / "two", "acme", "beta")) as registry:
        assert registry.plugin_of(registry.find(registry.kinds()["beta.schedule"], "beta.linear")).name == "beta"
        assert drawn(before) == (2, 2)
        assert not verify(before).problems
        after = made(tmp_path, model, "after")
    assert kinds_in(before) == {("model", "acme.denoiser"), ("schedule", "acme.linear")}
    assert before.read_bytes() == after.read_bytes()


def test_a_file_tells_two_kinds_apart_where_one_plugin_has_a_name_of_both(registry: Registry, tmp_path: Path) -> None:
    file = made(tmp_path, {"type": "gamma.paced"})
    both = {("acme.schedule", "gamma.cosine"), ("beta.schedule", "gamma.cosine")}
    assert kinds_in(file) == {("model", "gamma.paced"), *both}
    assert drawn(file) == (2, 2)
    assert not verify(file).problems


def test_a_file_of_before_a_plugin_had_a_name_of_both_opens(registry: Registry, tmp_path: Path) -> None:
    """It records the bare name, which is then that of either."""
    file = made(tmp_path, {"type": "gamma.paced", "pace": "beta.linear"})
    header = read_header(file)
    (recorded,) = (one for one in header.meta["components"] if one["name"] == "gamma.cosine")
    assert recorded["kind"] == "acme.schedule"
    recorded["kind"] = "schedule"
    assert [part.cls.__name__ for part in spec_of(header, file).parts() if part.name == "gamma.cosine"] == [
        "CosineNoise"
    ]
    recorded["kind"] = "beta.schedule"
    with pytest.raises(zoo.DamagedFile, match=r"does not record the plugin of schedule 'gamma\.cosine'"):
        spec_of(header, file)


def test_one_plugin_cannot_have_two_of_one_kind_and_name(registry: Registry, tmp_path: Path) -> None:
    folder = install(tmp_path, "acme")
    text = "from acme_noise.schedule import Linear\nimport zoo\n"
    (folder / "acme_noise" / "again.py").write_text(text + "@zoo.component('linear')\nclass Again(Linear): 'Again.'\n")
    with installed(folder) as found:
        (error,) = (plugin.error for plugin in found.plugins() if plugin.name == "acme")
    assert error is not None and "two components have, or had, the name schedule 'acme.linear'" in error


# -- all the way -------------------------------------------------------------------------------------------------------

FRESH = """
import sys, zoo
model = zoo.load(sys.argv[1])
print(tuple(model.sample(3).shape), model.noise.declaration, model.factor)
"""


def test_both_kinds_in_one_spec_go_all_the_way(registry: Registry, tmp_path: Path) -> None:
    """Built, trained, resumed to the bit, exported; loaded and drawn from in a process of its own."""
    built = CliRunner().invoke(app, ["build", written(tmp_path), "--json"])
    rows = json.loads(built.stdout)["parts"]
    assert ("acme.schedule", "acme.linear") in {(row["kind"], row["type"]) for row in rows}
    whole = zoo.train(spec(), runs=tmp_path, name="whole").directory
    half = zoo.train(spec(), runs=tmp_path, name="half", steps=3).directory
    assert_same_run(whole, zoo.resume(half).directory)
    file = tmp_path / "paced.safetensors"
    reexport(whole, file, None)
    path = os.pathsep.join([str(install(tmp_path / "packages", *PLUGINS)), *sys.path])
    environment = os.environ | {"PYTHONPATH": path}
    done = subprocess.run(
        [sys.executable, "-c", FRESH, str(file)], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "(3, 2) schedule 'acme.linear' of acme-zoo 1.0 2.0\n"


def written(folder: Path) -> str:
    file = folder / "paced.yaml"
    file.write_text(json.dumps(SPEC))
    return str(file)
