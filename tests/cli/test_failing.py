"""Where exceptions become sentences: no command ends in a traceback, whatever it is given."""

from __future__ import annotations

import errno
import io
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import typer
from fake_plugins import installed, plugin, point
from toy_table import TOY, invoke
from typer.testing import Result

import zoo
from zoo.cli import failures
from zoo.cli.app import app, command
from zoo.engine.distributed import launched
from zoo.errors import Interrupted, UsageError, ZooError
from zoo.registry import discovery
from zoo.registry.discovery import found

LONG = "n" * 300
ODD = [
    "folder",
    "binary.yaml",
    "a_file/x.safetensors",
    "loop.yaml",
    LONG,
    "",
    "a\udcff.yaml",
    "..",
    "hf://",
    "archive.npy",
]
COMMANDS = {
    "list": [["X"]],
    "show": [["X"], ["nice", "--set", "X"]],
    "build": [["X"], ["nice", "--set", "data=X"]],
    "train": [["X"], ["--resume", "X"], ["toy.yaml", "--name", "X"], ["toy.yaml", "--set", "data.train=X"]],
    "runs": [["--runs", "X"], ["--sort", "X"]],
    "runs rm": [["X"]],
    "evaluate": [["X"], ["RUN", "--set", "data.X=3"], ["RUN", "--metric", "X"], ["RUN", "--device", "X"]],
    "sample": [["X"], ["RUN", "-o", "X"], ["RUN", "--features", "X"], ["RUN", "--view", "X"]],
    "encode": [["X"], ["RUN", "-o", "X"], ["RUN", "--split", "X"]],
    "export": [["X"], ["RUN", "--format", "X"], ["RUN", "-o", "X"]],
    "verify": [["X"]],
    "figures": [["X"]],
    "push": [["X", "acme/nice"], ["RUN", "X"]],
    "compare": [["X"]],
    "diff": [["X", "nice"]],
    "table": [["X"], ["flows", "--runs", "X", "--device", "X"]],
    "plugins": [],
    "doctor": [],
    "schema": [["-o", "X"]],
    "docs": [],
    "data fetch": [["X"]],
    "new plugin": [["X"], ["acme", "--kind", "X"], ["acme", "-o", "X"]],
    "new spec": [["--like", "X"], ["--like", "nice", "X"]],
}
"""Of every command the words in which ``X`` is something odd."""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("toy")
    (folder / "rows.csv").write_text("a,b\n1,2\n3,5\n2,2\n4,1\n")
    (folder / "toy.yaml").write_text(TOY.replace("rows.csv", str(folder / "rows.csv")))
    return str(zoo.train(folder / "toy.yaml", runs=folder / "runs").directory)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with odd things in it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv(failures.DEBUG, raising=False)
    Path("folder").mkdir()
    Path("binary.yaml").write_bytes(bytes(range(256)))
    Path("a_file").write_text("x")
    Path("loop.yaml").symlink_to("loop.yaml")
    Path("toy.yaml").write_text(TOY)
    with Path("archive.npy").open("wb") as file:
        np.savez(file, a=np.zeros((3, 2)))
    yield tmp_path


def test_every_command_is_tried() -> None:
    below = {
        f"{group.name}": group.typer_instance for group in app.registered_groups if group.typer_instance is not None
    }
    inner = {f"{name} {command.name}" for name, group in below.items() for command in group.registered_commands}
    alone = {name for name, group in below.items() if group.registered_callback is not None}
    assert COMMANDS.keys() == {command.name for command in app.registered_commands} | inner | alone


@pytest.mark.parametrize("command", COMMANDS)
def test_nothing_odd_ends_in_a_traceback(
    command: str, run: str, here: Path, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path_factory.getbasetemp() / "shared-cache"))
    for words in COMMANDS[command]:
        for odd in ODD:
            result = invoke(*command.split(), *(word.replace("RUN", run).replace("X", odd) for word in words))
            assert result.exception is None or isinstance(result.exception, SystemExit), (words, odd)
            assert result.exit_code in (0, 1, 2, 4, 5), (words, odd, result.stderr)
            assert "internal error" not in result.stderr, (words, odd, result.stderr)
            assert " at 0x" not in result.output


