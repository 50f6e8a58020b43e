"""Players of one model: each with its own optimizer, schedule, bound, updates and average."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from run_equality import assert_same_run
from toys import toys

import zoo
from zoo.assembly import build as assembly
from zoo.assembly.parameters import trained_players
from zoo.catalogue.queries import whole_schema
from zoo.engine.distributed import Alone
from zoo.engine.runtime import Choices
from zoo.progress import Silent
from zoo.report.text_table import table_of_parts
from zoo.spec import load_spec
from zoo.training import autotune
from zoo.training.trainer import Trainer

GAN: dict[str, Any] = {
    "name": "gan",
    "data": {"type": "toy2d", "figure": "eight_gaussians", "size": 40, "test_size": 8},
    "model": {
        "type": "toys.gan",
        "generator": {"type": "mlp", "width": 4},
        "discriminator": {"type": "mlp", "width": 4},
        "updates": 2,
    },
    "train": {
        "steps": 8,
        "batch": 4,
        "optimizer": {"type": "adam", "lr": 0.01, "betas": [0.5, 0.9]},
        "schedule": "cosine",
        "log_every": 1,
        "checkpoint_every": None,
    },
    "engine": {"compile": "off", "device": "cpu"},
}
OWN = {"optimizer": {"type": "sgd", "lr": 0.5}, "schedule": "constant", "clip": 1e-3, "updates": 1, "every": 2}


@pytest.fixture(scope="module", autouse=True)
def _installed() -> Iterator[None]:
    with toys():
        yield


def spec_of(**train: Any) -> zoo.Spec:
    return load_spec(GAN | {"train": GAN["train"] | train})


def trainer_of(spec: zoo.Spec, home: Path) -> Trainer:
    return Trainer(spec, home, Choices("cpu", "fp32", False, False), Silent(), Alone())


def rows(run: zoo.Run) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run.directory / "metrics.jsonl").read_text().splitlines()]


def test_what_is_not_said_is_inherited() -> None:
    spec = spec_of(clip=7.0, players={"discriminator": OWN, "generator": {"every": 1}})
    discriminator, generator = trained_players(assembly.build(spec), spec)
    assert (discriminator.optimizer.name, discriminator.clip) == ("sgd", 1e-3)
    assert (discriminator.player.updates, discriminator.player.every) == (1, 2)
    assert discriminator.schedule is not None
    assert discriminator.schedule.name == "constant"
    assert (generator.optimizer, generator.schedule, generator.clip) == (spec.train.optimizer, spec.train.schedule, 7.0)
    assert (generator.player.updates, generator.player.every) == (1, 1)
    plain = spec_of(players={"discriminator": {"clip": 1.0}})
    assert trained_players(assembly.build(plain), plain)[0].player.updates == 2  # as the model says


def test_each_player_moves_by_its_own_optimizer_at_its_own_steps(tmp_path: Path) -> None:
    trainer = trainer_of(spec_of(players={"discriminator": OWN}), tmp_path)
    moved = []
    for _ in range(4):
        before = {name: p.detach().clone() for name, p in trainer.model.named_parameters()}
        trainer.one_step()
        change = {name: (p.detach() - before[name]).norm() for name, p in trainer.model.named_parameters()}
        for player in ("discriminator", "generator"):
            total = sum(float(x) ** 2 for name, x in change.items() if name.startswith(player)) ** 0.5
            moved.append((player, total))
    # By plain gradient descent with rate .5 and a gradient of norm .001; nothing in odd steps.
    for step in range(4):
        assert dict(moved[2 * step : 2 * step + 2])["discriminator"] == pytest.approx(
            0.0 if step % 2 else 5e-4, rel=1e-3
        )
        assert dict(moved[2 * step : 2 * step + 2])["generator"] > 1e-3


def test_rows_have_the_rate_of_each_player(tmp_path: Path) -> None:
    run = zoo.train(spec_of(players={"generator": OWN}), runs=tmp_path, name="x")
    for row in rows(run):
        assert row["lr"] == row["discriminator.lr"] <= 0.01
        assert row["generator.lr"] == 0.5
        assert ("generator.loss" in row) == (row["step"] % 2 == 1)  # the row of step n is written after step n - 1


def test_no_batch_is_left_out_or_taken_twice(tmp_path: Path) -> None:
    spec = spec_of(accumulate=2, players={"discriminator": {"updates": 3, "every": 3}, "generator": {"every": 1}})
    trainer = trainer_of(spec, tmp_path)
    taken = []
    trainer.data.turn = lambda t: taken.append(t) or {}  # type: ignore[method-assign,func-returns-value]
    for step in range(7):
        assert trainer.batches_before(step) == len(taken)
        for index, _ in trainer.turns_of(step):
            assert len(list(trainer.batches(index, step))) == 2
    assert taken == list(range(2 * (3 * 3 + 7)))


@pytest.mark.parametrize("stop", [3, 4])
def test_resumes_to_the_same_bits(stop: int, tmp_path: Path) -> None:
    spec = spec_of(players={"discriminator": OWN}, ema={"decay": 0.9, "players": ["generator"]})
    whole = zoo.train(spec, runs=tmp_path, name="whole")
    half = zoo.train(spec, runs=tmp_path, name="half", steps=stop)
    assert_same_run(zoo.resume(half.directory).directory, whole.directory)


def test_a_run_does_not_go_on_with_other_players(tmp_path: Path) -> None:
    run = zoo.train(spec_of(players={"discriminator": OWN}), runs=tmp_path, name="x", steps=2)
    file = run.directory / "resolved.yaml"
    file.write_text(file.read_text().replace("every: 2", "every: 3"))
    with pytest.raises(zoo.UsageError, match=r"train\.players\.discriminator\.every  was 2 .* and is 3 now"):
        zoo.resume(run.directory)


def test_only_the_chosen_players_are_averaged(tmp_path: Path) -> None:
    trainer = trainer_of(spec_of(ema={"decay": 0.9, "players": ["generator"]}), tmp_path)
    generator = dict(trainer.model.named_parameters(prefix=""))
    theirs = [name for name in generator if name.startswith("generator.")]
    assert trainer.averaged.names == theirs
    assert len(trainer.averaged.weights) == len(theirs)
    for _ in range(3):
        trainer.one_step()
    evaluated = dict(trainer.evaluated().named_parameters())
    for name, live in trainer.model.named_parameters():
        assert torch.equal(evaluated[name], live) == name.startswith("discriminator.")


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "a player that is not there": (
        {"players": {"discriminater": {"clip": 1.0}}},
        r"train\.players\.discriminater  model 'toys.gan' has no player 'discriminater'; did you mean "
        r"'discriminator'\?; its players are discriminator and generator",
    ),
    "an average of a player that is not there": (
        {"ema": {"decay": 0.9, "players": ["generator", "critic"]}},
        r"train\.ema\.players\[1\]  model 'toys.gan' has no player 'critic'.* discriminator, generator",
    ),
    "a group of another player's": (
        {"players": {"generator": {"optimizer": {"type": "sgd", "lr": 1.0, "groups": [{"match": "discriminator.*"}]}}}},
        r"train\.players\.generator\.optimizer\.groups\[0\]  no parameter name of player 'generator' "
        r"matches 'discriminator\.\*'",
    ),
    "nobody's step": (
        {"players": {"generator": {"every": 2}, "discriminator": {"every": 3}}},
        r"train\.players  no player is trained in step 1 \('discriminator' every 3, 'generator' every 2\)",
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_mistakes_are_found_when_the_spec_is_checked(what: str) -> None:
    train, message = WRONG[what]
    with pytest.raises(zoo.SpecError, match=message):
        assembly.check(spec_of(**train))


def test_mistakes_name_their_line(tmp_path: Path) -> None:
    file = tmp_path / "gan.yaml"
    text = json.dumps(GAN | {"train": GAN["train"] | {"players": "PLAYERS"}})
    file.write_text(text.replace('"PLAYERS"', '{\n  "critic": {"clip": 1.0}}'))
    with pytest.raises(zoo.SpecError, match=r"gan\.yaml:2:13  train\.players\.critic"):
        assembly.check(load_spec(file))
    file.write_text(text.replace('"PLAYERS"', '{\n  "generator": {"optimiser": "adam"}}'))
    with pytest.raises(zoo.SpecError, match=r"gan\.yaml:2:17  train\.players\.generator\.optimiser .* 'optimizer'"):
        load_spec(file)


def test_build_shows_how_each_player_is_trained() -> None:
    summary = assembly.check(spec_of(players={"discriminator": OWN}, ema={"decay": 0.9, "players": ["generator"]}))
    discriminator, generator = summary.players
    assert (discriminator.optimizer, discriminator.every, generator.optimizer) == ("sgd", 2, "adam")
    assert discriminator.parameters + generator.parameters == summary.parameters == summary.trained
    assert "discriminator  sgd" in table_of_parts(summary)
    everybody, nobody = (assembly.check(spec_of(ema=ema)).training_bytes for ema in (0.9, None))
    assert nobody < summary.training_bytes < everybody


def test_a_step_is_timed_with_all_players(monkeypatch: pytest.MonkeyPatch) -> None:
    timed = []
    seconds = {"discriminator": 3.0, "generator": 8.0}

    def time(runtime: Any, batch: Any, clock: zoo.Clock, say: Any) -> float:
        timed.append([name for name, p in runtime.model.named_parameters() if p.requires_grad])
        return seconds[clock.player]

    monkeypatch.setattr(autotune, "_seconds_per_turn", time)
    spec = spec_of(accumulate=2, players={"generator": {"every": 4}})
    took = autotune._seconds_per_step(spec, Choices("cpu", "fp32", False, False), lambda text: None)
    assert took == 2 * (2 * 3.0 + 8.0 / 4)
    assert [{name.partition(".")[0] for name in names} for names in timed] == [{"discriminator"}, {"generator"}]


def test_the_json_schema_knows_players() -> None:
    schema = whole_schema()
    record = schema["$defs"]["record.PlayerTraining"]
    assert set(record["properties"]) == {"optimizer", "schedule", "clip", "updates", "every"}
    # In a spec that extends another an optimizer may be changed without its type.
    changed = json.dumps(schema["then"]["properties"]["train"])
    assert "changed.record.Train" in changed
    inherited = schema["$defs"]["changed.record.Train"]["properties"]["players"]
    assert inherited["additionalProperties"]["$ref"].endswith("changed.record.PlayerTraining")
