"""The share file: the same weights give the same bytes, and a file that is not what it says is refused."""

from __future__ import annotations

import json
import os
import stat
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from tampered_files import Change, closed, meta_of, metadata, opened, sealed, with_meta
from torch import nn
from typer.testing import CliRunner

import zoo
from zoo.assembly import build as assembly
from zoo.cli.app import app
from zoo.format.digest import digest, read_into
from zoo.format.header import MAX_HEADER, SIZES, TensorEntry, read_header
from zoo.format.metadata import KEYS
from zoo.format.migrations import FORMAT
from zoo.run.record import MODEL
from zoo.share.file import export, open_share, reexport
from zoo.share.tensors import DTYPES, restore
from zoo.spec import load_spec

SPEC: dict[str, Any] = {
    "name": "shared",
    "data": {"type": "toy2d", "figure": "two_moons", "size": 200, "test_size": 50},
    "model": {
        "type": "flow",
        "base": "standard_normal",
        "transforms": [
            {"type": "affine_coupling", "mask": "channel", "conditioner": {"type": "mlp", "width": 4, "depth": 1}},
            "batch_norm",
        ],
    },
    "train": {"steps": 2, "batch": 16, "optimizer": "adam", "seed": 7},
    "engine": {"compile": "off"},
    "evaluate": ["nll"],
}
WEIGHT = "transforms.of.0.net.layers.0.weight"


@pytest.fixture(scope="module")
def run(device: str, tmp_path_factory: pytest.TempPathFactory) -> zoo.Run:
    spec = SPEC | {"engine": {"compile": "off", "device": device}}
    return zoo.train(load_spec(spec), runs=tmp_path_factory.mktemp("runs"), name="x")


@pytest.fixture
def file(run: zoo.Run, tmp_path: Path) -> Path:
    copied = tmp_path / "shared.safetensors"
    copied.write_bytes(run.model.read_bytes())
    return copied


# -- what is written ---------------------------------------------------------------------------------------------------


def test_the_same_weights_give_the_same_bytes(run: zoo.Run, tmp_path: Path) -> None:
    one, other = (reexport(run.directory, tmp_path / name, None)[0] for name in ("one", "other"))
    assert one.read_bytes() == other.read_bytes() == run.model.read_bytes()


def test_metadata_is_one_key_with_all_that_the_contract_names(run: zoo.Run) -> None:
    header, _ = opened(run.model)
    assert header["__metadata__"].keys() == {"zoo"}
    text = header["__metadata__"]["zoo"]
    meta = json.loads(text)
    assert text == json.dumps(meta, sort_keys=True, separators=(",", ":"))
    assert meta.keys() == KEYS == {
        "format", "spec", "event", "components", "data", "seed", "step", "metrics", "ties", "parent", "licence",
        "digest",
    }  # fmt: skip
    assert (meta["format"], meta["seed"], meta["step"]) == (FORMAT, 7, 2)
    assert meta["parent"] is meta["licence"] is None
    assert meta["event"] == zoo.Event("point", zoo.Shape(2)).to_dict()
    assert meta["data"].startswith("sha256:")
    assert load_spec(meta["spec"]).resolved() == meta["spec"]
    assert {"kind": "bijection", "name": "batch_norm", "distribution": "zoo", "version": zoo.__version__} in meta[
        "components"
    ]
    assert meta["metrics"]["split"] == "test"
    figure = dict(meta["metrics"]["figures"]["nll"])
    assert figure.pop("standard_error") > 0
    assert figure == {"value": run.metrics["nll"], "n": 50, "kind": "exact"}


def test_licence_is_written(run: zoo.Run, tmp_path: Path) -> None:
    file, told = reexport(run.directory, tmp_path / "x.safetensors", "CC-BY-4.0")
    header = read_header(file)
    assert header.meta["licence"] == "CC-BY-4.0"
    assert header.meta["digest"] == told != read_header(run.model).meta["digest"]


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_mode_follows_the_umask(umask: int, mode: int, run: zoo.Run, tmp_path: Path) -> None:
    before = os.umask(umask)
    try:
        file, _ = reexport(run.directory, tmp_path / "x.safetensors", None)
    finally:
        os.umask(before)
    assert stat.S_IMODE(file.stat().st_mode) == mode


