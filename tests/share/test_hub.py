"""Sharing: what is pushed is what is fetched, pinned, checked and cached; and a hub is not believed."""

from __future__ import annotations

import json
import os
import pickle
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hub_server import TOKEN, HubServer, Refused
from huggingface_hub import close_session, constants
from huggingface_hub.utils.tqdm import disable_progress_bars
from typer.testing import CliRunner, Result

import zoo
from zoo.assembly.build import build
from zoo.cli.app import app
from zoo.format.header import read_header
from zoo.hub.address import Address, read_address
from zoo.hub.client import FILE, MAX_BYTES, QUIET, fetch
from zoo.share.file import export
from zoo.spec import load_spec
from zoo.training.initialization import Sources

SPEC: dict[str, Any] = {
    "name": "shared",
    "data": {"type": "toy2d", "figure": "two_moons", "size": 20, "test_size": 10},
    "model": {
        "type": "flow",
        "base": "standard_normal",
        "transforms": [{"type": "affine_coupling", "mask": "channel", "conditioner": {"type": "mlp", "width": 4}}],
    },
    "train": {"steps": 2, "batch": 16, "optimizer": "adam"},
    "evaluate": ["nll"],
    "sample": {"n": 50},
}
COMMIT = "0" * 40

pytestmark = pytest.mark.filterwarnings("ignore:.*upload raw bytes:DeprecationWarning")


def write_share(path: Path, seed: int) -> Path:
    torch.manual_seed(seed)
    spec = load_spec(SPEC)
    model = build(spec)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return export(path, spec, model, step=0, data=None, licence="CC-BY-4.0")


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_share(tmp_path_factory.mktemp("shares") / "one.safetensors", 1)


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_share(tmp_path_factory.mktemp("shares") / "other.safetensors", 2)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    """A hub, with an empty cache, and a user who may push there."""
    server = HubServer()
    told = {
        "ENDPOINT": server.url,
        "HUGGINGFACE_CO_URL_TEMPLATE": server.url + "/{repo_id}/resolve/{revision}/{filename}",
        "HF_HUB_CACHE": str(tmp_path / "cache"),
        "HF_TOKEN_PATH": str(tmp_path / "token"),
        "HF_HUB_OFFLINE": False,
        "HF_HUB_DISABLE_TELEMETRY": True,
        # Its protocol is not spoken here: with it on, large files are always pushed by it.
        "HF_HUB_DISABLE_XET": True,
    }
    for name, value in told.items():
        monkeypatch.setattr(constants, name, value)
    for name, value in {"HF_TOKEN": TOKEN, **QUIET}.items():
        monkeypatch.setenv(name, value)
    disable_progress_bars()  # it was imported before QUIET was set
    yield server
    server.close()


def invoke(*args: object, code: int = 0) -> Result:
    result = CliRunner().invoke(app, [str(arg) for arg in args])
    assert result.exit_code == code, (result.exception, result.output)
    assert TOKEN not in result.output
    assert "Traceback" not in result.output
    return result


def refused(*args: object, code: int) -> str:
    """The one message of a command that fails."""
    result = invoke(*args, code=code)
    *_, line = result.stderr.splitlines()
    assert line.startswith("error: ")
    assert "\x1b" not in line
    assert result.stdout == ""
    return line


def draws(target: object, path: Path) -> bytes:
    invoke("sample", target, "-o", path)
    return path.read_bytes()


def downloads(hub: HubServer) -> list[str]:
    return [request.path for request in hub.requests if request.method == "GET" and "/api/" not in request.path]


# -- push and fetch ----------------------------------------------------------------------------------------------------


def test_what_is_pushed_is_what_is_fetched(file: Path, hub: HubServer, tmp_path: Path) -> None:
    pushed = json.loads(invoke("push", file, "acme/moons", "--json").stdout)
    assert pushed.keys() == {"repo", "revision", "address", "files", "digest"}
    assert pushed["repo"] == "acme/moons"
    assert pushed["address"] == f"hf://acme/moons@{pushed['revision']}"
    assert pushed["digest"] == _digest(file)
    hub.requests.clear()
    assert draws(pushed["address"], tmp_path / "x.npy") == draws(file, tmp_path / "y.npy")
    assert downloads(hub) == [f"/acme/moons/resolve/{pushed['revision']}/{FILE}"]
    (row,) = json.loads(invoke("compare", pushed["address"], "--json").stdout)["rows"]
    assert row["source"] == pushed["address"]
    assert fetch(pushed["address"]).read_bytes() == file.read_bytes()


