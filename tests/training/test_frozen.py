"""Models of several share files, and what is frozen of them: it costs nothing, and it stays as it is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from fake_plugins import plugin
from run_equality import assert_same_run
from safetensors.torch import load_file
from toys import toys
from two_processes import finish, together
from typer.testing import CliRunner

import zoo
from zoo.assembly import build as assembly
from zoo.assembly.parameters import filled_by
from zoo.cli.app import app
from zoo.document.yaml import write_yaml
from zoo.engine.distributed import Alone
from zoo.engine.runtime import Choices
from zoo.format.header import read_header
from zoo.progress import Silent
from zoo.report.text_table import table_of_parts
from zoo.share.verify import verify
from zoo.spec import InitFrom, load_spec
from zoo.training.trainer import Trainer

NET = {"type": "mlp", "width": 4}
BLOCK = {"type": "affine_coupling", "mask": "channel", "conditioner": NET | {"dropout": 0.5}}
LAYERS: list[Any] = [BLOCK, "batch_norm", "act_norm"]
FIRST, SECOND = "transforms.of.0.*", "transforms.of.1.*"


def spec_of(transforms: list[Any], model: Any = None, **more: Any) -> zoo.Spec:
    train = {
        "steps": 4,
        "batch": 8,
        "optimizer": {"type": "adam", "lr": 0.01},
        "log_every": 1,
        "checkpoint_every": None,
    }
    return load_spec(
        {
            "name": "frozen",
            "data": {"type": "toy2d", "figure": "two_moons", "size": 64, "test_size": 16},
            "model": model or {"type": "flow", "base": "standard_normal", "transforms": transforms},
            "train": train | more.pop("train", {}),
            "engine": {"compile": "off", "device": "cpu"},
            **more,
        }
    )


def trainer_of(spec: zoo.Spec, home: Path) -> Trainer:
    return Trainer(spec, home, Choices("cpu", "fp32", False, False), Silent(), Alone())


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Two runs of different weights."""
    home = tmp_path_factory.mktemp("files")
    runs = [zoo.train(spec_of(LAYERS, train={"seed": seed}), runs=home, name=f"{seed}") for seed in (1, 2)]
    return [str(run.model) for run in runs]


def both(files: list[str], **second: Any) -> list[dict[str, Any]]:
    return [{"file": files[0], "match": FIRST, "freeze": True}, {"file": files[1], "match": SECOND} | second]


def test_a_model_starts_from_several_files(files: list[str], tmp_path: Path) -> None:
    spec = spec_of(LAYERS, init_from=both(files))
    run = zoo.train(spec, runs=tmp_path, name="x")
    first, second, after = (load_file(file) for file in (*files, str(run.model)))
    ours = {name for name in after if name.startswith("transforms.of.0.")}
    assert ours
    assert all(torch.equal(after[name], first[name]) for name in ours)
    begun = trainer_of(spec, tmp_path).model.state_dict()
    assert all(torch.equal(begun[name], second[name]) for name in second if name.startswith("transforms.of.1."))
    assert after["transforms.of.2.log_scale"].any()  # what is in no file starts from data
    parents = [read_header(Path(file)).meta["digest"] for file in files]
    assert read_header(run.model).meta["parent"] == parents
    told = verify(run.model).to_dict()
    assert (told["parent"], told["parents"]) == (parents[0], parents)
    half = zoo.train(spec, runs=tmp_path, name="half", steps=2)
    assert_same_run(zoo.resume(half.directory).directory, run.directory)


def test_one_file_has_one_parent(files: list[str], tmp_path: Path) -> None:
    start = [{"file": files[0], "match": FIRST}, {"file": files[0], "match": SECOND}]
    run = zoo.train(spec_of(LAYERS, init_from=start), runs=tmp_path, steps=1)
    assert read_header(run.model).meta["parent"] == read_header(Path(files[0])).meta["digest"]


def test_a_resumed_run_needs_no_files(files: list[str], tmp_path: Path) -> None:
    """What is frozen is known from the model: the run is the same without the files that it started from."""
    copies = [
        str(Path(file).rename(tmp_path / f"{i}.safetensors").absolute()) for i, file in enumerate(map(Path, files))
    ]
    spec = spec_of(LAYERS, init_from=both(copies))
    half = zoo.train(spec, runs=tmp_path, name="half", steps=2)
    whole = zoo.train(spec, runs=tmp_path, name="whole")
    for copy, file in zip(copies, files, strict=True):
        Path(copy).rename(file)
    assert_same_run(zoo.resume(half.directory).directory, whole.directory)


