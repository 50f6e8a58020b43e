"""``zoo verify``: what a share file is, whether it is whole, and what it needs that is not here."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from fake_plugins import installed, plugin, point
from tampered_files import closed, meta_of, opened, sealed, with_meta
from typer.testing import CliRunner, Result

import zoo
from zoo.assembly import build as assembly
from zoo.cli.app import app
from zoo.format.digest import check_seal, hash_file
from zoo.format.header import judge, read_header
from zoo.format.migrations import FORMAT
from zoo.registry.part import declare_node
from zoo.run.record import MODEL
from zoo.share.file import export, export_again, open_share
from zoo.share.verify import verify
from zoo.spec import load_spec

SPEC: dict[str, Any] = {
    "name": "verified",
    "data": {"type": "toy2d", "figure": "two_moons", "size": 200, "test_size": 50},
    "model": {"type": "flow", "base": "standard_normal", "transforms": ["act_norm", "batch_norm"]},
    "train": {"steps": 2, "batch": 16, "optimizer": "adam"},
    "evaluate": ["nll"],
}
HERE = zoo.__version__
SMALL = "1e-05"
"""How canonical JSON writes a number of the spec."""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    spec = load_spec(SPEC)
    return export(tmp_path / "verified.safetensors", spec, assembly.build(spec), step=3, data=None, licence="CC0-1.0")


def called(*words: str | Path) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def remade(file: Path, changes: dict[str, dict[str, str]]) -> None:
    """The file, made by other components: for each name what is recorded otherwise. The spec follows a new name."""
    header, data = opened(file)
    meta = meta_of(header)
    meta["components"] = [component | changes.get(component["name"], {}) for component in meta["components"]]
    spec = json.dumps(meta["spec"])
    for name, change in changes.items():
        spec = spec.replace(f'"type": "{name}"', f'"type": "{change.get("name", name)}"')
    closed(file, sealed(with_meta(header, meta | {"spec": json.loads(spec)}), data), data)


# -- a sound file ------------------------------------------------------------------------------------------------------


def test_tells_what_the_file_is(file: Path) -> None:
    before = file.read_bytes(), sorted(file.parent.iterdir())
    result = called("verify", file)
    assert result.exit_code == 0
    digest = read_header(file).meta["digest"]
    lines = [line.split() for line in result.stdout.splitlines()]
    assert [line for line in lines if line[:1] in (["spec"], ["format"], ["step"], ["parameters"], ["licence"])] == [
        ["spec", "verified"], ["format", str(FORMAT)], ["step", "3"], ["parameters", "4"], ["licence", "CC0-1.0"]
    ]  # fmt: skip
    assert ["digest", f"{digest},", "sound"] in lines
    assert ["bijection", "act_norm", "zoo", HERE, HERE, "ok"] in lines
    assert (file.read_bytes(), sorted(file.parent.iterdir())) == before


def test_json_is_one_object(file: Path) -> None:
    result = called("verify", file, "--json")
    told = json.loads(result.stdout)
    meta = read_header(file).meta
    assert told.pop("components") == [c | {"here": HERE, "state": "ok"} for c in meta["components"]]
    assert told == {
        "file": str(file), "name": "verified", "format": FORMAT, "digest": meta["digest"], "step": 3, "seed": 0,
        "parameters": 4, "data": None, "licence": "CC0-1.0", "parent": None, "parents": [], "problems": [],
    }  # fmt: skip


def test_takes_a_run(file: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    file.rename(run / MODEL)
    assert verify(run).to_dict() == verify(run / MODEL).to_dict()


# -- damage ------------------------------------------------------------------------------------------------------------


def test_every_byte_of_the_tensors_counts(file: Path) -> None:
    raw = file.read_bytes()
    start = read_header(file).data_start
    for at in range(start, len(raw)):
        file.write_bytes(raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :])
        with pytest.raises(zoo.DamagedFile, match="its digest does not match"):
            verify(file)


def test_every_bit_of_the_header_counts(file: Path) -> None:
    header, raw = read_header(file), file.read_bytes()
    hashes, end = hash_file(file, header), header.data_start
    check_seal(file, judge(file, raw[8:end], len(raw) - end), hashes)
    for at, bit in itertools.product(range(8, end), range(8)):
        flipped = raw[8:at] + bytes([raw[at] ^ 1 << bit]) + raw[at + 1 : end]
        with pytest.raises(zoo.DamagedFile):
            check_seal(file, judge(file, flipped, len(raw) - end), hashes)


def test_every_bit_of_its_length_counts(file: Path) -> None:
    raw = file.read_bytes()
    for at, bit in itertools.product(range(8), range(8)):
        file.write_bytes(raw[:at] + bytes([raw[at] ^ 1 << bit]) + raw[at + 1 :])
        with pytest.raises(zoo.DamagedFile):
            verify(file)


@pytest.mark.parametrize("text", ["1E-05", "0.00001", "1e-5"])
def test_the_same_in_other_words_is_refused(text: str, file: Path) -> None:
    """A digest of what a header says would pass it."""
    header, data = opened(file)
    header["__metadata__"]["zoo"] = header["__metadata__"]["zoo"].replace(SMALL, text)
    closed(file, header, data)
    with pytest.raises(zoo.DamagedFile, match="is damaged: its header is not canonical JSON"):
        verify(file)


WITHOUT_TORCH = """
import sys
sys.modules["torch"] = sys.modules["numpy"] = None
from zoo.cli import app
app()
"""


@pytest.mark.parametrize("at", [5, 100, -1], ids=["length", "header", "tensor"])
def test_damage_is_found_without_torch(at: int, file: Path) -> None:
    raw = bytearray(file.read_bytes())
    raw[at] ^= 64
    file.write_bytes(raw)
    words = [sys.executable, "-c", WITHOUT_TORCH, "verify", str(file)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (5, "")
    assert done.stderr.startswith(f"error: {file} ")


def test_nothing_there(tmp_path: Path) -> None:
    for name in ("nothing.safetensors", "."):
        assert called("verify", tmp_path / name).exit_code == 2


# -- what it needs -----------------------------------------------------------------------------------------------------

ACME = {"name": "acme.norm", "distribution": "acme-zoo", "version": "1.2"}
COMMANDS = (["verify"], ["verify", "--json"], ["sample", "-o", "x.npy"], ["evaluate"], ["compare"])


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_a_missing_plugin_is_named_with_the_line_that_installs_it(
    words: list[str], file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(file.parent)
    remade(file, {"act_norm": ACME})
    result = called(words[0], file, *words[1:])
    assert result.exit_code == 4
    assert "bijection 'acme.norm' of acme-zoo 1.2" in result.stderr
    assert result.stderr.splitlines()[-1] == "pip install acme-zoo==1.2"
    assert list(file.parent.iterdir()) == [file]


def test_what_is_missing_is_told_beside_the_rest(file: Path) -> None:
    remade(file, {"act_norm": ACME})
    told = json.loads(called("verify", file, "--json").stdout)
    assert told["parameters"] is None
    assert [c["state"] for c in told["components"] if c["name"] == "acme.norm"] == ["missing"]
    assert told["problems"] == ["bijection 'acme.norm' of acme-zoo 1.2: not installed"]
    assert ["bijection", "acme.norm", "acme-zoo", "1.2", "missing"] in [
        line.split() for line in called("verify", file).stdout.splitlines()
    ]


OTHERS = {
    "nll": {"name": "acme.score", "distribution": "acme-zoo", "version": "1.2"},
    "toy2d": {"name": "acme.rows", "distribution": "acme-zoo", "version": "1.2"},
    "adam": {"name": "acme.steps", "distribution": "acme-zoo", "version": "1.2"},
}


@pytest.mark.parametrize("names", [["nll"], ["toy2d"], ["adam"], ["nll", "toy2d", "adam"]], ids=" ".join)
def test_only_the_models_parts_must_be_there(names: list[str], file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(file.parent)
    remade(file, {name: OTHERS[name] for name in names})
    assert zoo.load(file).state_dict().keys() == read_header(file).tensors.keys()
    for words in (["sample", "-o", "x.npy"], ["sample", "-o", "x.npy", "--set", "sample.n=3"], ["compare"]):
        result = called(words[0], file, *words[1:])
        assert result.exit_code == 0, result.output
    mine = "data={type: toy2d, figure: two_moons, size: 9, test_size: 9}"
    result = called("evaluate", file, "--metric", "nll", "--set", mine)
    assert result.exit_code == 0, result.output
    told = called("verify", file, "--json")
    assert told.exit_code == 4
    assert json.loads(told.stdout)["parameters"] == 4
    again = export_again(file.parent / "again.safetensors", *open_share(file))
    assert read_header(again).meta["components"] == read_header(file).meta["components"]
    if names != ["adam"]:
        needs = called("evaluate", file)
        assert needs.exit_code == 4
        assert "pip install acme-zoo==1.2" in needs.stderr


def test_one_line_installs_all(file: Path) -> None:
    later = {"name": "acme.normal", "distribution": "acme-zoo", "version": "1.2"}
    remade(file, {"act_norm": ACME, "standard_normal": later, "adam": {**ACME, "name": "b.a", "distribution": "b"}})
    with pytest.raises(zoo.PluginError, match=r"\npip install acme-zoo==1\.2 b==1\.2$"):
        zoo.load(file)


def test_the_line_is_safe_in_a_shell(file: Path) -> None:
    remade(file, {"act_norm": ACME | {"version": "1!2.0"}})  # an epoch; a bare ! would call up a former command
    with pytest.raises(zoo.PluginError, match=r"pip install 'acme-zoo==1!2\.0'$"):
        zoo.load(file)


PLUGIN = '''
    """Another's."""
    from zoo import Bijection, component
    from zoo.plugins.flows.bijections.normalization import ActNorm

    @component("{}")
    class Norm(ActNorm): ...
