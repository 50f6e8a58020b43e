"""Each command that opens a run or a share file reads the header of that file once."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from small_runs import flow
from typer.testing import CliRunner

import zoo
from zoo.cli.app import app
from zoo.format import header

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
]


@pytest.fixture(scope="module")
def trained(device: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("once")
    run = zoo.train(flow(device), runs=home, name="run").directory
    (home / "file.safetensors").write_bytes((run / "model.safetensors").read_bytes())
    return home


@pytest.mark.parametrize("command", COMMANDS)
def test_a_header_is_read_once(command: str, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: Counter[Path] = Counter()
    judge: Callable[..., header.Header] = header.judge

    def counting(path: Path, raw: bytes, data: int) -> header.Header:
        read[path] += 1
        return judge(path, raw, data)

    monkeypatch.setattr(header, "judge", counting)
    places = {
        "RUN": trained / "small-flow" / "run",
        "FILE": trained / "file.safetensors",
        "OUT": tmp_path / "out",
    }
    words = re.sub("|".join(places), lambda named: str(places[named[0]]), command)
    done = CliRunner().invoke(app, words.split())
    assert done.exit_code == 0, done.output
    assert set(read.values()) == {1}, dict(read)