@pytest.mark.parametrize(
    ("train", "message"),
    [
        ("folder.csv", "folder.csv"),
        ("archive.npy", "an archive of several"),
        ("archive.npz", "archive.npz is not a table"),
        (f"{LONG}.csv", "the name is too long"),
    ],
)
def test_a_table_that_is_none_has_its_sentence(train: str, message: str) -> None:
    Path("folder.csv").mkdir()
    Path("archive.npz").hardlink_to("archive.npy")
    result = invoke("train", "toy.yaml", "--set", f"data.train={train}")
    assert (result.exit_code, result.stderr.startswith("error: ")) == (2, True)
    assert message in result.stderr


@pytest.fixture
def fail(monkeypatch: pytest.MonkeyPatch) -> Callable[[BaseException], Result]:
    """A command that raises this."""

    def fail(error: BaseException) -> Result:
        monkeypatch.setattr(app, "registered_commands", [])

        @command("fail")
        def failing_command() -> None:
            raise error

        @command("other")
        def other() -> None: ...

        return invoke("fail")

    return fail


SENTENCES = [
    (OSError(errno.ENOENT, "", "x.csv"), 1, "x.csv does not exist"),
    (OSError(errno.EISDIR, "", "x.csv"), 2, "x.csv is a folder, expected a file"),
    (OSError(errno.EACCES, "", "x.csv"), 2, "x.csv: no permission"),
    (OSError(errno.ENAMETOOLONG, "", LONG), 2, f"{LONG[:120]}...: the name is too long"),
    (OSError(errno.ENOSPC, "", "x.csv"), 1, "x.csv: no space left on its disk"),
    (OSError(errno.ENOSPC, ""), 1, "standard output: no space left on its disk"),
    (OSError(errno.EIO, "Input/output error", "x.csv"), 1, "x.csv: Input/output error"),
    (OSError(errno.ENOENT, "", "x", None, b"y"), 1, "x -> y does not exist"),
    (MemoryError(), 1, "out of memory: lower train.batch, or the sizes of the model"),
    (torch.OutOfMemoryError("CUDA out of memory. Tried"), 1, "out of memory: lower train.batch, or the sizes"),
    (RuntimeError("DefaultCPUAllocator: can't allocate memory: 4e12 bytes"), 1, "out of memory: lower train.batch"),
    (ZooError("no"), 1, "no"),
    (UsageError("cannot identify <io at 0x7f12>"), 2, "cannot identify <io>"),
]


@pytest.mark.parametrize(("error", "code", "message"), SENTENCES, ids=lambda value: str(value)[:40])
def test_what_is_foreseen_has_its_sentence(
    error: Exception, code: int, message: str, fail: Callable[[BaseException], Result]
) -> None:
    result = fail(error)
    assert result.exit_code == code
    assert result.stderr.startswith(f"error: {message}")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "error", [KeyboardInterrupt(), BrokenPipeError(), Interrupted(15, "x", 3, reported=True)], ids=repr
)
def test_what_is_known_already_is_not_said(error: BaseException, fail: Callable[[BaseException], Result]) -> None:
    result = fail(error)
    assert result.exit_code in (1, 130, 143)
    assert result.output == ""


@pytest.mark.parametrize(
    "error", [TypeError("no\nsecond line"), SystemExit(0), RecursionError(), OSError("odd")], ids=repr
)
def test_the_unforeseen_is_one_line_and_a_file(error: BaseException, fail: Callable[[BaseException], Result]) -> None:
    result = fail(error)
    (file,) = Path("cache/reports").iterdir()
    assert result.exit_code == 1
    assert result.stderr.startswith(f"error: internal error: {type(error).__name__}: ")
    assert result.stderr.endswith(f"; please report it with {file.absolute()}\n")
    assert result.stderr.count("\n") == 1
    text = file.read_text()
    assert text.startswith(f"zoo {zoo.__version__}, torch {torch.__version__}, Python ")
    assert f"\ncommand: {sys.argv!r}\n\nTraceback " in text


def test_debug_shows_the_traceback(fail: Callable[[BaseException], Result], monkeypatch: pytest.MonkeyPatch) -> None:
    assert "Traceback" not in fail(TypeError("no")).stderr
    monkeypatch.setenv(failures.DEBUG, "0")  # set, so that it is put back
    monkeypatch.delenv(failures.DEBUG)
    result = invoke("--debug", "fail")
    assert "Traceback" in result.stderr and "in failing_command" in result.stderr
    assert os.environ.pop(failures.DEBUG) == "1"