'''


@pytest.mark.parametrize(
    ("version", "state", "problem"),
    [
        ("1.2", "ok", []),
        ("1.10", "older", ["bijection 'acme.norm' of acme-zoo 1.2: the installed version 1.10 is newer"]),
        ("1.2rc1", "newer", ["bijection 'acme.norm' of acme-zoo 1.2: the installed version 1.2rc1 is older"]),
    ],
)
def test_other_versions_are_told(version: str, state: str, problem: list[str], file: Path, tmp_path: Path) -> None:
    remade(file, {"act_norm": ACME})
    with plugin(tmp_path, PLUGIN.format("norm"), version):
        told = verify(file)
        assert [c.state for c in told.components if c.name == "acme.norm"] == [state]
        assert told.problems == problem
        assert called("verify", file).exit_code == 0
        assert all(line in called("verify", file).stdout for line in problem)


def test_another_distribution_of_that_name_is_no_substitute(file: Path, tmp_path: Path) -> None:
    remade(file, {"act_norm": ACME | {"distribution": "Acme_Flows"}})
    with plugin(tmp_path, PLUGIN.format("norm"), "1.2"), pytest.raises(zoo.PluginError, match=r"Acme_Flows==1\.2"):
        zoo.load(file)
    remade(file, {"acme.norm": {"distribution": "Acme.Zoo"}})
    with plugin(tmp_path, PLUGIN.format("norm"), "1.2"):
        assert verify(file).problems == []


def test_a_component_that_is_gone_is_missing(file: Path, tmp_path: Path) -> None:
    remade(file, {"act_norm": ACME})
    with plugin(tmp_path, PLUGIN.format("other"), "1.3"), pytest.raises(zoo.PluginError, match=r"acme-zoo==1\.2"):
        zoo.load(file)
    with (
        plugin(tmp_path, PLUGIN.format("other"), "1.2"),
        pytest.raises(zoo.SpecError, match=r"unknown bijection 'acme\.norm'"),
    ):
        zoo.load(file)


def test_a_component_of_a_later_zoo_is_missing(file: Path) -> None:
    remade(file, {"act_norm": {"name": "later_norm", "version": "99.0"}})
    with pytest.raises(zoo.PluginError, match=r"pip install generative-zoo==99\.0$"):
        zoo.load(file)


def test_a_broken_plugin_is_told(file: Path, tmp_path: Path) -> None:
    remade(file, {"act_norm": ACME})
    with plugin(tmp_path, "raise RuntimeError('no such device')", "1.2"):
        result = called("verify", file)
    assert result.exit_code == 4
    assert "the plugin 'acme' (acme-zoo 1.2) is broken" in result.stderr


@pytest.mark.parametrize("name", ["x; rm -rf ~.norm", "--index-url=x.norm", "$(id).norm"])
def test_no_command_is_made_of_what_is_no_name(name: str) -> None:
    with installed() as registry, pytest.raises(zoo.PluginError, match="is not installed") as refused:
        declare_node(registry, zoo.Bijection, name)
    assert "pip" not in str(refused.value)


def test_a_plugin_whose_name_no_file_could_record_is_quarantined(tmp_path: Path) -> None:
    (tmp_path / "dotted_plugin.py").write_text("")
    with installed(point("acme.flows", "dotted_plugin")) as registry:
        state = {plugin.name: str(plugin.error) for plugin in registry.plugins()}
    assert "invalid plugin name" in state["acme.flows"]
