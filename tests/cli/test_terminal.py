"""What a person sees while zoo computes: where there is no room for all of it, figures give way first."""

from __future__ import annotations

import io
import re
import sys
from pathlib import Path

import pytest
import torch
from rich.console import Console
from toy_table import TOY

import zoo
from zoo.cli import terminal
from zoo.cli.terminal import Bar, Lines, Meter, Pace, following
from zoo.inference.evaluate import measure
from zoo.inference.sample import sample
from zoo.progress import Progress, Silent, activity, advanced, counted, doing, listening


class Time:
    """A clock that a test winds."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Time:
    time = Time()
    monkeypatch.setattr(terminal, "time", time)
    return time


def shown(width: int, clock: Time, name: str = "realnvp-2d") -> str:
    """The last line of a bar that has heard of training, of a validation and of both their figures."""
    written = io.StringIO()
    bar = Bar(Console(file=written, width=width, force_terminal=True, color_system=None))
    bar.start(name, Path("runs/x"), 0, 2000, "cpu")
    for step in range(100, 1001, 100):
        clock.now += 10
        bar.step(step)
    bar.row({"step": 1000, "split": "train", "nll": 1.2345, "lr": 0.1})
    bar.row({"step": 1000, "split": "validation", "nll": 1.3456})
    bar.done()
    lines = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "\n", written.getvalue()).split("\n")
    return [line.strip("\r") for line in lines if "/2000" in line][-1]


@pytest.mark.parametrize("width", [60, 70, 80, 100, 120, 200])
@pytest.mark.parametrize("name", ["realnvp-2d", "a-model-of-an-uncommonly-long-name"])
def test_step_total_rate_and_time_left_are_always_there(width: int, name: str, clock: Time) -> None:
    line = shown(width, clock, name)
    assert len(line) <= width
    for part in ("1000/2000", "10.0 steps/s", "1:40 left", name[:10]):
        assert part in line
    assert ("validation nll 1.3456" in line) == (width >= (80 if name == "realnvp-2d" else 100))
    assert ("train nll 1.2345" in line) == (width >= (100 if name == "realnvp-2d" else 120))


def test_the_pace_is_that_of_late(clock: Time) -> None:
    pace = Pace(0)
    assert (str(pace), pace.left(100)) == ("", "? left")
    for step in range(1, 101):
        clock.now += 1
        pace.reached(step)
    assert str(pace) == "1.0 steps/s"
    for step in range(110, 1_110, 10):  # ten times as fast: the first hundred seconds are forgotten
        clock.now += 1
        pace.reached(step)
    assert pace.rate == pytest.approx(10.0, rel=0.05)
    clock.now += 1000
    pace.reached(1_100)  # nothing new: a pause for validation is no pace
    assert pace.rate == pytest.approx(10.0, rel=0.05)


def test_lines_say_how_long_it_takes_at_the_pace_of_late(clock: Time, capsys: pytest.CaptureFixture[str]) -> None:
    lines = Lines()
    lines.start("flow", Path("runs/x"), 0, 100, "cpu")
    clock.now += 10
    lines.step(50)
    lines.row({"step": 50, "split": "validation", "nll": 2.0})
    assert capsys.readouterr().err.splitlines()[-1] == "step 50/100  validation  nll 2.0000  5.0 steps/s  0:10 left"


@pytest.mark.parametrize("live", [True, False])
def test_a_meter_says_what_and_how_far(live: bool, clock: Time, capsys: pytest.CaptureFixture[str]) -> None:
    meter = Meter(live)
    with listening(meter), doing("scoring nll"):
        for _ in counted(range(4), 4):
            clock.now += 20
    said = capsys.readouterr().err
    assert "scoring nll: 50 %  0:40 left" in said
    assert said.count("\n") == (0 if live else 4)
    assert said.endswith("\r" if live else "left\n")


def test_what_is_short_leaves_no_line(clock: Time, capsys: pytest.CaptureFixture[str]) -> None:
    meter = Meter(live=False)
    clock.now += 60
    with listening(meter), doing("scoring nll"):
        for _ in counted(range(4), 4):
            clock.now += 1
    assert capsys.readouterr().err == ""


def test_after_the_steps_the_bar_says_what_is_scored(clock: Time, capsys: pytest.CaptureFixture[str]) -> None:
    bar = Bar(Console(file=io.StringIO(), width=80, force_terminal=True))
    bar.start("flow", Path("runs/x"), 0, 10, "cpu")
    with listening(bar.advanced), doing("scoring nll"):
        clock.now += 1
        advanced(1, 4)
        assert bar._bar.tasks[0].description == "scoring nll 25 %"
        bar.done()
        assert bar._bar.tasks[0].description == "flow"
        clock.now += 1
        advanced(1, 2)
    assert "scoring nll: 50 %" in capsys.readouterr().err


def test_a_loop_within_a_loop_is_part_of_it() -> None:
    heard: list[float] = []
    with listening(lambda done, of: heard.append(done / of)):
        for _ in counted(range(3), 3):
            for _ in counted(range(2), 2):
                advanced(1, 2)
        for _ in counted(range(3), 3):
            break
        advanced(1, 2)
    assert heard[:-2] == sorted(heard[:-2]) and heard[-3:] == [1.0, 0.0, 0.5]
    assert list(counted("ab", 2)) == ["a", "b"], "whether somebody listens or not"


class Hears(Silent):
    """Listens to what takes long, and to when training ends."""

    def __init__(self) -> None:
        self.said: list[tuple[str, float]] = []

    def advanced(self, done: int, of: int) -> None:
        self.said.append((activity(), done / of))

    def done(self) -> None:
        self.said.append(("done", 1.0))


def test_a_loop_of_one_turn_within_another_and_one_of_none_report_nothing() -> None:
    heard: list[tuple[int, int]] = []
    with listening(lambda done, of: heard.append((done, of))):
        assert list(counted("ab", 2)) == ["a", "b"]
        alone = heard.copy()
        heard.clear()
        assert [list(counted("c", 1)) for _ in counted("ab", 2)] == [["c"], ["c"]]
        assert heard == alone == [(0, 2), (1, 2), (2, 2)]
        heard.clear()
        assert list(counted((), 0)) == [] and heard == []
        assert list(counted("c", 1)) == ["c"] and heard == [(0, 1), (1, 1)]


def test_everything_that_takes_long_is_heard(tmp_path: Path) -> None:
    """The validation, the statistics, the file, and what is scored after the last step."""
    (tmp_path / "rows.csv").write_text("a,b\n" + "1,2\n3,5\n2,2\n4,1\n" * 50)
    text = TOY.replace("rows.csv", str(tmp_path / "rows.csv")).replace("act_norm", "act_norm, batch_norm")
    text = text.replace("steps: 1, batch: 2", "steps: 2, batch: 20, validation: 0.1, validate_every: 1")
    (tmp_path / "toy.yaml").write_text(text)
    progress = Hears()
    zoo.train(tmp_path / "toy.yaml", runs=tmp_path / "runs", progress=progress)
    names = list(dict.fromkeys(name for name, _ in progress.said))
    assert {"statistics", "scoring nll", "writing model.safetensors", "reading model.safetensors"} <= set(names)
    after = progress.said[progress.said.index(("done", 1.0)) + 1 :]
    assert ("scoring nll", 1.0) in after
    assert isinstance(progress, Progress)


def test_draws_and_scores_in_many_batches_are_heard() -> None:
    spec = zoo.load_spec("realnvp-2d", ["data.test_size=1200"], small=True)
    model, heard = zoo.build(spec).eval(), Hears()
    with listening(heard.advanced):
        sample(model, 2500, temperature=1.0, seed=0)
    parts = [round(part, 2) for _, part in heard.said]
    # Of three batches, and within each of the layers.
    assert parts == sorted(parts) and {0.0, 0.33, 0.67, 1.0} < set(parts)
    from zoo.data.batches import held_out

    with listening(heard.advanced):
        measure(model, spec.evaluate.metrics, held_out(spec.data(), torch.device("cpu")), 0)
    assert heard.said[-3:] == [("scoring nll", 1 / 3), ("scoring nll", 2 / 3), ("scoring nll", 1.0)]


def test_every_command_is_followed(monkeypatch: pytest.MonkeyPatch, clock: Time) -> None:
    written = io.StringIO()
    monkeypatch.setattr(sys, "stderr", written)
    with following(), doing("encoding"):
        for _ in counted(range(4), 4):
            clock.now += 60
    assert written.getvalue().splitlines()[0] == "encoding: 25 %  3:00 left"
