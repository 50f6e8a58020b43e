"""One run: a loop for a single objective, several players, moving teachers and controllers."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from . import beginning, checkpoint, run
from .assembly import build
from .averaging import Averaged
from .data import Shuffled, held_out, sources
from .engine import Choices, Runtime, prepare
from .errors import Interrupted
from .evaluation import measure, protocol
from .exporting import export, export_again, open_share
from .interfaces import AfterStep, Clock, Measurement, Model, Samples
from .progress import Progress
from .randomness import reseed, seeded
from .run import MetricsLog, Run
from .sampling import draw
from .sentinel import Sentinel
from .signals import Request, stop_requests
from .spec import Spec
from .tally import Tally
from .turns import Turn


class Trainer:
    """One run: its model, what moves it, and everything that a checkpoint holds."""

    def __init__(self, spec: Spec, directory: Path, choices: Choices, progress: Progress) -> None:
        self.spec, self.directory, self.progress = spec, directory, progress
        device = torch.device(choices.device)
        prepare(spec, device)
        model = build(spec)
        self.parent = beginning.start_from(model, spec)
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
        # The model itself is told by its own hook.
        parts = [m for m in self.model.modules() if m is not self.model]
        self.actors = [m for m in parts if isinstance(m, AfterStep)]
        self.tally = Tally()
        self.now = torch.zeros((), dtype=torch.int64, device=device)
        self.clocks = {turn.player.name: Clock(self.now, spec.train.steps, turn.player.name) for turn in self.turns}
        self.step = 0
        self.best: float | None = None
        self.since_best = 0
        self._evaluated: tuple[int, Model] | None = None
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

    def initialize(self) -> None:
        """Let data-dependent parts see their input once, before step 0; the average starts after them."""
        beginning.initialize(self.runtime, self.train_source, self.spec, self.clocks.values())
        self.averaged = Averaged(self.model, self.spec.train.ema)
        self._evaluated = None

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
        if math.isfinite(value) and (self.best is None or value < self.best):
            self.best, self.since_best = value, 0
            self.publish()
        else:
            self.since_best += 1

    def measure_held_out(self) -> Mapping[str, Measurement]:
        return measure(self.evaluated(), self.spec.evaluate, self.held_source, self.spec.train.seed)

    def evaluated(self) -> Model:
        """A model with the averaged weights, in evaluation mode: made once a step, since statistics cost a pass."""
        if self._evaluated is None or self._evaluated[0] != self.step:
            with seeded(self.runtime.device, self.spec.train.seed, "recalibrate"):
                model = self.averaged.model(self.data, self.clocks[self.players[0].player.name])
            self._evaluated = self.step, model
        return self._evaluated[1]

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
        export_again(file, model, spec, header, metrics=protocol(measured, spec.evaluate, "test"))
        return measured

    def describe(self) -> str:
        """What the run is computed on, in words."""
        choices = self.runtime.choices
        compiled = "compiled" if choices.compile else "not compiled"
        count = sum(p.numel() for p in self.model.parameters())
        return f"{count:,} parameters on {choices.device}, {choices.precision}, {compiled}"

    def _emit(self, row: dict[str, Any]) -> None:
        row = {name: None if isinstance(v, float) and not math.isfinite(v) else v for name, v in row.items()}
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