def test_reports_are_kept_within_a_bound_and_need_no_place(
    fail: Callable[[BaseException], Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("cache/reports").mkdir(parents=True)
    for index in range(30):
        Path(f"cache/reports/2000{index:02}.txt").write_text("")
    fail(TypeError("no"))
    assert len(list(Path("cache/reports").iterdir())) == failures.KEPT
    monkeypatch.setenv("ZOO_CACHE", "a_file")
    assert fail(TypeError("no")).stderr == (
        "error: internal error: TypeError: no; please report it with the output of ZOO_DEBUG=1\n"
    )


OURS = """
    from zoo import Bijection, component

    @component("odd")
    class Odd(Bijection):
        \"\"\"Fails after it was checked.\"\"\"

        def forward(self, x, context=None):
            if len(x) > 2:
                {}["no such key"]
            return x, x.new_zeros(len(x))

        def inverse(self, z, context=None):
            return self.forward(z)
"""


def test_a_plugin_that_fails_is_named(here: Path) -> None:
    Path("rows.csv").write_text("a,b\n" + "1,2\n2,1\n" * 20)
    Path("mine.py").write_text("\n".join(line.removeprefix("    ") for line in OURS.splitlines()))
    text = (
        TOY.replace("act_norm", "act_norm, mine.odd")
        .replace("batch: 2", "batch: 8")
        .replace("name: toy", "name: toy\nplugins: [./mine.py]")
    )
    Path("toy.yaml").write_text(text)
    with installed():
        result = invoke("train", "toy.yaml")
    assert result.exit_code == 4, result.stderr
    assert "the plugin mine.py failed: KeyError: 'no such key'; please report it to its authors with" in result.stderr


def test_a_package_that_fails_is_named(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with plugin(here, OURS, "1.0") as registry:
        monkeypatch.setattr(discovery, "found", lambda: found([point("acme", "acme_1_0", "acme-zoo")]))
        cls: Any = registry.find(zoo.Bijection, "acme.odd")
        try:
            cls(zoo.Shape(2)).forward(torch.zeros(5, 2))
        except KeyError as error:
            assert failures._plugin_in(error.__traceback__) == "'acme' (acme-zoo 1.0)"


class Full(io.StringIO):
    def flush(self) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_or_closed_output_is_a_failure(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdout", Full())
    with pytest.raises(typer.Exit) as ended:
        next(c for c in app.registered_commands if c.name == "plugins").callback()  # type: ignore[misc]
    assert ended.value.exit_code == 1
    assert capsys.readouterr().err == "error: standard output: no space left on its disk\n"
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    failures.prepare_streams()
    print("swallowed")
    print("swallowed", file=sys.stderr)
    sys.stdout.close()
    sys.stderr.close()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
def test_nothing_is_said_twice_of_a_full_disk() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "zoo", "new", "spec", "--like", "nice"], stdout=full, stderr=subprocess.PIPE,
            text=True, check=False,
        )  # fmt: skip
    assert (done.returncode, done.stderr) == (1, "error: standard output: no space left on its disk\n")


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_a_name_that_the_terminal_lacks_is_shown_by_its_escape(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding=encoding))
    failures.prepare_streams()
    print("β-ä\udcff")
    sys.stdout.flush()
    assert (
        written.getvalue()
        == {
            "ascii": b"\\u03b2-\\xe4\xff\n",
            "latin-1": b"\\u03b2-\xe4\xff\n",
            "utf-8": b"\xce\xb2-\xc3\xa4\xff\n",
        }[encoding]
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"RANK": "0", "WORLD_SIZE": "2"}, "but not MASTER_ADDR and MASTER_PORT"),
        ({"RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "localhost"}, "but not MASTER_PORT"),
        ({"RANK": "x"}, "RANK='x', WORLD_SIZE='1'"),
        ({"RANK": "0", "WORLD_SIZE": "two"}, "WORLD_SIZE='two'"),
        ({"RANK": "2", "WORLD_SIZE": "2"}, "expected RANK below WORLD_SIZE"),
        ({"RANK": "0", "LOCAL_RANK": "-1"}, "LOCAL_RANK='-1'"),
    ],
)
def test_a_launcher_that_says_half_is_refused(
    words: dict[str, str], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, word in words.items():
        monkeypatch.setenv(name, word)
    with pytest.raises(UsageError, match=message):
        launched()


def test_processes_that_do_not_meet_say_where(run: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, word in {"RANK": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "localhost", "MASTER_PORT": "no"}.items():
        monkeypatch.setenv(name, word)
    result = invoke("train", "--resume", run)
    assert result.exit_code == 1
    assert result.stderr.startswith("error: the processes of this run could not connect at localhost:no: ")