def test_two_files_for_one_tensor_are_refused_with_both_lines(files: list[str], tmp_path: Path) -> None:
    file = tmp_path / "frozen.yaml"
    spec = spec_of(LAYERS).resolved()
    lines = [f"- {{file: '{files[0]}', match: '{FIRST}'}}", f"- {{file: '{files[1]}'}}"]
    file.write_text("\n".join(["init_from:", *lines, write_yaml(_without(spec))]))
    message = r"frozen\.yaml:3:3  init_from\[1\]  '\S+' and \d+ more are already filled by init_from\[0\], line 2"
    with pytest.raises(zoo.SpecError, match=message):
        assembly.check(load_spec(file))


def _without(spec: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in spec.items() if key != "init_from"}


WRONG = {
    "a key": ([{"file": "x", "matsch": "y"}], ["init_from[0].matsch"], "did you mean 'match'"),
    "no file": ({"match": "y"}, ["init_from"], "'init_from' needs 'file'"),
    "a number": (["x", 3], ["init_from[1]"], "should be a text, got 3; or should be a mapping, got 3"),
    "nothing": ([], ["init_from"], "should have at least 1 item, not 0"),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_mistake_is_one_problem(what: str) -> None:
    start, paths, message = WRONG[what]
    with pytest.raises(zoo.SpecError) as refused:
        spec_of(LAYERS, init_from=start)
    assert [problem.path for problem in refused.value.problems] == paths
    assert message in str(refused.value)


def test_every_file_that_does_not_fit_is_named(files: list[str], tmp_path: Path) -> None:
    start = [files[0] + "x", {"file": files[1], "match": "encoder.*"}]
    with pytest.raises(zoo.SpecError) as refused:
        zoo.train(spec_of(LAYERS, init_from=start), runs=tmp_path)
    assert [problem.path for problem in refused.value.problems] == ["init_from[0]", "init_from[1]"]


def test_a_tied_tensor_is_filled_under_its_first_name() -> None:
    class Tied(zoo.Model):
        def __init__(self) -> None:
            super().__init__(zoo.Event("point", zoo.Shape(2)))
            self.encoder, self.decoder = torch.nn.Linear(2, 2, bias=False), torch.nn.Linear(2, 2, bias=False)
            self.encoder.weight = self.decoder.weight

        def forward(self, batch: zoo.Batch, clock: zoo.Clock) -> zoo.Terms:
            raise NotImplementedError

    model = Tied()
    found = [filled_by(model, InitFrom(file="x", into=part)) for part in ("", "encoder", "decoder")]
    assert [list(names) for names in found] == [["decoder.weight"], [], ["decoder.weight"]]


@pytest.mark.parametrize("how", ["init_from", "train.freeze"])
def test_what_is_frozen_costs_nothing(how: str, files: list[str], tmp_path: Path) -> None:
    more: dict[str, Any] = {"init_from": both(files)} if how == "init_from" else {"train": {"freeze": [FIRST]}}
    more["train"] = more.get("train", {}) | {"ema": 0.9}
    trainer = trainer_of(spec_of(LAYERS, **more), tmp_path)
    trainer.one_step()
    named = dict(trainer.model.named_parameters())
    frozen = [name for name in named if name.startswith("transforms.of.0.")]
    assert list(trainer.frozen.parameters) == frozen
    (optimizer,) = (turn.optimizer for turn in trainer.players)
    moved = {id(p) for group in optimizer.param_groups for p in group["params"]}
    evaluated = dict(trainer.evaluated().named_parameters())
    for name, p in named.items():
        assert (
            (name in frozen)
            == (id(p) not in moved)
            == (p not in optimizer.state)
            == (name not in trainer.averaged.names)
        )
        assert (name in frozen) == (evaluated[name].data_ptr() == p.data_ptr())
        assert p.grad is None
    coupling = trainer.model.get_submodule("transforms.of.0")
    assert isinstance(coupling, torch.nn.Module)
    z, log_det = coupling(torch.zeros(3, 2))
    assert z.grad_fn is None  # no input needs a graph
    assert log_det.grad_fn is None


def test_a_frozen_part_is_evaluated_while_others_train(files: list[str], tmp_path: Path) -> None:
    """Dropout is off, and statistics of batches are those of the file, also in what is evaluated."""
    start = {"file": files[0], "freeze": True}
    spec = spec_of([], {"type": "flow", "base": "standard_normal", "transforms": [*LAYERS, "batch_norm"]})
    node = spec.resolved() | {"init_from": [start | {"match": FIRST}, start | {"match": SECOND}]}
    trainer = trainer_of(load_spec(node), tmp_path)
    modes = {name: part.training for name, part in trainer.model.named_modules()}
    assert modes[""]
    assert not any(mode for name, mode in modes.items() if name.startswith(("transforms.of.0", "transforms.of.1")))
    before = {name: x.clone() for name, x in trainer.model.named_buffers()}
    trainer.one_step()
    evaluated = dict(trainer.evaluated().named_buffers())
    for name, x in trainer.model.named_buffers():
        trains = name.startswith("transforms.of.3.")
        assert torch.equal(x, before[name]) != trains, name
        assert torch.equal(evaluated[name], before[name]) != trains, name
    assert trainer.model.training


def test_batch_statistics_of_what_trains_go_on(files: list[str], tmp_path: Path) -> None:
    trainer = trainer_of(spec_of(LAYERS, train={"freeze": [FIRST]}), tmp_path)
    before = {name: x.clone() for name, x in trainer.model.named_buffers() if name.startswith("transforms.of.1.")}
    trainer.one_step()
    assert any(not torch.equal(x, before[name]) for name, x in trainer.model.named_buffers() if name in before)


def test_build_counts_what_is_trained_and_what_is_frozen() -> None:
    spec = spec_of([BLOCK, "act_norm"], train={"freeze": [FIRST]})
    summary = assembly.check(spec)
    assert summary.trained == 4
    assert summary.frozen == summary.parameters - 4
    assert f"parameters (4 trained, {summary.frozen:,} frozen)" in table_of_parts(summary)
    assert "frozen)" not in table_of_parts(assembly.check(spec_of([BLOCK, "act_norm"])))


def test_build_shows_them_as_json(tmp_path: Path) -> None:
    file = tmp_path / "frozen.yaml"
    file.write_text(write_yaml(spec_of([BLOCK, "act_norm"], train={"freeze": [FIRST]}).resolved()))
    told = json.loads(CliRunner().invoke(app, ["build", str(file), "--json"]).stdout)
    assert told["trained_parameters"] == 4
    assert told["frozen_parameters"] == told["parameters"] - 4
    assert [player["name"] for player in told["players"]] == ["model"]


@pytest.fixture
def _toys() -> Iterator[None]:
    with toys():
        yield


@pytest.mark.usefixtures("_toys")
def test_after_step_does_not_write_into_what_is_frozen(tmp_path: Path) -> None:
    model = {"type": "toys.consistency", "net": NET, "decay": 0.5}
    wrong = spec_of([], model, train={"freeze": ["teacher.*"]})
    with pytest.raises(zoo.SpecError, match=r"writes into the frozen parameter 'teacher\."):
        assembly.check(wrong)
    trainer = trainer_of(wrong, tmp_path / "frozen" / "x")
    trainer.directory.mkdir(parents=True)
    with pytest.raises(zoo.SpecError, match=r"writes into the frozen parameter 'teacher\."):
        trainer.run(None)
    zoo.train(spec_of([], model, train={"freeze": ["student.layers.0.*"]}), runs=tmp_path)


THROUGH_DATA = """
import torch
import zoo

@zoo.component("sly")
class Sly(zoo.Model):
    def __init__(self, event, *, size: int = 3):
        super().__init__(event)
        self.a, self.b = torch.nn.Parameter(torch.ones(size)), torch.nn.Parameter(torch.ones(size))

    def forward(self, batch, clock):
        loss = (self.a * self.b).sum()
        return zoo.Terms(loss, {"nll": loss.detach()})

    def after_step(self, clock):
        self.b.data.mul_(0.9)
"""


def test_a_write_past_autograd_is_noticed(tmp_path: Path) -> None:
    with plugin(tmp_path, THROUGH_DATA, "1.0"), pytest.raises(zoo.SpecError, match="the frozen parameter 'b'"):
        zoo.train(spec_of([], {"type": "acme.sly"}, train={"freeze": ["b"]}), runs=tmp_path / "runs")


@pytest.mark.parametrize("strategy", ["ddp", "fsdp2"])
def test_several_processes_freeze_alike(strategy: str, files: list[str], tmp_path: Path) -> None:
    more = {"init_from": both(files), "train": {"ema": 0.9}}
    spec = load_spec(spec_of(LAYERS, **more).resolved(), [f"engine.strategy={strategy}"])
    finish(together(lambda rank: zoo.train(spec, runs=tmp_path, name="x")))
    first, ours = load_file(files[0]), load_file(tmp_path / "frozen" / "x" / "model.safetensors")
    same = {name for name in ours if torch.equal(ours[name], first[name])}
    assert {name for name in ours if name.startswith("transforms.of.0.")} <= same
    assert not any(name.startswith("transforms.of.2.") for name in same)
