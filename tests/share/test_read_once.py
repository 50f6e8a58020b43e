"""Each command that opens a run or a share file reads the header of that file once."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from small_runs import FLOW, flow
from typer.testing import CliRunner

import zoo
from zoo.cli.app import app
from zoo.format import header
from zoo.spec import load_spec

COMMANDS = [
    "evaluate RUN",
    "evaluate RUN --metric nll --set data.size=300",
    "evaluate FILE --data-of-file",
    "sample RUN -n 3 -o OUT.npy",
    "sample FILE -n 3 -o OUT.npy --set sample.temperature=0.5",
    "sample RUN --density -o OUT.png",
    "sample RUN --view density -o OUT.png",
    "encode RUN -o OUT.npy",
    "encode FILE -o OUT.npy --data-of-file",
    "verify RUN",
    "verify FILE",
    "compare RUN FILE",
    "diff RUN FILE",
    "export RUN -o OUT.safetensors",
    "export RUN -o OUT.pt2",
    "export RUN --dtype float16 -o OUT.safetensors",
    "figures RUN",
    "figures FILE --data-of-file",
]


@pytest.fixture(scope="module")
def trained(device: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("once")
    run = zoo.train(flow(device), runs=home, name="run").directory
    (home / "file.safetensors").write_bytes((run / "model.safetensors").read_bytes())
    return home


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> Counter[Path]:
    """How often the header of each file was read."""
    found: Counter[Path] = Counter()
    judge: Callable[..., header.Header] = header.judge

    def counting(path: Path, raw: bytes, data: int) -> header.Header:
        found[path] += 1
        return judge(path, raw, data)

    monkeypatch.setattr(header, "judge", counting)
    return found


@pytest.mark.parametrize("command", COMMANDS)
def test_a_header_is_read_once(command: str, trained: Path, tmp_path: Path, read: Counter[Path]) -> None:
    places = {
        "RUN": trained / "small-flow" / "run",
        "FILE": trained / "file.safetensors",
        "OUT": tmp_path / "out",
    }
    words = re.sub("|".join(places), lambda named: str(places[named[0]]), command)
    done = CliRunner().invoke(app, words.split())
    assert done.exit_code == 0, done.output
    assert set(read.values()) == {1}, dict(read)


@pytest.mark.parametrize("match", ["*", "transforms.of.1.*"])
def test_a_file_that_a_model_starts_from_is_read_once(
    match: str, trained: Path, tmp_path: Path, read: Counter[Path], device: str
) -> None:
    file = trained / "file.safetensors"
    spec = load_spec(FLOW | {"init_from": {"file": str(file), "match": match}}, [f"engine.device={device}"])
    zoo.train(spec, runs=tmp_path, steps=1)
    assert read[file] == 1
