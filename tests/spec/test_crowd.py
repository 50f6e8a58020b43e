"""A hundred plugins: an answer imports none of them, a spec those that it names."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from run_cli import ask, tab

from benchmarks.crowd import install

SPEC = """\
name: plane
data: {type: toy2d, figure: two_moons}
model: {type: flow, base: standard_normal, transforms: [act_norm, crowd_007.shift, {type: crowd_042.shift, c: 2}]}
train: {steps: 10, batch: 8, optimizer: adam}
"""


@pytest.fixture(scope="module")
def crowded(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """The environment of a hundred more plugins, all of them described: one process imports them for that."""
    home = tmp_path_factory.mktemp("crowd")
    names = install(home / "plugins", 100)
    env = environment(home)
    first, imported = ask("list", env=env)
    assert imported >= {"torch", *names}
    assert "torch._dynamo" not in imported  # it takes as long as torch itself
    assert all(f"  {name}.shift " in first for name in names)
    assert ask("show", "realnvp", env=env)[0].startswith("name: realnvp\n")
    assert "torch" not in ask("schema", env=env)[1]
    return env


def environment(home: Path) -> Mapping[str, str]:
    """Where the plugins of a folder are installed, and answers are kept in it."""
    path = os.pathsep.join(filter(None, [str(home / "plugins"), os.environ.get("PYTHONPATH")]))
    return {"PYTHONPATH": path, "ZOO_CACHE": str(home / "cache")}


ANSWERS = ["list", "list bijection", "show crowd_007.shift", "show realnvp", "schema"]


@pytest.mark.parametrize("words", ANSWERS)
def test_an_answer_imports_none(words: str, crowded: Mapping[str, str]) -> None:
    told, imported = ask(*words.split(), env=crowded)
    assert "crowd_007" in told or words == "show realnvp"
    assert "zoo.catalogue.queries" in imported
    assert not imported & {"torch", "numpy"}
    assert not {name for name in imported if name.startswith(("crowd_", "zoo.plugins"))}


def test_a_schema_follows_what_is_installed(tmp_path: Path) -> None:
    install(tmp_path / "plugins", 2)

    def of(component: str) -> Any:
        return json.loads(ask("schema", env=environment(tmp_path))[0])["$defs"].get(f"bijection.{component}")

    assert set(of("crowd_001.shift")["properties"]) == {"type", "c"}
    module = tmp_path / "plugins" / "crowd_001" / "__init__.py"
    module.write_text(module.read_text().replace("c: float = 1.0", "by: float = 1.0").replace("= c", "= by"))
    assert set(of("crowd_001.shift")["properties"]) == {"type", "by"}
    shutil.rmtree(tmp_path / "plugins" / "crowd_000-1.0.dist-info")
    assert of("crowd_000.shift") is None


def test_a_tab_imports_none(crowded: Mapping[str, str], tmp_path: Path) -> None:
    told, imported = tab("zoo show crowd_00", crowded, tmp_path)
    assert told == [f"crowd_{i:03}.shift" for i in range(10)]
    assert not {name for name in imported if name.startswith(("torch", "crowd_", "zoo.plugins"))}


def test_a_spec_imports_what_it_names(crowded: Mapping[str, str], tmp_path: Path) -> None:
    (tmp_path / "plane.yaml").write_text(SPEC)
    told, imported = ask("build", str(tmp_path / "plane.yaml"), env=crowded)
    assert "crowd_042.shift" in told
    assert {name for name in imported if name.startswith("crowd_")} == {"crowd_007", "crowd_042"}
