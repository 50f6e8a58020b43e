"""What a checkpoint holds is data: whatever stands under its keys, a resume goes on from it or says what is wrong."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import suppress
from copy import deepcopy
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch
from interrupted_runs import start, where
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

import zoo
from zoo.cli.app import app
from zoo.engine.distributed import joined
from zoo.progress import Silent
from zoo.run import checkpoint
from zoo.run import directory as run
from zoo.training.player_step import Turn
from zoo.training.provenance import require_same
from zoo.training.trainer import Trainer

STEP = 6


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was stopped at step 6."""
    return start(tmp_path_factory.mktemp("sound"), steps=STEP)


@pytest.fixture(scope="module")
def trainer(sound: Path) -> Iterator[Trainer]:
    choices = run.choices_of(sound)
    assert choices is not None
    with joined() as processes:
        yield Trainer(run.spec_of(sound), sound, choices, Silent(), processes)


@pytest.fixture
def state(sound: Path) -> Iterator[Path]:
    """The state's file, which is mended after the test."""
    file = sound / "checkpoints" / f"step-{STEP}" / checkpoint.STATE
    whole = file.read_bytes()
    yield file
    file.write_bytes(whole)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every value of a packed state, and of every key."""
    yield path
    if isinstance(value, dict | list) and "$tensor" not in value and not (isinstance(value, list) and "spec" in value):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield from places(value[key], (*path, key))


def replaced(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    value = deepcopy(value)
    holder = value
    for key in path[:-1]:
        holder = holder[key]
    if new is ...:
        del holder[path[-1]]
    else:
        holder[path[-1]] = new
    return value


def nested(depth: int) -> Any:
    value: Any = 0
    for _ in range(depth):
        value = [value]
    return value


WRONG: list[Any] = [
    ..., None, True, "text", -1, 0.5, 10**30, float("inf"), float("nan"), [], [[]], {}, {"$items": []}, {"$items": 1},
    {"$items": [[[], 1]]}, {"$tensor": "unknown"}, {"$tensor": []}, nested(300),
]  # fmt: skip


def test_no_value_under_any_key_is_a_traceback(trainer: Trainer, state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is taken is a state of the same form: a number for a number, nothing where there may be nothing."""
    whole, tensors = json.loads(state.read_text()), load_file(state.parent / checkpoint.TENSORS)
    trainer.go_on_from(STEP)
    monkeypatch.setattr(checkpoint, "load_file", lambda path: tensors)
    forms = {id(turn): turn.filled() for turn in trainer.players}
    monkeypatch.setattr(Turn, "filled", lambda turn: forms[id(turn)])
    taken = set()
    for path, new in product(list(places(whole)), WRONG):
        if path or new is not ...:
            state.write_text(json.dumps(replaced(whole, path, new)))
            try:
                with suppress(zoo.UsageError):  # it is of another spec or other data, says the record
                    require_same(trainer.directory, STEP, trainer.spec, lambda: "data", lambda text: None)
                trainer.go_on_from(STEP)
            except zoo.DamagedFile as error:
                assert str(state.parent) in str(error)
            else:
                taken.add((_named(whole, path), repr(new)))
                trainer.one_step()
    assert {name for name, _ in taken if not name.startswith("made_of")} <= MAY_VARY
    numbers = {
        new for name, new in taken if name.startswith("optimizers.model.param_groups.") and name[-6:] != "params"
    }
    assert numbers <= {"0.5", str(10**30), "True", "None"}  # the last two where they stand there already


MAY_VARY = {
    "", "key", "due",  # checkpoints from before there were these have none
    "best", "best_step", "tally.counts", "tally.sums", "optimizers.model.state", "optimizers.model.state.key",
    "optimizers.model.param_groups",
} | {f"optimizers.model.param_groups.{name}" for name in (
    "betas", "eps", "foreach", "fused", "initial_lr", "lr", "params", "weight_decay"
)}  # fmt: skip


def _named(whole: Any, path: tuple[Any, ...]) -> str:
    """The keys of the state on the way to a place."""
    words, value = [], whole
    for key in path:
        if isinstance(value, list) and isinstance(key, int) and len(value) == 2 and isinstance(value[0], str | int):
            words += [str(value[0])] if key == 1 else ["key"]
        value = value[key]
    return ".".join(words)


TAMPERED: dict[str, Any] = {
    "deep": ((), nested(10_000), "nested too deeply"),
    "a list": ((), [], "has an invalid state"),
    "step": (("$items", 0, 1), -1, "'step' is -1, expected 6"),
    "a text for a number": (("$items", 0, 1), "6", "'step' is '6', expected 6"),
    "no step": (("$items", 0), ..., "'step' is 'nothing'"),
    "no tensor of this name": (("$items", 1, 1, "$items", 0, 1), {"$tensor": "x"}, "KeyError: 'x'"),
}


@pytest.mark.parametrize("what", TAMPERED)
def test_a_sealed_state_that_is_none_is_refused_with_its_file(what: str, sound: Path, tmp_path: Path) -> None:
    shutil.copytree(sound, where(tmp_path))
    home = where(tmp_path) / "checkpoints" / f"step-{STEP}"
    path, new, said = TAMPERED[what]
    changed = replaced(json.loads((home / checkpoint.STATE).read_text()), path, new)
    text = json.dumps(changed) if what != "deep" else "[" * 10_000 + "]" * 10_000
    (home / checkpoint.STATE).write_text(text)
    resealed(home)
    result = CliRunner().invoke(app, ["train", "--resume", str(where(tmp_path))])
    assert result.exit_code == 5, result.output
    assert f"{home}: " in result.stderr
    assert said in result.stderr


@pytest.mark.parametrize("change", [torch.Tensor.double, torch.Tensor.flatten, lambda x: torch.cat((x, x), -1)])
def test_a_tensor_of_another_form_is_refused(change: Any, sound: Path, tmp_path: Path) -> None:
    shutil.copytree(sound, where(tmp_path))
    home = where(tmp_path) / "checkpoints" / f"step-{STEP}"
    tensors = load_file(home / checkpoint.TENSORS)
    for name in tensors:
        if tensors[name].dim() < 2 and change is not torch.Tensor.double:
            continue
        save_file(tensors | {name: change(tensors[name]).contiguous()}, home / checkpoint.TENSORS)
        resealed(home)
        with pytest.raises(zoo.DamagedFile, match="expected a tensor"):
            zoo.resume(where(tmp_path))


def resealed(home: Path) -> None:
    (home / checkpoint.MANIFEST).unlink()
    checkpoint.seal(home)
