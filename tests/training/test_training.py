"""What the training loop promises, on models small enough to follow."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from typer.testing import CliRunner

import zoo
from zoo.assembly import build as assembly
from zoo.assembly.parameters import Frozen
from zoo.cli.app import app
from zoo.data.batches import Shuffled, Source, sources
from zoo.engine.distributed import Alone
from zoo.engine.runtime import Choices, can_compile, find_precision
from zoo.inference.evaluate import measure
from zoo.progress import Silent
from zoo.run import checkpoint
from zoo.run.directory import CHECKPOINTS
from zoo.run.record import METRICS, MODEL, RUN
from zoo.share.file import open_share
from zoo.spec import load_spec
from zoo.training.ema import Averaged
from zoo.training.nan_guard import Sentinel
from zoo.training.trainer import Trainer

Rows = list[dict[str, Any]]
MLP = {"type": "mlp", "width": 8, "depth": 1}
COUPLING = {"type": "affine_coupling", "mask": "channel", "conditioner": MLP}


def spec_of(device: str, transforms: Sequence[Any] = (COUPLING,), engine: Any = None, **train: Any) -> zoo.Spec:
    """A flow on two moons."""
    settings = {"steps": 6, "batch": 32, "optimizer": {"type": "adam", "lr": 0.01}, "log_every": 1} | train
    return load_spec(
        {
            "name": "tiny",
            "data": {"type": "toy2d", "figure": "two_moons", "size": 300, "test_size": 100},
            "model": {"type": "flow", "base": "standard_normal", "transforms": list(transforms)},
            "train": settings,
            "engine": {"compile": "off", "device": device} | (engine or {}),
            "evaluate": ["nll"],
        }
    )


def trainer_of(spec: zoo.Spec, home: Path) -> Trainer:
    choices = Choices(spec.engine.device, spec.engine.precision, False, False)
    return Trainer(spec, home, choices, Silent(), Alone())


def rows_of(run: Path, split: str = "train") -> Rows:
    rows = [json.loads(line) for line in (run / METRICS).read_text().splitlines()]
    return [row for row in rows if row["split"] == split]


def losses(spec: zoo.Spec, home: Path) -> list[float]:
    return [row["loss"] for row in rows_of(zoo.train(spec, runs=home).directory)]


# -- divergence --------------------------------------------------------------------------------------------------------


def test_divergence_leaves_with_3_and_names_step_and_term(device: str, tmp_path: Path) -> None:
    spec = tmp_path / "tiny.yaml"
    spec.write_text(json.dumps(spec_of(device).resolved()))
    command = ["train", str(spec), "--runs", str(tmp_path), "--name", "x", "--set", "train.optimizer.lr=1e30"]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 3
    assert "training diverged at step 1: 'nll' became NaN or infinite" in result.stderr
    assert json.loads((tmp_path / "tiny" / "x" / RUN).read_text())["status"] == "failed"


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_bad_loss_does_not_reach_the_weights(bad: float, device: str, tmp_path: Path) -> None:
    trainer = trainer_of(spec_of(device), tmp_path)
    trainer.one_step()
    forward = trainer.model.forward

    def poisoned(batch: zoo.Batch, clock: zoo.Clock) -> zoo.Terms:
        loss, logs, _ = forward(batch, clock)
        return zoo.Terms(loss * bad, {"fine": loss, "poisoned": logs["nll"] * bad})

    trainer.model.forward = poisoned  # type: ignore[method-assign]
    before = copy.deepcopy(trainer.model.state_dict())
    with pytest.raises(zoo.Diverged) as diverged:
        trainer.one_step()
        trainer.save()  # on CUDA the flag is read here
    assert diverged.value.step == 1
    assert diverged.value.terms == ("poisoned",)
    assert all(torch.equal(before[name], value) for name, value in trainer.model.state_dict().items())
    assert not (tmp_path / CHECKPOINTS).exists()


def test_loss_is_named_where_its_terms_are_fine(device: str) -> None:
    fine, bad = torch.ones(3, device=device), torch.tensor(math.nan, device=device)
    sentinel = Sentinel(torch.device("cpu"), [], Alone())
    sentinel.check(0, {"loss": fine.mean(), "nll": fine}, fine.mean())
    with pytest.raises(zoo.Diverged, match="'loss'"):
        sentinel.check(4, {"loss": bad, "nll": fine}, bad)


# -- batches -----------------------------------------------------------------------------------------------------------


class Listed(zoo.Examples):
    """The numbers of the examples themselves, read one batch at a time."""

    def __init__(self, n: int) -> None:
        self.n = n

    def __len__(self) -> int:
        return self.n

    def read(self, indices: Tensor) -> dict[str, Tensor]:
        return {"point": indices.clone()}

    def fingerprint(self) -> str:
        return f"list:{self.n}"


def shuffled(n: int, batch: int, device: str, seed: int = 0, resident: bool = True) -> Shuffled:
    examples = zoo.InMemory({"point": torch.arange(n)}) if resident else Listed(n)
    return Shuffled(Source(examples, torch.arange(n), torch.device(device)), batch, seed)


@pytest.mark.parametrize(("n", "batch"), [(10, 4), (7, 7), (3, 8)])
def test_every_example_equally_often(n: int, batch: int, device: str) -> None:
    data = shuffled(n, batch, device)
    seen = torch.cat([data.turn(t)["point"] for t in range(n)])  # batch epochs of n examples
    assert seen.bincount(minlength=n).tolist() == [batch] * n
    epochs = seen.reshape(batch, n)
    assert all(sorted(epoch) == list(range(n)) for epoch in epochs.tolist())
    assert len({tuple(epoch) for epoch in epochs.tolist()}) > 1


def test_order_is_a_function_of_seed_and_turn(device: str) -> None:
    one, other = shuffled(50, 8, device), shuffled(50, 8, device)
    forwards = {t: one.turn(t)["point"] for t in range(20)}
    assert all(torch.equal(other.turn(t)["point"], forwards[t]) for t in reversed(range(20)))
    assert not torch.equal(shuffled(50, 8, device, seed=1).turn(0)["point"], forwards[0])


def test_streamed_batches_are_those_of_memory(device: str) -> None:
    resident, streamed = shuffled(50, 8, device), shuffled(50, 8, device, resident=False)
    for t in (0, 1, 2, 9, 3, 4, 40):  # back and forth, as recalibration goes
        assert torch.equal(resident.turn(t)["point"], streamed.turn(t)["point"])
    streamed.close()


def test_validation_is_apart_and_the_same_for_every_seed(device: str) -> None:
    data = zoo.declare(zoo.Dataset, {"type": "toy2d", "figure": "two_moons", "size": 40})()
    kept, held = (
        {tuple(x) for batch in source.in_order(7) for x in batch["point"].tolist()}
        for source in sources(data.split("train"), 0.25, torch.device(device))
    )
    assert (len(kept), len(held)) == (30, 10)
    assert not kept & held


# -- one step ----------------------------------------------------------------------------------------------------------


def test_average_has_its_closed_form(device: str, tmp_path: Path) -> None:
    trainer = trainer_of(spec_of(device, ema=0.5), tmp_path)
    expected = [p.detach().clone() for p in trainer.model.parameters()]
    for step in range(4):
        trainer.one_step()
        d = min(0.5, (1 + step) / (10 + step))
        expected = [
            d * mean + (1 - d) * p.detach() for mean, p in zip(expected, trainer.model.parameters(), strict=True)
        ]
    for mean, weight, live in zip(expected, trainer.averaged.weights, trainer.model.parameters(), strict=True):
        assert torch.allclose(mean, weight, atol=1e-7)
        assert not torch.equal(weight, live)
    for mine, weight in zip(trainer.evaluated().parameters(), trainer.averaged.weights, strict=True):
        assert torch.equal(mine, weight)


def test_what_is_not_trained_is_not_averaged() -> None:
    model = assembly.build(spec_of("cpu"))
    frozen = next(model.parameters()).requires_grad_(False)
    names = [name for name, p in model.named_parameters() if p.requires_grad]
    averaged = Averaged(model, 0.5, names, Frozen(), lambda: copy.deepcopy(model))
    with torch.no_grad():
        for p in model.parameters():
            p.add_(1.0)
    averaged.update(100)
    clock = zoo.Clock(torch.zeros(()), 1)
    evaluated = averaged.model(shuffled(4, 2, "cpu"), clock)
    assert torch.equal(next(evaluated.parameters()), frozen)
    differ = [not torch.equal(a, b) for a, b in zip(evaluated.parameters(), model.parameters(), strict=True)]
    assert differ == [False] + [True] * (len(differ) - 1)


def test_gradient_is_clipped(device: str, tmp_path: Path) -> None:
    moved = {}
    for clip in (1e-3, 1e9):
        trainer = trainer_of(spec_of(device, optimizer={"type": "sgd", "lr": 1.0}, clip=clip), tmp_path)
        before = torch.nn.utils.parameters_to_vector(trainer.model.parameters()).detach()
        trainer.one_step()
        after = torch.nn.utils.parameters_to_vector(trainer.model.parameters()).detach()
        moved[clip] = float((after - before).norm()), trainer.tally.read()["grad_norm"]
    assert moved[1e-3][0] == pytest.approx(1e-3, rel=1e-2)
    assert moved[1e9][0] == pytest.approx(moved[1e9][1], rel=1e-4)
    assert moved[1e9][1] == pytest.approx(moved[1e-3][1])  # logged before it is clipped


def test_groups_take_their_own_settings(device: str, tmp_path: Path) -> None:
    groups = [{"match": "*.log_scale", "lr": 0.5, "weight_decay": 0.1}, {"match": "*.bias", "lr": 0.25}]
    optimizer = {"type": "adam", "lr": 0.01, "groups": groups}
    spec = spec_of(device, ["act_norm", COUPLING], optimizer=optimizer, schedule={"type": "linear"})
    trainer = trainer_of(spec, tmp_path)
    (turn,) = trainer.turns
    named = {id(p): name for name, p in trainer.model.named_parameters()}
    found = [
        ({named[id(p)].rpartition(".")[2] for p in group["params"]}, group["initial_lr"], group["weight_decay"])
        for group in turn.optimizer.param_groups
    ]
    assert found == [({"log_scale"}, 0.5, 0.1), ({"bias"}, 0.25, 0.0), ({"weight"}, 0.01, 0.0)]
    for _ in range(4):
        trainer.one_step()
    rates = [group["lr"] for group in turn.optimizer.param_groups]
    factor = spec.train.schedule().factor(3, 6) if spec.train.schedule else 1.0
    assert rates == pytest.approx([0.5 * factor, 0.25 * factor, 0.01 * factor])
    assert factor != 1.0


# -- judging -----------------------------------------------------------------------------------------------------------


def judged(monkeypatch: pytest.MonkeyPatch, figures: list[float]) -> None:
    """Let validations measure these, whatever the model."""
    values = iter(figures)
    monkeypatch.setattr(
        Trainer, "measure_held_out", lambda trainer, model: {"nll": zoo.Measurement(next(values), 1)}
    )  # fmt: skip


JUDGED: dict[str, Any] = {"validation": 0.2, "validate_every": 1, "checkpoint_every": 1}


@pytest.mark.parametrize(("goal", "best"), [("min", 3), ("max", 4)])
def test_the_best_weights_are_kept(
    goal: str, best: int, device: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged(monkeypatch, [5.0, 4.0, 2.0, 7.0, 3.0, 2.0])
    monkeypatch.setattr(checkpoint, "KEPT", 99)
    run = zoo.train(spec_of(device, **JUDGED, best={"metric": "nll", "goal": goal}), runs=tmp_path)
    model, _, header = open_share(run.model)
    assert header.meta["step"] == best
    state = checkpoint.load(run.directory / CHECKPOINTS, best)["model"]
    assert all(torch.equal(state[name], value) for name, value in model.state_dict().items())
    assert header.meta["metrics"]["figures"].keys() == {"nll"}


def test_training_stops_when_patience_is_over(device: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    judged(monkeypatch, [5.0, 4.0, 4.5, 4.1, 3.0, 3.0])
    run = zoo.train(spec_of(device, **JUDGED, best={"metric": "nll"}, patience=2), runs=tmp_path)
    assert run.steps == 4
    assert run.split == "test"
    assert open_share(run.model)[2].meta["step"] == 2
    assert checkpoint.steps(run.directory / CHECKPOINTS)[-1] == 4
    assert zoo.resume(run.directory).steps == 4


# -- what starts from data, and what is averaged over batches ----------------------------------------------------------


def counted(monkeypatch: pytest.MonkeyPatch, trainer: Callable[[], Any]) -> int:
    """How often an activation normalisation starts from data meanwhile."""
    cls = zoo.declare(zoo.Bijection, "act_norm").cls
    calls: list[None] = []
    start = cls.initialize

    def counting(self: Any, *given: Any) -> None:
        calls.append(None)
        start(self, *given)

    monkeypatch.setattr(cls, "initialize", counting)
    trainer()
    monkeypatch.setattr(cls, "initialize", start)
    return len(calls)


def test_data_starts_a_model_once(device: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = spec_of(device, ["act_norm", COUPLING], ema=0.9)
    runs: list[zoo.Run] = []
    assert counted(monkeypatch, lambda: runs.append(zoo.train(spec, runs=tmp_path, steps=2))) == 1
    assert counted(monkeypatch, lambda: zoo.resume(runs[0].directory)) == 0
    assert counted(monkeypatch, lambda: zoo.load(runs[0].model)) == 0
    further = spec.model_copy(update={"init_from": str(runs[0].model)})
    assert counted(monkeypatch, lambda: zoo.train(further, runs=tmp_path)) == 0


def test_first_batch_comes_out_standardised(device: str, tmp_path: Path) -> None:
    spec = spec_of(device, ["act_norm"], ema=0.9, batch=300)
    trainer = trainer_of(spec, tmp_path)
    for model in (trainer.model, trainer.evaluated()):
        z, _ = model.transforms(trainer.data.turn(0)["point"])  # type: ignore[operator]
        assert torch.allclose(z.mean(0), torch.zeros(2, device=device), atol=1e-5)
        assert torch.allclose(z.std(0, correction=0), torch.ones(2, device=device), atol=1e-4)


def test_share_file_starts_a_model(device: str, tmp_path: Path) -> None:
    first = zoo.train(spec_of(device, ["act_norm", COUPLING]), runs=tmp_path, steps=2)
    again = spec_of(device, ["act_norm", COUPLING], seed=9).model_copy(update={"init_from": str(first.model)})
    trainer = trainer_of(again, tmp_path)
    ours = trainer.model.state_dict()
    assert all(torch.equal(ours[name].cpu(), value) for name, value in zoo.load(first.model).state_dict().items())
    run = zoo.train(again, runs=tmp_path, steps=1)
    assert open_share(run.model)[2].meta["parent"] == open_share(first.model)[2].meta["digest"]


def test_running_statistics_are_those_of_the_evaluated_weights(device: str, tmp_path: Path) -> None:
    slow = {"type": "batch_norm", "momentum": 0.01}
    optimizer = {"type": "adam", "lr": 0.05}
    spec = spec_of(device, [COUPLING, slow, COUPLING, slow], optimizer=optimizer, ema=0.9, steps=40, batch=150)
    trainer = trainer_of(spec, tmp_path)
    for _ in range(40):
        trainer.one_step()
    evaluated = trainer.evaluated()
    stale = copy.deepcopy(evaluated)
    for mine, live in zip(stale.buffers(), trainer.model.buffers(), strict=True):
        mine.copy_(live)
    x = {"point": torch.cat([trainer.data.turn(t)["point"] for t in range(2)])}
    clock = trainer.clocks["model"]
    with torch.no_grad():
        calibrated, uncalibrated = (float(m(x, clock).loss) for m in (evaluated, stale))
        by_batch = float(copy.deepcopy(evaluated).train()(x, clock).loss)
    assert abs(calibrated - by_batch) < 0.02
    assert abs(uncalibrated - by_batch) > 0.2


# -- engine ------------------------------------------------------------------------------------------------------------


def test_autocast_computes_in_bf16_and_keeps_terms_in_float32(device: str, tmp_path: Path) -> None:
    spec = spec_of(device, engine={"precision": "bf16"})
    trainer = trainer_of(spec, tmp_path)
    seen: set[torch.dtype] = set()
    for module in trainer.model.modules():
        if isinstance(module, torch.nn.Linear):
            module.register_forward_hook(lambda layer, args, out: seen.add(out.dtype))
    terms = trainer.runtime.forward(trainer.data.turn(0), trainer.clocks["model"])
    assert seen == {torch.bfloat16}
    assert {terms.loss.dtype, *(value.dtype for value in terms.logs.values())} == {torch.float32}
    assert {p.dtype for p in trainer.model.parameters()} == {torch.float32}
    exact = losses(spec_of(device), tmp_path)
    assert losses(spec, tmp_path) == pytest.approx(exact, abs=0.05)


@pytest.mark.parametrize(
    ("device", "listed", "capability", "chosen"),
    [
        ("cpu", {"avx512_bf16": True}, None, "bf16"),
        ("cpu", {"amx_bf16": True, "avx512_bf16": False}, None, "bf16"),
        ("cpu", {"avx512_f": True, "avx512_bf16": False}, None, "fp32"),
        ("cuda", {"avx512_bf16": True}, (7, 5), "fp32"),
        ("cuda", {}, (8, 0), "bf16"),
        ("mps", {"avx512_bf16": True}, None, "fp32"),
    ],
)
def test_the_precision_is_bf16_where_the_device_has_it(
    device: str, listed: dict[str, bool], capability: Any, chosen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: listed, raising=False)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    assert find_precision("auto", torch.device(device)) == chosen
    assert find_precision("fp32", torch.device(device)) == "fp32"
    assert find_precision("bf16", torch.device(device)) == "bf16"


def test_a_torch_that_lists_no_instructions_computes_in_fp32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert find_precision("auto", torch.device("cpu")) == "fp32"


def test_a_run_repeats_the_precision_that_it_chose(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True}, raising=False)
    spec = spec_of("cpu", engine={"precision": "auto"})
    begun = zoo.train(spec, runs=tmp_path, steps=1)
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict, raising=False)
    zoo.resume(begun.directory)
    again = zoo.train(spec, runs=tmp_path, steps=1)
    chosen = [json.loads((run.directory / RUN).read_text())["choices"]["precision"] for run in (begun, again)]
    assert chosen == ["bf16", "fp32"]


def test_compiled_training_gives_the_same_losses(device: str, tmp_path: Path) -> None:
    if not can_compile(torch.device(device)):
        pytest.skip("there is no compiler here")
    eager = losses(spec_of(device, steps=3), tmp_path)
    compiled = losses(spec_of(device, steps=3, engine={"compile": "on"}), tmp_path)
    assert compiled == pytest.approx(eager, abs=1e-4)


def test_kept_memory_changes_no_number(device: str, tmp_path: Path) -> None:
    with_it, without = (losses(spec_of(device, engine={"keep_freed_memory": kept}), tmp_path) for kept in (True, False))
    assert with_it == without


def test_a_run_is_scored_in_its_own_memory_format(device: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scored: list[zoo.Model] = []

    def measured(model: zoo.Model, *given: Any, **how: Any) -> Any:
        scored.append(model)
        return measure(model, *given, **how)

    monkeypatch.setattr("zoo.training.trainer.measure", measured)
    spec = load_spec("glow-cifar10", [f"engine.device={device}", "engine.compile=off", "train.steps=2"], small=True)
    zoo.train(spec, runs=tmp_path)
    weights = [p for p in scored[-1].parameters() if p.dim() == 4]
    assert weights and all(p.is_contiguous(memory_format=torch.channels_last) for p in weights)


def test_images_of_one_channel_are_channels_last_too(device: str, tmp_path: Path) -> None:
    # Strides of a single channel say nothing, and what is added to later layers would keep the other format.
    spec = load_spec("pixelcnn", small=True)
    trainer = Trainer(spec, tmp_path, Choices(device, "fp32", False, True), Silent(), Alone())
    features: list[Tensor] = []
    for module in trainer.model.modules():
        module.register_forward_hook(lambda layer, args, out: features.append(out))
    trainer.runtime.forward(trainer.data.turn(0), trainer.clocks["model"])
    wide = [x for x in features if isinstance(x, Tensor) and x.dim() == 4 and x.shape[1] > 1]
    assert len(wide) > 3 and all(x.is_contiguous(memory_format=torch.channels_last) for x in wide)


def test_rows_are_means_since_the_last(device: str, tmp_path: Path) -> None:
    each = losses(spec_of(device), tmp_path)
    pairs = losses(spec_of(device, log_every=2), tmp_path)
    assert pairs == pytest.approx([(a + b) / 2 for a, b in zip(each[::2], each[1::2], strict=True)], rel=1e-6)


def test_a_run_leaves_its_files(device: str, tmp_path: Path) -> None:
    run = zoo.train(spec_of(device, sample_every=3), runs=tmp_path, name="x")
    assert run.directory == tmp_path / "tiny" / "x"
    assert {path.name for path in (run.directory / "samples").iterdir()} == {
        "step-3.png", "step-6.png", "density-step-6.png"
    }  # fmt: skip
    assert {path.name for path in run.directory.iterdir()} == {
        "spec.yaml", "resolved.yaml", "metrics.jsonl", "samples", "checkpoints", MODEL, RUN
    }  # fmt: skip
    given, resolved = (load_spec(run.directory / name).resolved() for name in ("spec.yaml", "resolved.yaml"))
    assert given == resolved == spec_of(device, sample_every=3).resolved()
    assert json.loads((run.directory / RUN).read_text())["status"] == "finished"
    with pytest.raises(zoo.UsageError, match="already exists: resume"):
        zoo.train(spec_of(device), runs=tmp_path, name="x")
