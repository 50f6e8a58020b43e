"""Whatever ends a run: what was done is saved, the message says where and up to which step, and it goes on."""

from __future__ import annotations

import json
import logging
import shutil
import signal
import warnings
from pathlib import Path
from typing import Any

import pytest
from run_equality import assert_same_run
from small_runs import FLOW, flow
from torch import Tensor

import zoo
from zoo.engine import signals
from zoo.engine.signals import Abandoned, Request, stop_requests
from zoo.errors import Interrupted, NeverFinite
from zoo.progress import Silent
from zoo.run import checkpoint, record
from zoo.run import directory as run
from zoo.training.trainer import Trainer

NAME = str(FLOW["name"])


@pytest.fixture(scope="module")
def whole(device: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The undisturbed run."""
    return zoo.train(flow(device), runs=tmp_path_factory.mktemp("runs"), name="whole").directory


def saved(directory: Path) -> int:
    return checkpoint.steps(directory / run.CHECKPOINTS)[-1]


def status(directory: Path) -> str:
    return str(json.loads((directory / record.RUN).read_text())["status"])


# -- errors ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("duty", ["measure_held_out", "draw", "evaluated"])
@pytest.mark.parametrize("error", [zoo.DataError("torn.png: the image is damaged"), RuntimeError("a bug")])
def test_what_fails_after_a_step_loses_no_step(
    duty: str, error: Exception, whole: Path, device: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fourth step's validation and picture; neither is between two checkpoints."""
    work = getattr(Trainer, duty)

    def failing(trainer: Trainer, *given: Any) -> Any:
        if trainer.step == 4:
            raise type(error)(*error.args)
        return work(trainer, *given)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, duty, failing)
        with pytest.raises(type(error)) as raised:
            zoo.train(flow(device), runs=tmp_path, name="x")
    directory = tmp_path / NAME / "x"
    said = " ".join([str(raised.value), *getattr(raised.value, "__notes__", [])])
    assert f"{error.args[0]}" in said
    assert f"stopped at step 4 and is saved up to step 4; resume with: zoo train --resume {directory}" in said
    assert status(directory) == "failed"
    assert_same_run(zoo.resume(directory).directory, whole)


class Torn(zoo.Examples):
    """Points that are read from a disk, which loses one of them at a step."""

    def __init__(self, of: zoo.Examples) -> None:
        self.of = of
        self.reads = 0
        self.bad: int | None = None

    def __len__(self) -> int:
        return len(self.of)

    def read(self, indices: Tensor) -> dict[str, Tensor]:
        self.reads += 1
        if self.reads == self.bad:
            raise zoo.DataError("torn.png: the image is damaged")
        return self.of.read(indices)

    def fingerprint(self) -> str:
        return self.of.fingerprint()


