"""The training loop: one for a single objective, several players, moving teachers and controllers."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import yaml

from . import checkpoint, run
from .assembly import build, check
from .averaging import Averaged
from .data import Shuffled, held_out, sources
from .engine import Choices, Runtime, compile_pays, find_device, prepare
from .errors import Interrupted, UsageError
from .evaluation import measure, protocol
from .exporting import export, open_share, restore
from .header import read_header
from .interfaces import AfterStep, Clock, DataDependent, Measurement, Model, Samples
from .progress import Progress, Silent
from .randomness import reseed, seeded
from .run import MetricsLog, Run
from .sampling import draw
from .sentinel import Sentinel
from .signals import Request, stop_requests
from .spec import Spec, find_spec, load_spec
from .tally import Tally
from .turns import Turn

INITIAL_EXAMPLES = 512
"""Data-dependent initialisation sees a batch, and at least this many examples where there are as many."""


def train(
    spec: Spec | str | os.PathLike[str] | Mapping[str, Any],
    *,
    text: str | None = None,
    steps: int | None = None,
    runs: str | Path = "runs",
    name: str | None = None,
    progress: Progress | None = None,
) -> Run:
    """Train a spec in a new run directory; ``steps`` stops there, while schedules keep their horizon.

    ``text`` is the spec as its author wrote it, kept beside the resolved one.

    >>> zoo.train("realnvp-2d", steps=100).metrics  # doctest: +SKIP
    {'loss': 1.31, 'nll': 1.31}
    """
    if not isinstance(spec, Spec):
        text = text or (None if isinstance(spec, Mapping) else find_spec(spec).read_text(encoding="utf-8"))
        spec = load_spec(spec)
    text = text or yaml.safe_dump(spec.resolved(), sort_keys=False)
    check(spec)
    directory = run.create(spec, text, Path(runs), name)
    return Trainer(spec, directory, _choose(spec), progress or Silent()).run(steps)


def resume(directory: str | Path, *, steps: int | None = None, progress: Progress | None = None) -> Run:
    """Go on with a run from its newest checkpoint that verifies, on what it was computed on before."""
    directory = Path(directory)
    spec = run.spec_of(directory)
    choices = run.choices_of(directory) or _choose(spec)
    find_device(choices.device)
    trainer = Trainer(spec, directory, choices, progress or Silent())
    if checkpoint.steps(directory / run.CHECKPOINTS):
        step, state, skipped = checkpoint.load_newest(directory / run.CHECKPOINTS)
        for reason in skipped:
            trainer.progress.note(f"skipped a checkpoint: {reason}")
        trainer.restore(state)
        if steps is not None and steps <= step:
            raise UsageError(f"{directory} is at step {step} already; --steps counts from the start of the run")
    return trainer.run(steps)


class Trainer:
    """One run: its model, what moves it, and everything that a checkpoint holds."""

    def __init__(self, spec: Spec, directory: Path, choices: Choices, progress: Progress) -> None:
        self.spec, self.directory, self.progress = spec, directory, progress
        device = torch.device(choices.device)
        prepare(spec, device)
        model = build(spec)
        self.parent = _start_from(model, spec)
        self.runtime = Runtime(model, spec, choices)
        self.model = self.runtime.model
        dataset = spec.data()
        self.train_source, self.held_source = sources(dataset, spec.train.validation, device)
        self.data = Shuffled(self.train_source, spec.train.batch, spec.train.seed)
        players = self.model.players()
        self.turns = [Turn(p, self.model, spec, len(players) == 1) for p in players for _ in range(p.updates)]
        by_player = {turn.player.name: turn for turn in reversed(self.turns)}
        self.turns = [by_player[turn.player.name] for turn in self.turns]
        self.players = list(reversed(by_player.values()))
        self.sentinel = Sentinel(device, [turn.optimizer for turn in self.players])
        self.averaged = Averaged(self.model, spec.train.ema)
        self.augment = [part(self.model.event).to(device) for part in spec.train.augment]
        self.actors = [m for m in self.model.modules() if isinstance(m, AfterStep)]
        self.tally = Tally()
        self.now = torch.zeros((), dtype=torch.int64, device=device)
        self.clocks = {turn.player.name: Clock(self.now, spec.train.steps, turn.player.name) for turn in self.turns}
        self.step = 0
        self.best: float | None = None
        self.since_best = 0
        self._fingerprint: str | None = None

    # -- the loop ---------------------------------------------------------------------------------------------------

    def run(self, steps: int | None) -> Run:
        """Train until ``steps``, or to the horizon, and publish the run's model."""
        settings, began, first = self.spec.train, time.monotonic(), self.step
        until = steps or settings.steps
        run.record(self.directory, self.runtime.choices, status="running", step=self.step)
        self.progress.start(self.spec.name, self.directory, self.step, until, self.describe())
        self.log = MetricsLog(self.directory, self.step)
        self.sinks = [part() for part in settings.sinks]
        for sink in self.sinks:
            sink.open(self.directory, self.step)
        if self.step == 0 and self.parent is None:
            self.initialize()
        status, figures = "failed", {}
        try:
            with stop_requests() as request:
                figures = self.loop(until, request)
            status = "finished" if self.finished() else "stopped"
        except Interrupted:
            status = "interrupted"
            raise
        finally:
            self.data.close()
            self.log.close()
            for sink in self.sinks:
                sink.close()
            self.progress.done()
            seconds = time.monotonic() - began
            run.record(
                self.directory, self.runtime.choices, status=status, step=self.step, since=first, seconds=seconds
            )
        result = Run(self.directory, self.step, seconds, figures)
        if self.finished() and self.spec.evaluate:
            scored = self.score()
            result.metrics, result.split = {name: m.value for name, m in scored.items()}, "test"
        return result

    def loop(self, until: int, request: Request) -> dict[str, float]:
        settings = self.spec.train
        figures: dict[str, float] = {}
        while self.step < until and not self.stalled():
            self.one_step()
            last = self.step == until
            self.progress.step(self.step)
            if self.step % settings.log_every == 0:
                figures = self.write_row()
            if settings.validate_every and self.step % settings.validate_every == 0:
                self.validate()
            if settings.sample_every and self.step % settings.sample_every == 0:
                self.draw_samples()
            due = settings.checkpoint_every and self.step % settings.checkpoint_every == 0
            if due or last or self.stalled() or request.signal:
                self.save()
            if request.signal:
                self.publish_if_unjudged()
                raise Interrupted(request.signal, str(self.directory), self.step)
        self.publish_if_unjudged()
        return figures or dict(self.tally.read().items())

    def one_step(self) -> None:
        """Every player's turn, then what acts once a step."""
        settings = self.spec.train
        for index, turn in enumerate(self.turns):
            t = self.step * len(self.turns) + index
            batch = self.data.turn(t)
            reseed(self.runtime.device, settings.seed, "train", t)
            for change in self.augment:
                batch = change(batch)
            clock = self.clocks[turn.player.name]
            turn.take(self.runtime, batch, clock, self.step, self.sentinel, self.tally)
        clock = self.clocks[self.turns[-1].player.name]
        for actor in self.actors:
            actor.after_step(clock)
        self.model.after_step(clock)
        self.averaged.update(self.step)
        self.step += 1
        self.now.add_(1)

    def finished(self) -> bool:
        return self.step >= self.spec.train.steps or self.stalled()

    def stalled(self) -> bool:
        """Whether validation has not improved for as long as the spec is patient."""
        return self.spec.train.patience is not None and self.since_best >= self.spec.train.patience

    # -- at intervals -----------------------------------------------------------------------------------------------

    @torch.no_grad()
    def initialize(self) -> None:
        """Let data-dependent parts see their input once, before step 0."""
        parts = [m for m in self.model.modules() if isinstance(m, DataDependent)]
        if not parts:
            return
        n = max(self.spec.train.batch, min(INITIAL_EXAMPLES, len(self.train_source)))
        batch = Shuffled(self.train_source, n, self.spec.train.seed).turn(0)
        hooks = [part.register_forward_pre_hook(_initialize) for part in parts]
        try:
            for clock in self.clocks.values():
                reseed(self.runtime.device, self.spec.train.seed, "initialize")
                self.model(self.runtime.arrange(batch), clock)
        finally:
            for hook in hooks:
                hook.remove()
        self.averaged = Averaged(self.model, self.spec.train.ema)

    def write_row(self) -> dict[str, float]:
        self.sentinel.read(self.tally.sums)
        figures = self.tally.read()
        event = self.model.event
        if event.levels is not None and "nll" in figures:
            figures["bits_per_dim"] = event.bits_per_dim(figures["nll"])
        self._emit({"step": self.step, "split": "train", **figures, "lr": self.players[0].learning_rate()})
        return figures

    def validate(self) -> None:
        """Measure the averaged weights on the held-out part, and publish them if they are the best."""
        measured = self.measure_held_out()
        figures = {name: m.value for name, m in measured.items()}
        self._emit({"step": self.step, "split": "validation", **figures})
        best = self.spec.train.best
        if best is None:
            return
        value = figures[best.metric] if best.goal == "min" else -figures[best.metric]
        if self.best is None or value < self.best:
            self.best, self.since_best = value, 0
            self.publish()
        else:
            self.since_best += 1

    def measure_held_out(self) -> Mapping[str, Measurement]:
        return measure(self.evaluated(), self.spec.evaluate, self.held_source, self.spec.train.seed)

    def evaluated(self) -> Model:
        """A model with the averaged weights, in evaluation mode."""
        with seeded(self.runtime.device, self.spec.train.seed, "recalibrate"):
            return self.averaged.model(self.data, self.clocks[self.players[0].player.name])

    def draw_samples(self) -> None:
        model = self.evaluated()
        if isinstance(model, Samples):
            path = self.directory / run.SAMPLES / f"step-{self.step}.png"
            draw(model, path, n=self.spec.sample.n, temperature=self.spec.sample.temperature, seed=self.spec.train.seed)

    def publish(self) -> None:
        """Write the averaged weights as the run's share file."""
        if self._fingerprint is None:
            self._fingerprint = self.train_source.examples.fingerprint()
        export(
            self.directory / run.MODEL,
            self.spec,
            self.evaluated(),
            step=self.step,
            data=self._fingerprint,
            parent=self.parent,
        )

    def publish_if_unjudged(self) -> None:
        """Without a judge the latest weights are the run's model."""
        if self.best is None:
            self.publish()

    def score(self) -> dict[str, Measurement]:
        """Measure what was published on the test split, and write the figures into the share file."""
        file = self.directory / run.MODEL
        model, spec, header = open_share(file)
        model = model.to(self.runtime.device)
        measured = measure(model, spec.evaluate, held_out(spec.data(), self.runtime.device), spec.train.seed)
        meta = header.meta
        export(
            file,
            spec,
            model,
            step=meta["step"],
            data=meta["data"],
            parent=meta["parent"],
            metrics=protocol(measured, spec.evaluate, "test"),
        )
        return measured

    def describe(self) -> str:
        """What the run is computed on, in words."""
        choices = self.runtime.choices
        compiled = "compiled" if choices.compile else "not compiled"
        count = sum(p.numel() for p in self.model.parameters())
        return f"{count:,} parameters on {choices.device}, {choices.precision}, {compiled}"

    def _emit(self, row: dict[str, Any]) -> None:
        self.log.write(row)
        for sink in self.sinks:
            sink.write(row)
        self.progress.row(row)

    # -- resume state -----------------------------------------------------------------------------------------------

    def save(self) -> None:
        """Write a checkpoint of all that the next step depends on."""
        self.sentinel.read(self.tally.sums)
        checkpoint.save(self.directory / run.CHECKPOINTS, self.step, self.state())

    def state(self) -> dict[str, Any]:
        return {
            "step": self.step,
            "model": self.model.state_dict(),
            "average": self.averaged.weights,
            "optimizers": {turn.player.name: turn.state() for turn in self.players},
            "tally": self.tally.state(),
            "best": self.best,
            "since_best": self.since_best,
        }

    def restore(self, state: dict[str, Any]) -> None:
        self.model.load_state_dict(state["model"])
        for mine, saved in zip(self.averaged.weights, state["average"], strict=True):
            mine.copy_(saved)
        for turn in self.players:
            turn.restore(state["optimizers"][turn.player.name])
        self.tally.restore(state["tally"], self.runtime.device)
        self.best, self.since_best, self.step = state["best"], state["since_best"], state["step"]
        self.now.fill_(self.step)