def test_a_push_is_one_commit_of_a_file_a_card_and_a_picture(file: Path, hub: HubServer, tmp_path: Path) -> None:
    address = read_address(invoke("push", file, "acme/moons").stdout.strip())
    repository = hub.repositories["acme/moons"]
    before, commit = repository.commits.values()
    assert repository.branches == {"main": address.revision}
    assert commit.keys() - before.keys() == {FILE, "README.md", "samples.png"}
    assert commit["samples.png"] == _picture(file, tmp_path).read_bytes()
    card = commit["README.md"].decode()
    assert "license: cc-by-4.0" in card
    assert "zoo sample hf://acme/moons -o" in card
    assert "](samples.png)" in card
    assert _digest(file) in card


def _digest(file: Path) -> str:
    return str(read_header(file).meta["digest"])


def _picture(file: Path, folder: Path, *options: object) -> Path:
    invoke("sample", file, "-o", folder / "drawn.png", *options)
    return folder / "drawn.png"


def test_a_picture_of_a_bounded_number(
    file: Path, hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("zoo.export.push.MOST_DRAWS", 3)
    address = read_address(invoke("push", file, "acme/moons").stdout.strip())
    pushed = hub.repositories["acme/moons"].commits[str(address.revision)]["samples.png"]
    assert pushed == _picture(file, tmp_path, "-n", 3).read_bytes()


def test_without_a_picture_there_is_none(file: Path, hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zoo.export.push.picture_problem", lambda entries: "no picture")
    pushed = json.loads(invoke("push", file, "acme/moons", "--json").stdout)
    assert pushed["files"] == [FILE, "README.md"]
    card = hub.repositories["acme/moons"].commits[pushed["revision"]]["README.md"].decode()
    assert "samples.png" not in card
    assert "zoo evaluate hf://acme/moons" in card


def test_pushing_the_same_again_changes_nothing(file: Path, hub: HubServer) -> None:
    assert invoke("push", file, "acme/moons").stdout == invoke("push", file, "acme/moons").stdout
    assert len(hub.repositories["acme/moons"].commits) == 2


def test_a_pinned_address_stays_and_the_other_follows(
    file: Path, other: Path, hub: HubServer, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = (invoke("push", share, "acme/moons").stdout.strip() for share in (file, other))
    assert first != second
    capsys.readouterr()
    assert fetch("hf://acme/moons").read_bytes() == other.read_bytes()
    assert f"hf://acme/moons: fetching {second}, {other.stat().st_size:,} bytes" in capsys.readouterr().err
    assert fetch("hf://acme/moons").read_bytes() == other.read_bytes()
    assert capsys.readouterr().err == f"hf://acme/moons: using {second}\n"
    assert fetch(first).read_bytes() == file.read_bytes()
    capsys.readouterr()
    hub.requests.clear()
    assert fetch(first).read_bytes() == file.read_bytes()
    assert (hub.requests, capsys.readouterr().err) == ([], "")


def test_a_branch(file: Path, other: Path, hub: HubServer) -> None:
    invoke("push", file, "acme/moons")
    address = invoke("push", other, "acme/moons", "--revision", "wild/one", "--message", "a word").stdout.strip()
    assert hub.repositories["acme/moons"].messages == [f"shared at step 0, {_digest(file)}", "a word"]
    assert hub.repositories["acme/moons"].branches["wild/one"] == address.rpartition("@")[2]
    assert fetch("hf://acme/moons@wild/one").read_bytes() == other.read_bytes()
    assert fetch("hf://acme/moons").read_bytes() == file.read_bytes()


def test_a_run_is_pushed_too(file: Path, hub: HubServer, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / FILE).write_bytes(file.read_bytes())
    assert fetch(invoke("push", tmp_path / "run", "acme/moons").stdout.strip()).read_bytes() == file.read_bytes()


def test_private(file: Path, hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    address = invoke("push", file, "acme/secret", "--private").stdout.strip()
    assert hub.repositories["acme/secret"].private
    monkeypatch.delenv("HF_TOKEN")
    told = refused("sample", address, code=2)
    assert "has no such repository, or it is private: log in with `hf auth login`, or set HF_TOKEN" in told
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    assert fetch(address).read_bytes() == file.read_bytes()


def test_private_does_not_push_to_what_is_public(file: Path, other: Path, hub: HubServer) -> None:
    invoke("push", file, "acme/moons")
    assert "is already public" in refused("push", other, "acme/moons", "--private", code=2)
    assert len(hub.repositories["acme/moons"].commits) == 2


def test_weights_to_start_from(file: Path, other: Path, hub: HubServer) -> None:
    address = invoke("push", file, "acme/moons").stdout.strip()
    spec = load_spec(SPEC | {"init_from": address})
    model = build(spec)
    assert Sources(spec).fill(model) == _digest(file)
    wanted = zoo.load(address).state_dict()
    assert all(torch.equal(value, wanted[name]) for name, value in model.state_dict().items())
    with pytest.raises(zoo.UsageError, match=re.escape(f"hf://acme/moons can change; write {address}, which cannot")):
        Sources(load_spec(SPEC | {"init_from": "hf://acme/moons"})).fill(model)


# -- without network ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("away", ["offline", "cut off", "gone", 503])
def test_the_cache_does_without_network(
    away: str | int, file: Path, other: Path, hub: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    address, at_branch = "hf://acme/moons", "hf://acme/moons@b"
    pinned = f"hf://acme/moons@{hub.put('acme/moons', {FILE: file.read_bytes()})}"
    hub.put("acme/moons", {FILE: other.read_bytes()}, branch="b")
    unseen = hub.put("acme/moons", {FILE: b""}, branch="c")
    for known in (address, at_branch):
        fetch(known)
    if away in ("gone", "cut off"):
        hub.close()
        if away == "gone":
            close_session()
    elif away == "offline":
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    else:
        hub.refuses = {"/": Refused(int(away))}
    reason = f"no usable response from {hub.url} ({'ConnectionRefusedError' if away == 'gone' else ''}"
    reason = "HF_HUB_OFFLINE is set" if away == "offline" else reason
    said: list[str] = []
    assert fetch(address, said.append).read_bytes() == file.read_bytes()
    assert fetch(at_branch, said.append).read_bytes() == other.read_bytes()
    assert said[0].startswith(f"{address}: {reason}")
    assert said[0].endswith(f"; using {pinned} from the cache")
    assert fetch(pinned, said.append).read_bytes() == file.read_bytes()
    assert len(said) == 2
    for unknown in (f"hf://acme/moons@{unseen}", "hf://acme/moons@c", "hf://acme/new"):
        told = refused("sample", unknown, code=1)
        assert told.startswith(f"error: {unknown}: {reason}")
        assert told.endswith("and it is not in the cache")
    assert reason in refused("push", file, "acme/moons", code=1)


# -- what is refused ---------------------------------------------------------------------------------------------------


WRONG = [
    "hf://", "hf://moons", "hf:/acme/moons", "hf://acme/moons/model.safetensors", "hf://datasets/acme/moons",
    "hf://../moons", "hf://acme/..", "hf://acme/mo..ons", "hf://acme/mo--ons", "hf://acme/-moons", "hf://acme/mo ons",
    "hf://acme/m\u00f6ons", "hf://acme/moons.git", "hf://acme/moons?x", "hf://acme/" + "m" * 97, "hf://acme/moons@",
    "hf://acme/moons@../../x", "hf://acme/moons@a..b", "hf://acme/moons@/x", "hf://acme/moons@-x", "hf://acme/moons@\n",
]  # fmt: skip


@pytest.mark.parametrize("address", WRONG)
def test_what_is_no_address(address: str, hub: HubServer) -> None:
    told = refused("sample", address, code=2)
    assert "OWNER/NAME" in told or "expected a commit, a branch or a tag" in told
    assert hub.requests == []


@pytest.mark.parametrize(
    "address", ["hf://a/b", "hf://acme/Mo_o.n-s", f"hf://a/b@{COMMIT}", "hf://a/b@refs/pr/1", "hf://a/b@v1.0-rc_1"]
)
def test_an_address_is_its_text(address: str) -> None:
    assert str(read_address(address)) == address


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("hf://acme/nothing", "has no such repository"),
        (f"hf://acme/nothing@{COMMIT}", "has no such repository"),
        ("hf://acme/moons@v9", "the repository has no such revision"),
        (f"hf://acme/moons@{COMMIT}", "the repository has no such revision"),
        ("hf://acme/empty", f"has no {FILE}"),
    ],
)
def test_what_is_not_there(address: str, told: str, file: Path, hub: HubServer) -> None:
    hub.put("acme/moons", {FILE: file.read_bytes()})
    hub.put("acme/empty", {"README.md": b"---\n---\n"})
    for command in ("sample", "evaluate", "compare", "verify"):
        line = refused(command, address, code=2)
        assert line.startswith(f"error: {address}")
        assert told in line
    assert downloads(hub) == []


@pytest.mark.parametrize(
    ("answer", "code", "told"),
    [
        (Refused(401), 2, "denied access (status 401): log in"),
        (Refused(403), 2, "denied access (status 403): log in"),
        (Refused(403, "GatedRepo"), 2, "has restricted access: request it from the owner, and log in"),
        (Refused(404), 1, "refused the request (status 404)"),
        (Refused(429), 1, "refused the request (status 429)"),
        (Refused(500), 1, "(status 500), and it is not in the cache"),
        (Refused(200), 1, "(KeyError: 'id'), and it is not in the cache"),
    ],
)
def test_other_answers(answer: Refused, code: int, told: str, hub: HubServer) -> None:
    hub.refuses = {"/": answer}
    line = refused("sample", "hf://acme/moons", code=code)
    assert line.startswith("error: hf://acme/moons")
    assert told in line


def test_more_than_was_announced_is_not_taken(
    file: Path, hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 1 << 16)
    commit = hub.put("acme/moons", {FILE: file.read_bytes()})
    hub.streams = 1 << 30
    told = refused("sample", f"hf://acme/moons@{commit}", code=5)
    assert f"sent more than the {file.stat().st_size:,} announced bytes" in told
    assert hub.sent < 64 << 20
    assert sum(path.stat().st_size for path in (tmp_path / "cache").rglob("*")) < file.stat().st_size + (64 << 10)


@pytest.mark.parametrize("etag", ["", "../../x", "a" * 200])
def test_a_file_without_a_usable_etag_is_refused(etag: str, file: Path, hub: HubServer) -> None:
    commit = hub.put("acme/moons", {FILE: file.read_bytes()})
    hub.etag = etag
    told = refused("sample", f"hf://acme/moons@{commit}", code=5)
    assert "no usable ETag" in told


@pytest.mark.parametrize("commit", ["../../../x", "main", COMMIT[1:]])
def test_a_commit_is_a_commit(commit: str, file: Path, hub: HubServer) -> None:
    address = f"hf://acme/moons@{hub.put('acme/moons', {FILE: file.read_bytes()})}"
    hub.commit = commit
    assert "did not return a commit" in refused("sample", "hf://acme/moons", code=5)
    hub.commit = COMMIT
    assert "did not return a commit" in refused("sample", address, code=5)
    assert downloads(hub) == []


def test_a_cache_that_cannot_be_written(file: Path, hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.put("acme/moons", {FILE: file.read_bytes()})
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(file / "cache"))
    told = refused("sample", "hf://acme/moons", code=1)
    assert "Not a directory" in told
    assert "answer" not in told


def cached() -> list[Path]:
    """All that the cache holds of share files: their contents and what points to them. A part of one counts as none."""
    cache = Path(constants.HF_HUB_CACHE)
    found = [path for folder in ("blobs", "snapshots") for path in cache.glob(f"*/{folder}/**/*") if not path.is_dir()]
    return [path for path in found if path.suffix != ".incomplete"]


def flip(content: bytes) -> bytes:
    return content[:-1] + bytes([content[-1] ^ 1])


LIES: dict[str, Callable[[bytes, bytes], bytes]] = {
    "damaged": lambda content, other: flip(content),
    "a sound file that is another": lambda content, other: other,
    "less": lambda content, other: content[:-1],
    "more": lambda content, other: content + b"x",
    "nothing": lambda content, other: b"",
}


@pytest.mark.parametrize("lie", LIES)
@pytest.mark.parametrize("by", ["name", "commit"])
def test_what_has_not_its_hash_is_refused_and_not_kept(
    lie: str, by: str, file: Path, other: Path, hub: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = hub.put("acme/moons", {FILE: file.read_bytes()})
    address = "hf://acme/moons" if by == "name" else f"hf://acme/moons@{commit}"
    hub.sends = lambda content: LIES[lie](content, other.read_bytes())
    assert f"hf://acme/moons@{commit}: " in refused("sample", address, code=5)
    assert cached() == []
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert "not in the cache" in refused("sample", address, code=1)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    hub.sends = lambda content: content
    assert fetch(address).read_bytes() == file.read_bytes()


def test_storage_may_be_elsewhere_but_the_token_stays(file: Path, hub: HubServer) -> None:
    elsewhere = HubServer()
    address = read_address(invoke("push", file, "acme/moons").stdout.strip())
    elsewhere.stored, hub.elsewhere = hub.stored, elsewhere.url.replace("127.0.0.1", "localhost")
    elsewhere.sends = flip
    assert "checksum mismatch in the model.safetensors" in refused("sample", address, code=5)
    assert cached() == []
    elsewhere.sends = lambda content: content
    assert fetch(str(address)).read_bytes() == file.read_bytes()
    assert [request.authorization for request in elsewhere.requests] == [None, None]
    elsewhere.close()


def test_a_pickle_is_refused_each_time(hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    address = f"hf://acme/moons@{hub.put('acme/moons', {FILE: pickle.dumps(list(range(99)))})}"
    assert "is not a share file" in refused("sample", address, code=5)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert "is not a share file" in refused("sample", address, code=5)


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ({"size": MAX_BYTES + 1}, f"above the limit of {MAX_BYTES:,}"),
        ({"size": None}, "did not return the size and hash"),
        ({"lfs": None, "blobId": None}, "did not return the size and hash"),
    ],
)
def test_nothing_is_fetched_of_what_cannot_be_checked(
    told: dict[str, Any], message: str, file: Path, hub: HubServer
) -> None:
    hub.put("acme/moons", {FILE: file.read_bytes()})
    hub.tells = lambda entry: entry | told
    assert message in refused("sample", "hf://acme/moons", code=5)
    assert downloads(hub) == []


def test_a_small_file_has_the_hash_of_git(file: Path, hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hub_server._large", lambda path: False)
    hub.put("acme/moons", {FILE: file.read_bytes()})
    hub.sends = flip
    assert "checksum mismatch in the model.safetensors" in refused("sample", "hf://acme/moons", code=5)
    hub.sends = lambda content: content
    assert fetch("hf://acme/moons").read_bytes() == file.read_bytes()


def test_a_branch_that_moves_meanwhile(file: Path, other: Path, hub: HubServer) -> None:
    def move(entry: dict[str, Any]) -> dict[str, Any]:
        hub.put("acme/moons", {FILE: other.read_bytes()})
        return entry

    commit = hub.put("acme/moons", {FILE: file.read_bytes()})
    hub.tells = move
    told = refused("sample", "hf://acme/moons", code=1)
    assert f"changed during the download; try again, or pin it: hf://acme/moons@{commit}" in told


@pytest.mark.parametrize(
    ("args", "code", "told"),
    [
        (["FILE", "moons"], 2, "invalid repository 'moons': expected OWNER/NAME"),
        (["FILE", "acme/moons@v1"], 2, "invalid repository 'acme/moons@v1'"),
        (["FILE", "hf://acme/moons"], 2, "invalid repository 'hf://acme/moons'"),
        (["FILE", "acme/moons", "--revision", "a..b"], 2, "invalid revision 'a..b'"),
        (["nowhere", "acme/moons"], 2, "run or file not found: nowhere"),
        (["DAMAGED", "acme/moons"], 5, "is damaged"),
        (["FILE", "others/moons"], 2, "denied access (You have no rights [31mthere.): log in"),
    ],
)
def test_what_is_not_pushed(args: list[str], code: int, told: str, file: Path, hub: HubServer, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.safetensors"
    damaged.write_bytes(flip(file.read_bytes()))
    places: dict[str, object] = {"FILE": file, "DAMAGED": damaged}
    assert told in refused("push", *[places.get(arg, arg) for arg in args], code=code)
    assert hub.repositories == {}
    assert {request.path for request in hub.requests} <= {"/api/repos/create", "/api/models/others/moons"}


def test_a_header_that_makes_no_card(hub: HubServer, tmp_path: Path) -> None:
    spec, metrics = load_spec(SPEC), {"declared": 5, "figures": {"nll": {"value": 1.0, "n": 3, "kind": "exact"}}}
    file = export(tmp_path / "odd.safetensors", spec, build(spec), step=0, data=None, metrics=metrics)
    assert "has invalid metadata" in refused("push", file, "acme/moons", code=5)
    assert hub.requests == []


def test_storage_that_refuses(file: Path, hub: HubServer) -> None:
    hub.refuses = {"/storage/": Refused(403)}
    assert "denied access (status 403)" in refused("push", file, "acme/moons", code=2)
    assert len(hub.repositories["acme/moons"].commits) == 1


@pytest.mark.parametrize("token", ["", "hf_of_nobody"])
def test_without_a_token_nothing_is_pushed(
    token: str, file: Path, hub: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", token)
    assert "log in with `hf auth login`, or set HF_TOKEN" in refused("push", file, "acme/moons", code=2)
    assert hub.repositories == {}


# -- a process of its own ----------------------------------------------------------------------------------------------


FETCH = "import sys; from zoo.hub.client import fetch; print(fetch(sys.argv[1]))"
UPLOAD = """
import pathlib, sys
from zoo.hub.address import Address
from zoo.hub.client import FILE, upload

print(upload(Address("acme/secret"), {FILE: pathlib.Path(sys.argv[1])}, private=True, message="new"))
"""


def test_a_process_has_nothing_but_its_environment(file: Path, tmp_path: Path) -> None:
    server = HubServer()
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    environment = kept | {"HF_ENDPOINT": server.url, "HF_HOME": str(tmp_path), "HF_TOKEN": TOKEN}

    def run(address: str, code: str = FETCH, **more: str) -> tuple[str, str]:
        command = [sys.executable, "-c", code, address]
        done = subprocess.run(command, env=environment | more, capture_output=True, text=True, check=True)
        return done.stdout, done.stderr

    pushed, told = run(str(file), UPLOAD, HF_HUB_DISABLE_XET="1")
    commit = server.repositories["acme/secret"].branches["main"]
    assert pushed == f"hf://acme/secret@{commit}\n"
    assert told == f"pushing {FILE} to hf://acme/secret, {file.stat().st_size:,} bytes\n"
    server.requests.clear()
    path, told = run("hf://acme/secret")
    assert told == f"hf://acme/secret: fetching hf://acme/secret@{commit}, {file.stat().st_size:,} bytes\n"
    assert Path(path.strip()).is_relative_to(tmp_path)
    assert Path(path.strip()).read_bytes() == file.read_bytes()
    assert {request.authorization for request in server.requests} == {f"Bearer {TOKEN}"}
    assert {request.path.split("?")[0].rpartition("/")[2] for request in server.requests} == {"secret", FILE}
    assert not any(word in request.agent for request in server.requests for word in ("torch", "agent"))
    server.requests.clear()
    assert run("hf://acme/secret", HF_HUB_OFFLINE="1") == (
        path,
        f"hf://acme/secret: HF_HUB_OFFLINE is set; using hf://acme/secret@{commit} from the cache\n",
    )
    assert server.requests == []
    server.close()


WITHOUT = """
import sys
from typer.testing import CliRunner
from zoo.cli import app

def run(*args):
    result = CliRunner().invoke(app, args)
    print(result.exit_code, result.stderr.strip())

run("sample", sys.argv[1], "-o", sys.argv[2])
print(sorted(name for name in sys.modules if name.startswith("huggingface_hub")))

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.startswith("huggingface_hub"):
            raise ModuleNotFoundError(f"No module named '{name}'")

sys.meta_path.insert(0, Blocker())
run("sample", "hf://acme/moons", "-o", sys.argv[2])
run("push", "nowhere", "acme/moons")
"""


def test_huggingface_hub_is_imported_only_for_a_hub(file: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-c", WITHOUT, str(file), str(tmp_path / "x.npy")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    first, modules, fetched, pushed = done.stdout.splitlines()
    assert (first, modules) == ("0 ", "[]")
    assert fetched == pushed
    assert fetched.startswith("4 error: hubs require huggingface_hub: pip install 'generative-zoo[hub]'")


def test_an_address_that_is_pinned() -> None:
    assert not Address("acme/moons").pinned
    assert not Address("acme/moons", "v1").pinned
    assert not Address("acme/moons", COMMIT[1:]).pinned
    assert Address("acme/moons", COMMIT).pinned
