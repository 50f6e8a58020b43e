"""Shell completion: what is offered after a tab, asked as a shell asks, without torch."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from run_cli import tab

from zoo.catalogue import queries
from zoo.cli import completion
from zoo.cli.scaffold import EXAMPLES
from zoo.registry.registry import installed
from zoo.registry.shipped import shipped_specs, shipped_tables, shipped_weights

ZOO = str(Path(sys.executable).parent / "zoo")
RUN, SHARE, OWN = "runs/plane/first", "shared/model.safetensors", "mine.yaml"


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where all that is installed has been described."""
    home = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ZOO_CACHE", str(home))
        queries.specs(queries.catalogue())
    return home


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """A folder with a spec, a run and a share file, and what is none of these."""
    for file in (OWN, f"{RUN}/resolved.yaml", SHARE, "notes.txt", ".hidden.yaml"):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).touch()
    return tmp_path


def offered(line: str, here: Path, cache: Path) -> list[str]:
    """What bash is told of a command line, and that nothing slow was imported for it."""
    told, imported = tab(line, {"ZOO_CACHE": str(cache)}, here)
    assert "zoo.cli.completion" in imported
    assert not imported & {"torch", "numpy", "rich", "yaml"}
    return told


def of_kind(kind: str) -> set[str]:
    return {name for held, name in installed().components() if held == kind}


def test_names(here: Path, cache: Path) -> None:
    specs = set(shipped_specs())
    assert set(offered("zoo build ", here, cache)) == specs | {OWN}
    assert set(offered("zoo train realnvp-", here, cache)) == {name for name in specs if name.startswith("realnvp-")}
    assert set(offered("zoo show aff", here, cache)) == {"affine", "affine_coupling"}
    assert "nice" in offered("zoo show n", here, cache)
    assert set(offered("zoo list ", here, cache)) == set(installed().kinds())
    assert set(offered("zoo evaluate x --metric ", here, cache)) == of_kind("metric")
    assert set(offered("zoo sample x --view ", here, cache)) == of_kind("view")
    assert set(offered("zoo new plugin x --kind ", here, cache)) == set(EXAMPLES)
    assert set(offered("zoo table v", here, cache)) == {name for name in shipped_tables() if name.startswith("v")}


def test_files(here: Path, cache: Path) -> None:
    assert offered("zoo sample ", here, cache) == [SHARE, RUN, "@last", *sorted(shipped_weights())]
    assert offered("zoo sample realnvp-2", here, cache) == ["realnvp-2d"]
    assert offered("zoo train --resume ", here, cache) == ["@last", RUN]
    assert offered("zoo runs rm @", here, cache) == ["@last"]
    assert offered("zoo evaluate ./sh", here, cache) == [f"./{SHARE}"]
    assert offered(f"zoo export {here}/runs/", here, cache) == [f"{here}/{RUN}"]
    assert set(offered("zoo diff nice ", here, cache)) > {"nice", OWN, RUN, SHARE}


def test_what_was_never_described_is_not_waited_for(here: Path) -> None:
    assert offered("zoo build nic", here, here / "no_cache") == ["nice"]
    assert offered("zoo show affine", here, here / "no_cache") == []


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
def test_in_a_shell(here: Path, cache: Path) -> None:
    env = {**os.environ, "ZOO_CACHE": str(cache), "PATH": f"{Path(ZOO).parent}:{os.environ['PATH']}"}
    script = subprocess.run(
        [ZOO], env={**env, "_ZOO_COMPLETE": "source_bash"}, check=True, capture_output=True, text=True
    )
    (function,) = (line.split("(")[0] for line in script.stdout.splitlines() if line.startswith("_zoo"))
    asked = f'{script.stdout}\nCOMP_WORDS=(zoo show affine_c) COMP_CWORD=2\n{function} zoo\necho "${{COMPREPLY[@]}}"'
    done = subprocess.run(["bash", "-c", asked], env=env, cwd=here, check=True, capture_output=True, text=True)
    assert done.stdout == "affine_coupling\n"


def test_a_folder_of_many_is_not_searched_through(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for i in range(12):
        (tmp_path / f"{i:02}" / "deep" / "deeper").mkdir(parents=True)
        (tmp_path / f"{i:02}" / "deep" / "deeper" / "x.yaml").touch()
        (tmp_path / f"{i:02}" / "x.yaml").touch()
    looked: list[Path] = []
    within = completion._within

    def watched(folder: Path) -> Iterator[Path]:
        looked.append(folder)
        return within(folder)

    monkeypatch.setattr(completion, "_within", watched)
    monkeypatch.setattr(completion, "FOLDERS", 5)
    found = [word for word, _ in completion.specs(f"{tmp_path}/")]
    assert found == [f"{tmp_path}/{i:02}/x.yaml" for i in range(4)]
    assert len(looked) == 5