def _initialize(module: Any, args: tuple[Any, ...]) -> None:
    module.initialize(*args)


def _start_from(model: Model, spec: Spec) -> str | None:
    """Fill a model from the share file that its spec names; the file's digest."""
    if spec.init_from is None:
        return None
    path = Path(spec.init_from)
    header = read_header(path)
    restore(model, path, header)
    return str(header.meta["digest"])


def _choose(spec: Spec) -> Choices:
    """What a new run is computed on; ``compile: auto`` measures whether compiling pays."""
    device = find_device(spec.engine.device)
    engine = spec.engine
    eager = Choices(str(device), engine.precision, False, engine.channels_last)
    if engine.compile == "off":
        return eager
    compiled = Choices(str(device), engine.precision, True, engine.channels_last)
    if engine.compile == "on":
        return compiled
    return compiled if compile_pays(device, _seconds_per_step(spec, eager), spec.train.steps) else eager


def _seconds_per_step(spec: Spec, choices: Choices) -> float:
    """How long forward and backward take, on a model that is thrown away."""
    device = torch.device(choices.device)
    prepare(spec, device)
    runtime = Runtime(build(spec), spec, choices)
    batch = runtime.model.event.example(spec.train.batch, device)
    player = runtime.model.players()[0].name
    clock = Clock(torch.zeros((), dtype=torch.int64, device=device), spec.train.steps, player)
    took = []
    for _ in range(4):
        began = time.perf_counter()
        runtime.forward(batch, clock).loss.backward()  # type: ignore[no-untyped-call]
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        took.append(time.perf_counter() - began)
    return min(took[1:])