def test_a_failed_write_leaves_the_old_file(run: zoo.Run, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: Any, **kwargs: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("zoo.share.tensors.write_from", full)
    before = file.read_bytes()
    with pytest.raises(zoo.ZooError, match="No space left on device"):
        reexport(run.directory, file, None)
    assert file.read_bytes() == before
    assert [path.name for path in file.parent.iterdir()] == [file.name]


META = dict.fromkeys(KEYS, "one")


def test_digest_is_of_all_that_the_file_says() -> None:
    one, other = TensorEntry("F32", (6,), 0, 24), TensorEntry("F32", (2,), 24, 32)
    told = {
        digest({"a": one}, {"a": "00"}, META),
        digest({"b": one}, {"b": "00"}, META),
        digest({"a": one._replace(shape=(2, 3))}, {"a": "00"}, META),
        digest({"a": one._replace(dtype="I32")}, {"a": "00"}, META),
        digest({"a": one}, {"a": "01"}, META),
        *(digest({"a": one}, {"a": "00"}, META | {key: "other"}) for key in KEYS),
        digest({"a": one, "b": other}, {"a": "00", "b": "00"}, META),
    }
    assert len(told) == 6 + len(KEYS) - 1  # of the digest itself there is none
    moved = {"b": other._replace(start=0, end=8), "a": one._replace(start=8, end=32)}
    hashes = {"a": "00", "b": "01"}
    assert digest({"a": one, "b": other}, hashes, META) == digest(moved, hashes, META)


class Tied(nn.Module):
    """Two names for one parameter."""

    def __init__(self) -> None:
        super().__init__()
        self.event = zoo.Event("point", zoo.Shape(2))
        self.one = nn.Linear(2, 2)
        self.other = nn.Linear(2, 2)
        self.other.weight = self.one.weight


def test_tied_tensors_are_stored_once(tmp_path: Path) -> None:
    model: Any = Tied()
    file = export(tmp_path / "tied.safetensors", load_spec(SPEC), model, step=0, data=None)
    header = read_header(file)
    assert header.meta["ties"] == {"other.weight": "one.weight"}
    assert header.tensors.keys() == {"one.weight", "one.bias", "other.bias"}
    filled: Any = Tied()
    restore(filled, file, header)
    assert torch.equal(filled.other.weight, model.one.weight)
    filled.other.weight = nn.Parameter(torch.zeros(2, 2))
    with pytest.raises(zoo.DamagedFile, match=r"lacks the tensor 'other\.weight'"):
        restore(filled, file, header)


class Assorted(nn.Module):
    """A tensor of each dtype, and of every form that is not a plain block."""

    def __init__(self) -> None:
        super().__init__()
        self.event = zoo.Event("point", zoo.Shape(2))
        for dtype in DTYPES.values():
            values = torch.arange(6).to(dtype) if dtype != torch.bool else torch.arange(6) % 2 == 0
            self.register_buffer(f"of_{str(dtype).removeprefix('torch.')}", values.reshape(2, 3))
        self.register_buffer("scalar", torch.tensor(3.5))
        self.register_buffer("empty", torch.zeros(0, 3))
        self.turned = nn.Parameter(torch.arange(6.0).reshape(2, 3).t())
        self.last = nn.Parameter(torch.arange(24.0).reshape(1, 2, 3, 4).to(memory_format=torch.channels_last))
        self.fixed = nn.Parameter(torch.ones(2), requires_grad=False)


def test_any_reader_of_safetensors_reads_it(tmp_path: Path) -> None:
    model: Any = Assorted()
    file = export(tmp_path / "any.safetensors", load_spec(SPEC), model, step=0, data=None)
    read, own = load_file(file), model.state_dict()
    assert read.keys() == own.keys()
    assert all(torch.equal(read[name], own[name]) and read[name].dtype == own[name].dtype for name in own)
    with safe_open(file, "pt") as opened_file:
        assert opened_file.metadata().keys() == {"zoo"}
    entries = read_header(file).tensors
    assert all(entry.start % SIZES[entry.dtype] == 0 for entry in entries.values())
    assert read_header(file).data_start % 8 == 0


@torch.no_grad()
def test_a_model_keeps_the_form_of_its_tensors(tmp_path: Path) -> None:
    model, filled = Assorted(), Assorted()
    file = export(tmp_path / "any.safetensors", load_spec(SPEC), model, step=0, data=None)  # type: ignore[arg-type]
    before = {name: (id(p), p.stride(), p.requires_grad) for name, p in filled.named_parameters()}
    for tensor in filled.state_dict().values():
        tensor.zero_()
    restore(filled, file, read_header(file))  # type: ignore[arg-type]
    assert {name: (id(p), p.stride(), p.requires_grad) for name, p in filled.named_parameters()} == before
    own = filled.state_dict()
    assert all(torch.equal(value, own[name]) for name, value in model.state_dict().items())


def test_truth_is_0_or_1(tmp_path: Path) -> None:
    model: Any = Assorted()
    file = export(tmp_path / "any.safetensors", load_spec(SPEC), model, step=0, data=None)
    header, data = opened(file)
    at = header["of_bool"]["data_offsets"][0]
    data = data[:at] + b"\x02" + data[at + 1 :]
    closed(file, sealed(header, data), data)
    with pytest.raises(zoo.DamagedFile, match="'of_bool' has booleans other than 0 and 1"):
        restore(model, file, read_header(file))


def unshareable(**values: Any) -> Any:
    model: Any = nn.Module()
    model.event = zoo.Event("point", zoo.Shape(2))
    for name, value in values.items():
        model.register_buffer(name, value)
    return model


class Told(nn.Module):
    """Its state has more than tensors."""

    event = zoo.Event("point", zoo.Shape(2))

    def get_extra_state(self) -> Any:
        return {"code": "import os"}


UNSHAREABLE: list[tuple[Any, str]] = [
    (unshareable(**{"a/b": torch.ones(1)}), "'a/b'"),
    (unshareable(**{"a\nb": torch.ones(1)}), r"'a\\nb'"),
    (unshareable(wide=torch.ones(1, dtype=torch.complex128)), r"torch\.complex128, the dtype of the model's 'wide'"),
    (unshareable(**{f"t{i}": torch.ones(1) for i in range(40_000)}), "more than 400,000 pieces"),
    (Told(), "a dict '_extra_state'"),
]


@pytest.mark.parametrize(("model", "message"), UNSHAREABLE)
def test_what_would_be_refused_is_not_written(model: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(zoo.UsageError, match=message):
        export(tmp_path / "x.safetensors", load_spec(SPEC), model, step=0, data=None)
    assert list(tmp_path.iterdir()) == []


# -- what is refused ---------------------------------------------------------------------------------------------------


def test_header_is_read_without_torch(file: Path) -> None:
    code = "import sys, pathlib; from zoo.format.header import read_header; read_header(pathlib.Path(sys.argv[1])); "
    code += "print(sorted({'torch', 'numpy', 'safetensors'} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code, str(file)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def other_dtype(header: dict[str, Any], data: bytes) -> tuple[dict[str, Any], bytes]:
    header[WEIGHT]["dtype"] = "I32"
    return header, data


def unknown_dtype(header: dict[str, Any], data: bytes) -> tuple[dict[str, Any], bytes]:
    header[WEIGHT]["dtype"] = "F99"
    return header, data


def other_shape(header: dict[str, Any], data: bytes) -> tuple[dict[str, Any], bytes]:
    header[WEIGHT]["shape"] = header[WEIGHT]["shape"][::-1]
    return header, data


def negative_shape(header: dict[str, Any], data: bytes) -> tuple[dict[str, Any], bytes]:
    header[WEIGHT]["shape"] = [-size for size in header[WEIGHT]["shape"]]
    return header, data


def missing_tensor(header: dict[str, Any], data: bytes) -> tuple[dict[str, Any], bytes]:
    gone = max(header.keys() - {"__metadata__"}, key=lambda name: header[name]["data_offsets"])
    return {name: header[name] for name in header if name != gone}, data[: header[gone]["data_offsets"][0]]


def further_tensor(header: dict[str, Any], data: bytes) -> tuple[dict[str, Any], bytes]:
    return header | {"more": {"dtype": "U8", "shape": [4], "data_offsets": [len(data), len(data) + 4]}}, data + b"more"


def renamed_tensor(header: dict[str, Any], data: bytes) -> tuple[dict[str, Any], bytes]:
    return {{WEIGHT: "other"}.get(name, name): entry for name, entry in header.items()}, data


def named_twice(header: dict[str, Any], data: bytes) -> tuple[bytes, bytes]:
    return json.dumps(header).replace("{", f'{{"{WEIGHT}": 0, ', 1).encode(), data


def key_twice(header: dict[str, Any], data: bytes) -> tuple[dict[str, Any], bytes]:
    header["__metadata__"]["zoo"] = header["__metadata__"]["zoo"].replace("{", '{"seed": 0, ', 1)
    return header, data


def overlapping(header: dict[str, Any], data: bytes) -> tuple[dict[str, Any], bytes]:
    second = sorted(header.keys() - {"__metadata__"}, key=lambda name: header[name]["data_offsets"])[1]
    size = header[second]["data_offsets"][1] - header[second]["data_offsets"][0]
    header[second]["data_offsets"] = [0, size]
    return header, data


def flipped_bit(header: dict[str, Any], data: bytes) -> tuple[dict[str, Any], bytes]:
    return header, data[:-1] + bytes([data[-1] ^ 1])


def cut(header: dict[str, Any], data: bytes) -> tuple[dict[str, Any], bytes]:
    return header, data[:-1]


def longer(header: dict[str, Any], data: bytes) -> tuple[dict[str, Any], bytes]:
    return header, data + b"x"


def no_metadata(header: dict[str, Any], data: bytes) -> tuple[dict[str, Any], bytes]:
    return header | {"__metadata__": {"format": "pt"}}, data


BEFORE_TENSORS: list[Change] = [
    other_dtype, unknown_dtype, other_shape, negative_shape, missing_tensor, further_tensor, renamed_tensor,
    named_twice, key_twice, overlapping, cut, longer, no_metadata, metadata(ties={"a": "b"}), metadata(digest=...),
    metadata(format=99), metadata(spec="realnvp-2d"), metadata(spec=[]), metadata(event={}), metadata(event=None),
    metadata(event={"name": "point", "shape": [0]}),
    metadata(event={"name": "point", "shape": [2], "colour": 1}), metadata(metrics=3),
]  # fmt: skip


@pytest.mark.parametrize("change", BEFORE_TENSORS, ids=lambda change: change.__name__)
def test_refused_before_any_tensor_is_read(change: Change, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def read(*args: Any) -> None:
        raise AssertionError("the tensors were read")

    monkeypatch.setattr("zoo.share.tensors.read_into", read)
    closed(file, *change(*opened(file)))
    with pytest.raises(zoo.DamagedFile, match=file.name):
        zoo.load(file)


AFTERWARDS: list[Change] = [
    flipped_bit, metadata(digest=f"sha256:{'0' * 64}"), metadata(spec=load_spec(SPEC | {"name": "other"}).resolved())
]  # fmt: skip


@pytest.mark.parametrize("change", AFTERWARDS, ids=lambda change: change.__name__)
def test_refused_by_its_digest(change: Change, file: Path) -> None:
    closed(file, *change(*opened(file)))
    with pytest.raises(zoo.DamagedFile, match="its digest does not match"):
        zoo.load(file)


def test_an_event_of_fewer_keys_is_read(file: Path) -> None:
    header, data = opened(file)
    meta = meta_of(header)
    meta["event"] = {"name": "point", "shape": [2]}
    closed(file, sealed(with_meta(header, meta), data), data)
    assert zoo.load(file).event == zoo.Event("point", zoo.Shape(2))


ODD_EVENTS: list[dict[str, Any]] = [
    {"features": "3"}, {"features": 0}, {"factors": ["a"]}, {"factors": {"a": 0}}, {"factors": {"a": "2"}},
    {"columns": "ab"}, {"columns": [1]}, {"colour": None}, {"levels": True}, {"range": [0.0]},
]  # fmt: skip


@pytest.mark.parametrize("odd", ODD_EVENTS, ids=str)
def test_an_event_that_cannot_be_is_refused(odd: dict[str, Any], file: Path) -> None:
    header, data = opened(file)
    meta = meta_of(header)
    closed(file, sealed(with_meta(header, meta | {"event": meta["event"] | odd}), data), data)
    with pytest.raises(zoo.DamagedFile, match="its metadata has an invalid 'event'"):
        read_header(file)


@pytest.mark.parametrize("length", [MAX_HEADER + 1, 1 << 63])
def test_a_header_that_would_be_huge_is_not_read(length: int, file: Path) -> None:
    with file.open("wb") as target:
        target.write(struct.pack("<Q", length))
        target.truncate(MAX_HEADER + 4096)  # sparse
    with pytest.raises(zoo.DamagedFile, match=r"a header of .* bytes does not fit"):
        zoo.load(file)


@pytest.mark.parametrize("raw", [b"", b"\x80\x04", b"PK\x03\x04" * 9, struct.pack("<Q", 8) + b"[" * 8])
def test_other_files_are_no_share_files(raw: bytes, file: Path) -> None:
    file.write_bytes(raw)
    with pytest.raises(zoo.DamagedFile, match=r"is not? .*share file"):
        zoo.load(file)


OTHERS: list[tuple[str, bytes, int, str]] = [
    (
        "flow.yaml",
        b"name: realnvp\ndata: digits\n",
        2,
        "flow.yaml is a spec, expected a run or a share file: train it with 'zoo train ",
    ),
    ("flow.yml", b"", 2, "flow.yml is a spec"),
    ("x.png", b"\x89PNG\r\n\x1a\n" + bytes(99), 5, "it is a PNG image"),
    ("x.jpg", b"\xff\xd8\xff\xe0" + bytes(99), 5, "it is a JPEG image"),
    ("x.pth", b"PK\x03\x04\x14\0\0\0" + bytes(99), 5, "it is a zip archive, such as a torch checkpoint"),
    ("x.npz", b"PK\x03\x04\x14\0\0\0" + bytes(99), 5, "or a numpy .npz file"),
    ("x.pkl", b"\x80\x04\x95\x10\0\0\0\0\0\0\0" + bytes(99), 5, "it is a pickle"),
    ("x.npy", b"\x93NUMPY\x01\x00" + bytes(99), 5, "it is a numpy array"),
    ("x.csv", b"x,y\n1.0,2.0\n3.0,4.0\n", 5, "it is a text file"),
    ("x.safetensors", b"", 5, "it is empty"),
    ("x.bin", bytes([200] * 99), 5, "it is a file of 99 bytes, or damaged"),
]


@pytest.mark.parametrize("command", ["evaluate", "verify", "compare", "sample", "diff"])
@pytest.mark.parametrize(("name", "raw", "code", "message"), OTHERS, ids=[name for name, *_ in OTHERS])
def test_what_is_given_in_place_of_a_share_file_is_named(
    command: str, name: str, raw: bytes, code: int, message: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(raw)
    given = [str(tmp_path / name)] * (2 if command == "diff" else 1)
    result = CliRunner().invoke(app, [command, *given])
    assert result.exit_code == code
    assert command == "diff" or message in result.stderr
    assert "header of" not in result.stderr or name == "x.bin"


def test_a_spec_and_a_folder_of_runs_in_place_of_a_run(tmp_path: Path) -> None:
    (tmp_path / "flow" / "first").mkdir(parents=True)
    (tmp_path / "flow" / "first" / "resolved.yaml").touch()
    told = {
        "glow-cifar10": "'glow-cifar10' is a spec, and no trained weights of it are installed; train it by: zoo train ",
        str(
            tmp_path / "flow"
        ): f"is not a run: it has no model.safetensors; it contains runs, such as {tmp_path}/flow/first",
    }
    for target, message in told.items():
        result = CliRunner().invoke(app, ["evaluate", target])
        assert (result.exit_code, message in result.stderr) == (2, True), result.stderr


def test_a_flipped_byte_anywhere_is_an_error_or_changes_no_number(file: Path) -> None:
    raw = file.read_bytes()
    sound = zoo.load(file).state_dict()
    for at in range(0, len(raw), 53):
        file.write_bytes(raw[:at] + bytes([raw[at] ^ 2]) + raw[at + 1 :])
        try:
            model = zoo.load(file)
        except zoo.ZooError:
            continue
        assert all(torch.equal(value, sound[name]) for name, value in model.state_dict().items())


RECORD = {"kind": "model", "name": "acme.flow", "distribution": "acme-zoo", "version": "1.2"}


@pytest.mark.parametrize(
    ("name", "record", "code"), [("acme.flow", [RECORD], 4), ("acme.flow", [], 5), ("flaw", [], 2)]
)
def test_unknown_components_have_their_exit_codes(name: str, record: list[Any], code: int, file: Path) -> None:
    header, data = opened(file)
    meta = meta_of(header)
    meta["spec"]["model"]["type"] = name
    meta["components"] += record
    closed(file, with_meta(header, meta), data)
    result = CliRunner().invoke(app, ["sample", str(file), "-o", str(file.with_suffix(".npy"))])
    assert result.exit_code == code
    assert name.split(".", maxsplit=1)[0] in result.stderr


def test_another_file_in_its_place_is_not_read(file: Path) -> None:
    header, model = read_header(file), zoo.load(file)
    file.write_bytes(file.read_bytes())
    with pytest.raises(zoo.DamagedFile, match="was replaced while it was being opened"):
        restore(model, file, header)


def test_a_file_that_ends_while_it_is_read(file: Path) -> None:
    with file.open("rb") as handle, pytest.raises(EOFError):
        read_into(memoryview(bytearray(100)), handle.fileno(), file.stat().st_size - 50)


def test_damage_leaves_with_5(file: Path) -> None:
    closed(file, *flipped_bit(*opened(file)))
    for command in (["sample", str(file), "-o", str(file.with_suffix(".npy"))], ["evaluate", str(file)]):
        result = CliRunner().invoke(app, command)
        assert result.exit_code == 5
        assert "is damaged" in result.stderr


def test_loads_what_was_trained(run: zoo.Run) -> None:
    model, spec, header = open_share(run.model)
    assert not model.training
    assert spec.resolved() == header.meta["spec"]
    fresh = assembly.build(spec)
    assert any(not torch.equal(value, model.state_dict()[name]) for name, value in fresh.state_dict().items())
    assert run.model == run.directory / MODEL
