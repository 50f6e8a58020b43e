"""Tensors that training carries and no parameter is: saved and resumed to the bit, and in no share file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from fake_plugins import plugin
from run_equality import assert_same_run
from safetensors.torch import load_file, save_file
from toys import toys
from two_processes import finish, together

import zoo
from zoo.assembly import build as assembly
from zoo.engine.distributed import Alone
from zoo.engine.runtime import Choices
from zoo.interfaces.capabilities import training_state
from zoo.progress import Silent
from zoo.run import checkpoint
from zoo.share.file import export
from zoo.spec import load_spec
from zoo.training.trainer import Trainer

ENERGY: dict[str, Any] = {
    "name": "energy",
    "data": {"type": "toy2d", "figure": "eight_gaussians", "size": 64, "test_size": 8},
    "model": {"type": "toys.energy_model", "net": {"type": "mlp", "width": 4}, "chains": 20},
    "train": {
        "steps": 6,
        "batch": 8,
        "optimizer": {"type": "adam", "lr": 0.01},
        "ema": 0.9,
        "log_every": 2,
        "checkpoint_every": None,
    },
    "engine": {"compile": "off", "device": "cpu"},
}
CHAINS = "replay.chains"


@pytest.fixture(scope="module", autouse=True)
def _installed() -> Iterator[None]:
    with toys():
        yield


def spec_of(chains: int = 20, **more: Any) -> zoo.Spec:
    return load_spec(ENERGY | {"model": ENERGY["model"] | {"chains": chains}} | more)


def trainer_of(spec: zoo.Spec, home: Path) -> Trainer:
    return Trainer(spec, home, Choices("cpu", "fp32", False, False), Silent(), Alone())


def carried(run: Path) -> Any:
    home = run / "checkpoints"
    return checkpoint.load(home, checkpoint.steps(home)[-1])["training_state"]


def test_it_is_resumed_to_the_bit_and_not_shared(tmp_path: Path) -> None:
    spec = spec_of()
    whole = zoo.train(spec, runs=tmp_path, name="whole")
    half = zoo.train(spec, runs=tmp_path, name="half", steps=3)
    (before,) = carried(half.directory)
    assert_same_run(zoo.resume(half.directory).directory, whole.directory)
    (after,) = carried(whole.directory)
    assert list(after) == [CHAINS]
    assert not torch.equal(after[CHAINS], before[CHAINS])
    assert CHAINS not in load_file(whole.model)


def test_a_run_that_loses_it_has_other_bits(tmp_path: Path) -> None:
    """Or the test before would show nothing."""
    trainer = trainer_of(spec_of(), tmp_path)
    twice = []
    for shift in (0.0, 1.0):
        state = trainer.state()
        trainer.restore(state | {"training_state": [{CHAINS: torch.full((20, 2), shift)}]})
        torch.manual_seed(0)
        twice.append(trainer.model(next(trainer.batches(0, 0)), trainer.clocks["model"]).loss)
    assert not torch.equal(*twice)


def test_a_file_opens_without_it(tmp_path: Path) -> None:
    run = zoo.train(spec_of(), runs=tmp_path, steps=1)
    model = zoo.load(run.model)
    assert isinstance(model, zoo.Samples)
    assert model.sample(3).shape == (3, 2)
    assert training_state(model) == {}
    assert model.get_submodule("replay").chains is None


QUEUE = """
import torch
from torch import nn
import zoo

@zoo.component("wide")
class Wide(zoo.Model, zoo.TrainingState):
    def __init__(self, event, *, size: int):
        super().__init__(event)
        self.weight = nn.Parameter(torch.ones(2))
        self.register_training_state("queue", lambda: torch.zeros(size, 1000))

    def forward(self, batch, clock):
        raise NotImplementedError