@pytest.mark.parametrize("accumulate", [1, 2])
def test_what_cannot_be_read_loses_no_step(
    accumulate: int, device: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = flow(device, accumulate=accumulate, validate_every=None, best=None, sample_every=None, checkpoint_every=None)
    cls = spec.data.cls
    split, bad = cls.split, [None]
    monkeypatch.setattr(cls, "split", lambda data, name: spoiled(Torn(split(data, name)), bad[0]))

    def spoiled(examples: Torn, bad: int | None) -> Torn:
        examples.bad = bad
        return examples

    undisturbed = zoo.train(spec, runs=tmp_path, name="whole").directory
    bad[0] = 4 + 5 * accumulate  # type: ignore[call-overload]
    with pytest.raises(zoo.DataError, match=r"torn.png.* is saved up to step") as raised:
        zoo.train(spec, runs=tmp_path, name="x")
    directory = tmp_path / NAME / "x"
    assert 0 < saved(directory) < 8
    assert f"stopped at step {saved(directory)} and" in str(raised.value)
    bad[0] = None
    assert_same_run(zoo.resume(directory).directory, undisturbed)


@pytest.mark.parametrize("what", ["moved", "removed"])
def test_a_run_that_goes_away_begins_no_other_in_its_place(what: str, device: str, tmp_path: Path) -> None:
    directory, away = tmp_path / NAME / "x", tmp_path / "away"

    class Going(Silent):
        def step(self, step: int) -> None:
            if step == 5:
                if what == "moved":
                    directory.rename(away)
                while directory.exists():  # a checkpoint may be written into it meanwhile
                    shutil.rmtree(directory, ignore_errors=True)

    with pytest.raises(
        zoo.ZooError, match=r"was moved or removed .* noticed at step 6; its checkpoint of step 4 was lost"
    ) as raised:
        zoo.train(flow(device), runs=tmp_path, name="x", progress=Going())
    assert raised.value.exit_code == 1
    assert not directory.exists()
    if what == "moved":
        assert zoo.resume(away).steps == 8


# -- validations that give nothing -------------------------------------------------------------------------------------


def test_patience_without_any_finite_figure_has_not_finished(
    device: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nan = {"nll": zoo.Measurement(float("nan"), 1)}
    monkeypatch.setattr(Trainer, "measure_held_out", lambda trainer, model: nan)
    with pytest.raises(NeverFinite, match="none of 2 validations up to step 4 gave a finite 'nll'") as raised:
        zoo.train(flow(device, patience=2), runs=tmp_path, name="x")
    assert raised.value.exit_code == 3
    assert status(tmp_path / NAME / "x") == "failed"


def test_a_figure_that_is_not_finite_is_told(device: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing is patient, the last weights are the run's."""
    nan = {"nll": zoo.Measurement(float("nan"), 1)}
    monkeypatch.setattr(Trainer, "measure_held_out", lambda trainer, model: nan)
    told = Signalling(0)
    assert zoo.train(flow(device), runs=tmp_path, progress=told).steps == 8
    assert told.notes[0] == "warning: 'nll' is not finite at step 2: it is not used to choose weights"


# -- signals -----------------------------------------------------------------------------------------------------------


class Signalling(Silent):
    """Sends signals to this process after a step, and keeps what is said."""

    def __init__(self, at: int, *numbers: int) -> None:
        self.at, self.numbers = at, numbers
        self.notes: list[str] = []

    def step(self, step: int) -> None:
        if step == self.at:
            for number in self.numbers:
                signal.raise_signal(number)

    def note(self, message: str) -> None:
        if " data: " not in message:
            self.notes.append(message)


@pytest.mark.parametrize("number", signals.STOPS, ids=lambda number: number.name)
@pytest.mark.parametrize("times", [1, 2])
def test_signals_are_answered_and_save(
    times: int, number: signal.Signals, whole: Path, device: str, tmp_path: Path
) -> None:
    told = Signalling(4, *[number] * times)
    with pytest.raises(Interrupted, match="saved at step 4; resume with") as stopped:
        zoo.train(flow(device), runs=tmp_path, name="x", progress=told)
    assert stopped.value.exit_code == 128 + number
    assert told.notes[0].startswith(f"{number.name}: stopping after this step")
    assert len(told.notes) == times
    directory = tmp_path / NAME / "x"
    assert saved(directory) == 4
    assert status(directory) == "interrupted"
    zoo.load(directory / record.MODEL)
    assert_same_run(zoo.resume(directory).directory, whole)


@pytest.mark.parametrize("duty", ["measure_held_out", "draw"])
def test_a_second_signal_leaves_out_what_can_be_done_again(
    duty: str, whole: Path, device: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = getattr(Trainer, duty)

    def slow(trainer: Trainer, *given: Any) -> Any:
        if trainer.step == 4:
            signal.raise_signal(signal.SIGTERM)
            signal.raise_signal(signal.SIGTERM)
            raise AssertionError("this went on")
        return work(trainer, *given)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, duty, slow)
        with pytest.raises(Interrupted, match="saved at step 4"):
            zoo.train(flow(device), runs=tmp_path, name="x")
    assert_same_run(zoo.resume(tmp_path / NAME / "x").directory, whole)


def test_a_second_signal_in_the_first_step_ends_it(
    whole: Path, device: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As while it is compiled."""

    def compiling(trainer: Trainer) -> None:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "one_step", compiling)
        with pytest.raises(Interrupted, match="saved at step 0"):
            zoo.train(flow(device), runs=tmp_path, name="x")
    directory = tmp_path / NAME / "x"
    assert status(directory) == "interrupted"
    assert_same_run(zoo.resume(directory).directory, whole)


def test_a_third_signal_kills(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    killed: list[int] = []
    monkeypatch.setattr(signal, "raise_signal", killed.append)
    monkeypatch.setattr(signal, "signal", lambda number, handler: None)
    request = Request(said.append)
    for _ in range(2):
        request.note(signal.SIGTERM)
    assert killed == [] and len(said) == 2
    request.note(signal.SIGTERM)
    assert killed == [signal.SIGTERM]


def test_what_can_be_done_again_is_named() -> None:
    said: list[str] = []
    request = Request(said.append)
    with request.repeatable("this validation"):
        request.note(signal.SIGINT)
        with pytest.raises(Abandoned):
            request.note(signal.SIGINT)
    assert said == ["SIGINT: stopping after this step, then saving; a second signal skips this validation without "
                    "losing anything"]  # fmt: skip


def handlers() -> list[Any]:
    return [signal.getsignal(number) for number in signals.STOPS]


def test_nohup_stays_in_force_and_handlers_come_back() -> None:
    assert signal.SIGHUP in signals.STOPS
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        others = handlers()
        with stop_requests(print):
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
            assert signal.getsignal(signal.SIGTERM) not in others
        assert handlers() == others
    finally:
        signal.signal(signal.SIGHUP, before)


def test_under_a_launcher_the_first_signal_is_the_only_one() -> None:
    said: list[str] = []
    with stop_requests(said.append, once=True) as request:
        for _ in range(3):
            signal.raise_signal(signal.SIGTERM)
    assert request.signal == signal.SIGTERM
    assert len(said) == 1


# -- what is said ------------------------------------------------------------------------------------------------------


class HungUp(Signalling):
    """A terminal that is gone after a step."""

    def row(self, row: Any) -> None:
        raise OSError(5, "Input/output error")


def test_a_terminal_that_hangs_up_ends_no_run(whole: Path, device: str, tmp_path: Path) -> None:
    assert_same_run(zoo.train(flow(device), runs=tmp_path, progress=HungUp(0)).directory, whole)


def test_compiling_is_said_and_the_compiler_is_quiet(
    device: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder
) -> None:
    logger = logging.getLogger("torch._compiler_remark")
    heard: list[logging.LogRecord] = []
    monkeypatch.setattr(logger, "handle", heard.append)

    def step(trainer: Trainer) -> None:
        logger.warning("a remark")
        warnings.warn_explicit("a remark", UserWarning, "x.py", 1, module="torch._inductor.remark")
        raise KeyError("enough")

    monkeypatch.setattr(Trainer, "one_step", step)
    monkeypatch.setattr("zoo.engine.runtime.can_compile", lambda device: True)
    told = Signalling(0)
    spec = flow(device)
    compiled = spec.model_copy(update={"engine": spec.engine.model_copy(update={"compile": "on"})})
    with pytest.raises(KeyError):
        zoo.train(compiled, runs=tmp_path, progress=told)
    assert told.notes == ["compiling, about a minute: the first step takes longer than later ones"]
    assert heard == [] and not [each for each in recwarn if "a remark" in str(each.message)]
    logger.warning("a remark")
    assert len(heard) == 1