"""


def test_a_file_opens_however_large_it_is(tmp_path: Path) -> None:
    """A hundred megabytes are more than the file of two numbers may take to open."""
    with plugin(tmp_path, QUEUE, "1.0"):
        spec = spec_of(model={"type": "acme.wide", "size": 25_000})
        file = export(tmp_path / "wide.safetensors", spec, assembly.build(spec), step=0, data=None)
        assert training_state(zoo.load(file)) == {}


def test_the_evaluated_model_has_no_copy(tmp_path: Path) -> None:
    trainer = trainer_of(spec_of(), tmp_path)
    trainer.one_step()
    evaluated = trainer.evaluated()
    assert training_state(evaluated) == {}
    assert isinstance(evaluated, zoo.Samples)
    assert evaluated.sample(2).shape == (2, 2)
    assert list(training_state(trainer.model)) == [CHAINS]


def test_it_counts_as_memory_of_training() -> None:
    few, many = (assembly.check(spec_of(chains)) for chains in (20, 1020))
    assert few.weights_bytes == many.weights_bytes
    assert many.training_bytes - few.training_bytes == 1000 * 2 * 4


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x: x[:-1], r"'training_state\[0\]\.replay\.chains' is a tensor float32 \[19, 2\], expected a tensor "),
        (lambda x: x.double(), r"is a tensor float64 \[20, 2\], expected a tensor float32 \[20, 2\]"),
    ],
)  # fmt: skip
def test_what_is_no_state_of_this_run_is_refused(change: Any, message: str, tmp_path: Path) -> None:
    run = zoo.train(spec_of(), runs=tmp_path, steps=2)
    saved = run.directory / "checkpoints" / "step-2"
    tensors = load_file(saved / checkpoint.TENSORS)
    (name,) = (name for name in tensors if CHAINS in name)
    save_file(tensors | {name: change(tensors[name]).contiguous()}, saved / checkpoint.TENSORS)
    (saved / checkpoint.MANIFEST).unlink()
    checkpoint.seal(saved)
    with pytest.raises(zoo.DamagedFile, match=message):
        zoo.resume(run.directory)


def test_a_checkpoint_without_it_is_refused(tmp_path: Path) -> None:
    run = zoo.train(spec_of(), runs=tmp_path, steps=2)
    saved = run.directory / "checkpoints" / "step-2"
    packed = json.loads((saved / checkpoint.STATE).read_text())
    packed["$items"] = [item for item in packed["$items"] if item[0] != "training_state"]
    (saved / checkpoint.STATE).write_text(json.dumps(packed))
    (saved / checkpoint.MANIFEST).unlink()
    checkpoint.seal(saved)
    with pytest.raises(zoo.DamagedFile, match="'training_state' is 'nothing', expected something"):
        zoo.resume(run.directory)


def test_each_process_has_its_own(tmp_path: Path) -> None:
    """DDP copies the first process's buffers to the others at each step: not these."""
    spec = spec_of(chains=200)

    def train(name: str, steps: int | None = None) -> Path:
        finish(together(lambda rank: zoo.train(spec, runs=tmp_path, name=name, steps=steps)))
        return tmp_path / "energy" / name

    whole, half = train("whole"), train("half", steps=3)
    first, second = carried(half)
    # In one step each process moves eight chains: more than these differ.
    assert int((first[CHAINS] != second[CHAINS]).any(1).sum()) > 2 * 8
    finish(together(lambda rank: zoo.resume(half)))
    assert_same_run(half, whole)


def test_fsdp_refuses_it(tmp_path: Path) -> None:
    spec = spec_of(engine=ENERGY["engine"] | {"strategy": "fsdp2"})
    children = together(lambda rank: zoo.train(spec, runs=tmp_path, name="x"))
    finish(children, 2)
    assert "engine.strategy  fsdp2 cannot save the training state 'replay.chains'" in children[0].said
    assert not (tmp_path / "energy").exists()


NORMALISED = """
import torch
from torch import nn
import zoo

class Average(nn.Module, zoo.RunningStatistics):
    def __init__(self, owner):
        super().__init__()
        self.register_buffer("mean", torch.zeros(2))
        self.owner = [owner]

    def reset(self):
        self.mean.zero_()

    def forward(self, x):
        if self.training:
            self.mean.lerp_(x.mean(0), 0.5)
        return x - self.mean

@zoo.component("memory")
class Memory(zoo.Model, zoo.TrainingState):
    '''A mean over a queue of what was seen, which training moves also while statistics are collected.'''
    def __init__(self, event, *, size: int = 4):
        super().__init__(event)
        self.weight, self.average = nn.Parameter(torch.ones(2)), Average(self)
        self.register_training_state("queue", lambda: torch.zeros(size, 2))

    def forward(self, batch, clock):
        self.queue.copy_(torch.cat([batch["point"][:1], self.queue[:-1]]))
        loss = (self.average(self.queue) * self.weight).square().sum()
        return zoo.Terms(loss, {"error": loss.detach()})
"""


def test_statistics_are_collected_from_the_state_at_that_step(tmp_path: Path) -> None:
    """Not from what an evaluation before has left, or a resumed run would evaluate other weights."""
    with plugin(tmp_path, NORMALISED, "1.0"):
        train = ENERGY["train"] | {"sample_every": None, "checkpoint_every": 2}
        spec = load_spec(ENERGY | {"model": "acme.memory", "train": train})
        trainer = trainer_of(spec, tmp_path)
        for _ in range(2):
            trainer.one_step()
            before = trainer.model.get_buffer("queue").clone()
            evaluated = trainer.evaluated()
            assert torch.equal(trainer.model.get_buffer("queue"), before)
        other = trainer_of(spec, tmp_path)
        other.restore(trainer.state())
        again = other.evaluated()
        assert torch.equal(again.get_buffer("average.mean"), evaluated.get_buffer("average.mean"))
