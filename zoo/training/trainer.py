"""One run: a loop for a single objective, several players, moving teachers and controllers."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..assembly.build import build
from ..assembly.hooks import first_not_finite
from ..assembly.parameters import averaged_names, freeze, trained_players
from ..data.batches import Shuffled, Source, Splits, all_of, sources
from ..engine.distributed import Processes, launched
from ..engine.randomness import reseed, seeded
from ..engine.runtime import Choices, Runtime, place, prepare, quiet_compiler
from ..engine.signals import Abandoned, Request, stop_requests
from ..errors import DataError, Diverged, Interrupted, NeverFinite, SpecError, UsageError, ZooError, nearest
from ..inference.evaluate import measure, protocol
from ..inference.views import SHOWN
from ..interfaces import AfterStep, Batch, Clock, Measurement, Model, Scores
from ..interfaces.capabilities import training_state
from ..plot.density import density_problem
from ..progress import Progress
from ..run import checkpoint, record
from ..run import directory as run
from ..run.checkpoint_writers import Divided, Keeper, Writing
from ..run.directory import Run
from ..run.pace import Pace
from ..share.file import check_shareable, export_again, open_share
from ..spec import Spec, chosen
from . import initialization, restored_state
from .ema import Averaged, running_statistics
from .frozen import unchanged
from .nan_guard import Sentinel
from .player_step import Turn
from .provenance import KEY, made_of, parent_of
from .recorder import Journal
from .running_mean import Tally

DUTIES = ("write_row", "validate", "show")
"""What is done after some steps, in this order: methods of a trainer."""
FIRST_STEP = "it, and nothing was done before it"


class Trainer:
    """A run: its model, its optimizers, and all state of a checkpoint."""

    def __init__(
        self,
        spec: Spec,
        directory: Path,
        choices: Choices,
        progress: Progress,
        processes: Processes,
        since: int | None = None,
        splits: Splits | None = None,
        weights: initialization.Sources | None = None,
    ) -> None:
        """A run from its start, or from its checkpoint of the step ``since``, on splits that may be open already."""
        self.spec, self.directory, self.progress, self.processes = spec, directory, progress, processes
        model = build(spec)
        # Later the checkpoint has all weights, and the file that they came from may be gone.
        weights = weights or initialization.Sources(spec)
        self.parent = weights.fill(model) if since is None else parent_of(directory, since)
        self.frozen = freeze(model, spec)
        prepare(spec, torch.device(processes.device(choices.device)))
        self.runtime = Runtime(model, choices, processes)
        self.model, device = self.runtime.model, self.runtime.device
        self.splits = splits or Splits(spec.data())
        self.train_source, self.held_source = sources(self.splits["train"], spec.train.validation, device)
        self.made_of = made_of(spec, processes.once(lambda: self.splits.fingerprint), self.parent)
        check_shareable(spec, model, data=self.made_of["data"], parent=self.parent)
        self.data = Shuffled(self.train_source, spec.train.batch, spec.train.seed, processes.rank, processes.size)
        self.now = torch.zeros((), dtype=torch.int64, device=device)
        trained = trained_players(self.model, spec)
        names = [one.player.name for one in trained]
        self.clocks = {name: Clock(self.now, spec.train.steps, name) for name in names}
        if since is None and not initialization.starts_whole(self.model, spec):
            initialization.initialize(self.runtime, self.train_source, spec, self.clocks.values())
            weights.fill(self.model)
        if self.runtime.divided and (carried := training_state(model)):
            text = f"fsdp2 cannot save the training state '{next(iter(carried))}' of each process: use ddp"
            raise SpecError(spec.problem("engine.strategy", text))
        self.runtime.distribute()
        by_name: dict[str, Turn] = {}
        for one in trained:  # a player may have several places in a step
            if one.player.name not in by_name:
                by_name[one.player.name] = Turn(one, self.model, spec.train.accumulate, len(trained) == 1)
        self.players = list(by_name.values())
        self.turns = [by_name[one.player.name] for one in trained for _ in range(one.player.updates)]
        optimizers = [turn.optimizer for turn in self.players]
        self.sentinel = Sentinel(device, optimizers, processes, self.runtime.divided)
        self.keeper = self.open_keeper()
        average = spec.train.average
        averaged = averaged_names(self.model, spec)
        self.averaged = Averaged(self.model, average.decay if average else None, averaged, self.frozen, self.another)
        self.augment = [part(self.model.event).to(device) for part in spec.train.augment]
        # The model itself is notified by its own hook.
        parts = [m for m in self.model.modules() if m is not self.model]
        self.actors = [m for m in parts if isinstance(m, AfterStep)]
        self.tally = Tally()
        self.step = self.first = self.saved = 0
        self.due: list[str] = []
        self.request = Request(progress.note)
        self.best: float | None = None
        self.best_step: int | None = None
        self.since_best = 0
        self._evaluated: tuple[int, Model] | None = None
        self.pace = Pace()
        if since is not None:
            self.go_on_from(since)

    # -- the loop ---------------------------------------------------------------------------------------------------

    def run(self, steps: int | None) -> Run:
        """Train until ``steps``, or to the horizon, and publish the run's model."""
        began, self.first, until = time.monotonic(), self.step, steps or self.spec.train.steps
        if self.processes.first:
            self.journal = self.open_journal()
        status, figures = "failed", {}
        try:
            self.record(status="running", step=self.step)
            self.progress.start(self.spec.name, self.directory, self.step, until, self.describe())
            with stop_requests(self.progress.note, once=launched() is not None) as self.request, self.compiling():
                figures = self.safely(until)
            status = "finished" if self.finished() else "stopped"
        except Interrupted:
            status = "interrupted"
            raise
        finally:
            self.data.close()
            self.progress.done()
            if self.processes.first:
                self.journal.close()
            seconds = time.monotonic() - began
            # On a full disk what failed first is what a user has to hear.
            with suppress(ZooError) if status == "failed" else nullcontext():
                self.record(status=status, step=self.step, since=self.first, seconds=seconds, pace=self.pace)
        result = Run(self.directory, self.step, seconds, figures)
        if self.finished() and self.spec.evaluate.metrics:
            scored = self.processes.once(self.score)
            result.metrics, result.split = {name: m.value for name, m in scored.items()}, "test"
        return result

    def compiling(self) -> AbstractContextManager[None]:
        """Context manager that reports compilation, and silences the compiler's messages."""
        if not self.runtime.choices.compile:
            return nullcontext()
        self.progress.note("compiling, about a minute: the first step takes longer than later ones")
        return quiet_compiler()

    def safely(self, until: int) -> dict[str, float]:
        """Train until a step, and wait until the last checkpoint is on the disk: a run without it has failed."""
        try:
            figures = self.loop(until)
        except Abandoned:  # in the first step of a session, which nothing was done before
            raise Interrupted(self.request.signal or 0, str(self.directory), self.first) from None
        except Interrupted:
            self.keeper.close()
            raise
        except BaseException as error:
            with suppress(Exception):  # what comes after an error must not hide it
                self.keeper.close()
                error = self.explained(error) if type(error) is Diverged else error
            raise error from error.__cause__
        self.keeper.close()
        return figures

    def open_journal(self) -> Journal:
        """The journal of the run, which the first process writes."""
        return Journal(
            self.spec,
            self.directory,
            self.runtime.choices,
            self.progress,
            step=self.step,
            data=self.made_of["data"],
            parent=self.parent,
        )

    def record(self, **facts: Any) -> None:
        """Record facts of the run; no other process waits for the first to write them."""
        if self.processes.first:
            self.journal.record(**facts)

    def loop(self, until: int) -> dict[str, float]:
        figures: dict[str, float] = {}
        if self.due:  # a session that stopped has left it
            figures = self.attend()
            self.save_if_due(until)
        while self.step < until and not self.stalled():
            self.data_ready()
            if self.step == self.first:
                with self.request.repeatable(FIRST_STEP), unchanged(self.model, self.frozen, self.spec):
                    self.one_step()
            else:
                self.one_timed_step()
            self.due = self.due_after(self.step)
            self.progress.step(self.step)
            figures = self.attend() or figures
            self.save_if_due(until)
        self.publish_if_unjudged()
        if self.processes.first:
            self.journal.curves()
        if self.finished() and density_problem(self.model) is None:
            self.draw_density()
        return figures or self.tally.read()

    def due_after(self, step: int) -> list[str]:
        """The duties after a step."""
        train = self.spec.train
        intervals = zip(DUTIES, (train.log_every, train.validate_every, train.sample_every), strict=True)
        return [name for name, every in intervals if every and step % every == 0]

    def attend(self) -> dict[str, float]:
        """Do what is due after a step. On a stop signal or an error the step is saved first.

        What was not done is saved with it, and done when the run goes on: the bits are those of an undisturbed run.
        """
        figures: dict[str, float] = {}
        stop = self.processes.agree(self.request.signal)
        try:
            while self.due and (not stop or self.due[0] == "write_row"):
                figures = getattr(self, self.due[0])() or figures
                self.due = self.due[1:]
                stop = stop or self.processes.agree(self.request.signal)
        except Abandoned:
            stop = self.request.signal
        except Exception as error:
            if self.processes.size == 1 or getattr(error, "agreed", False):
                self.save_if_possible()
            raise
        if stop:
            self.save()
            self.publish_if_unjudged()
            raise Interrupted(stop, str(self.directory), self.step, reported=not self.processes.first)
        return figures

    def data_ready(self) -> None:
        """Raise errors of reading the next step's data, in any process, while the last step can be saved."""
        if self.train_source.resident:
            return
        first, until = self.batches_before(self.step), self.batches_before(self.step + 1)
        mine = self.data.fault(first, until - first)
        faults = [fault for fault in self.processes.gather(mine and str(mine)) if fault]
        if faults:
            self.save_if_possible()
            other = DataError(faults[0])
            other.reported = True
            raise mine or other

    def save_if_due(self, until: int) -> None:
        """Save where a checkpoint is due, at the best step and at the end."""
        every = self.spec.train.checkpoint_every
        if (every and self.step % every == 0) or self.step in (until, self.best_step) or self.stalled():
            self.save()

    def save_if_possible(self) -> None:
        """Save the progress of this session before an error ends it."""
        if self.step > self.first:
            with suppress(Exception):  # that error is what a user has to hear
                self.save()

    def one_step(self) -> None:
        """Every player's turn, then the actions after each step."""
        for index, turn in self.turns_of(self.step):
            clock = self.clocks[turn.player.name]
            turn.take(self.runtime, self.batches(index, self.step), clock, self.step, self.sentinel, self.tally)
        clock = self.clocks[self.turns[-1].player.name]
        for actor in self.actors:
            actor.after_step(clock)
        self.model.after_step(clock)
        self.averaged.update(self.step)
        self.step += 1
        self.now.add_(1)

    def one_timed_step(self) -> None:
        """A step whose CPU seconds count, if it is the CPU that computes it."""
        if self.runtime.device.type == "cpu":
            self.pace.time(self.one_step)
        else:
            self.one_step()

    def explained(self, error: Diverged) -> Diverged:
        """The error with its cause: the first part of the model, or the data, with NaN or infinity.

        The weights are still what they were before it, so that the step can be seen once more, without gradients.
        """
        if self.runtime.divided:
            return error
        for index, turn in self.turns_of(error.step):
            clock = replace(self.clocks[turn.player.name], step=torch.tensor(error.step, device=self.now.device))
            for batch in self.batches(index, error.step):
                fault = first_not_finite(self.model, batch, partial(self.see, batch, clock))
                if fault is not None:
                    return error.since(str(fault), fault.advice)
        return error

    def see(self, batch: Batch, clock: Clock) -> None:
        """The objective on a batch, not compiled."""
        with self.runtime.autocast():
            self.model.forward(self.runtime.arrange(batch), clock)

    def turns_of(self, step: int) -> list[tuple[int, Turn]]:
        """The turns that are taken in a step, numbered."""
        return list(enumerate(turn for turn in self.turns if turn.trained.takes_turn(step)))

    def batches_before(self, step: int) -> int:
        """The number of batches that were taken before a step."""
        return sum(turn.trained.turns_before(step) for turn in self.turns) * self.spec.train.accumulate

    def batches(self, index: int, step: int) -> Iterator[Batch]:
        """The batches of one turn of a step; the noise of each is seeded when it is requested."""
        settings = self.spec.train
        first = self.batches_before(step) + index * settings.accumulate
        for t in range(first, first + settings.accumulate):
            reseed(self.runtime.device, settings.seed, "train", t, *self.processes.stream)
            batch = self.data.turn(t)
            for change in self.augment:
                batch = change(batch)
            yield batch

    def finished(self) -> bool:
        return self.step >= self.spec.train.steps or self.stalled()

    def stalled(self) -> bool:
        """Whether validation has not improved for as long as the spec is patient."""
        return self.spec.train.patience is not None and self.since_best >= self.spec.train.patience

    # -- at intervals -----------------------------------------------------------------------------------------------

    def write_row(self) -> dict[str, float]:
        self.sentinel.read(self.tally.sums)
        figures = _means(self.processes.gather(self.tally.read()))
        nats = -figures["elbo"] if "elbo" in figures else figures.get("nll")
        event, is_code = self.model.event, isinstance(self.model, Scores) and not self.model.density
        if nats is not None and event.levels is not None and is_code:
            figures["bits_per_dim"] = event.bits_per_dim(nats)
        rates = {f"{turn.prefix}lr": turn.learning_rate() for turn in self.players}
        row = {"step": self.step, "split": "train", **figures, "lr": self.players[0].learning_rate(), **rates}
        self.processes.once(lambda: self.journal.row(row))
        self.tally.clear()
        return figures

    def validate(self) -> None:
        """Measure the averaged weights on the held-out part, and publish them if they are the best."""
        with self.request.repeatable("this validation"):
            model = self.evaluated()
            measured = self.processes.once(lambda: self.measure_held_out(model))
        figures = {name: m.value for name, m in measured.items()}
        self.processes.once(lambda: self.journal.row({"step": self.step, "split": "validation", **figures}))
        best = self.spec.train.best
        if best is None:
            return
        name, goal = chosen(best, self.spec.evaluate.metrics)
        if name not in figures:
            raise UsageError(f"train.best: no metric gave '{name}'{nearest(name, figures)}")
        value = figures[name] if goal == "min" else -figures[name]
        if math.isfinite(value) and (self.best is None or value < self.best):
            self.processes.once(lambda: self.journal.publish(model, self.step))
            self.best, self.best_step, self.since_best = value, self.step, 0
        else:
            self.since_best += 1
            if self.best is None and self.stalled():
                raise NeverFinite(self.step, name, self.since_best, reported=not self.processes.first)
            if not math.isfinite(value):
                self.progress.note(
                    f"warning: '{name}' is not finite at step {self.step}: it is not used to choose weights"
                )

    def measure_held_out(self, model: Model) -> Mapping[str, Measurement]:
        return self.measured(model, self.spec, self.held_source)

    def measured(self, model: Model, spec: Spec, source: Source) -> dict[str, Measurement]:
        """The metrics of a spec on a source; those that learn do so from what this run trains on."""
        how: dict[str, Any] = {"batch": spec.evaluate.batch, "trained_on": lambda: self.train_source}
        return measure(model, spec.evaluate.metrics, source, spec.train.seed, **how)

    def evaluated(self) -> Model:
        """A model with the averaged weights, in evaluation mode: made once a step, since statistics cost a pass."""
        if self._evaluated is None or self._evaluated[0] != self.step:
            with seeded(self.runtime.device, self.spec.train.seed, "recalibrate"):
                model = self.averaged.model(self.data, self.clocks[self.players[0].player.name])
            self._evaluated = self.step, model
        return self._evaluated[1]

    def publish_if_unjudged(self) -> None:
        """Without train.best, publish the latest weights."""
        if self.best is not None:
            return
        model = self.evaluated()
        if self.processes.first:
            self.journal.publish(model, self.step)

    def show(self) -> None:
        """Pictures of the averaged weights, and of how the loss was weighted so far."""
        with self.request.repeatable("these pictures"):
            model = self.evaluated()
            self.processes.once(lambda: self.draw(model))

    def draw(self, model: Model) -> None:
        self.journal.picture(model, self.step, self.shown_examples())
        self.journal.views(model, self.step, self.shown_examples())
        self.journal.curves()

    def draw_density(self) -> None:
        """Draw the density of the averaged weights next to data."""
        model, data = self.evaluated(), next(self.shown_examples().in_order(SHOWN))
        if self.processes.first:
            self.journal.density(model, self.step, data)

    def shown_examples(self) -> Source:
        """The examples for pictures: held-out ones, or else training examples."""
        return self.held_source if len(self.held_source) else self.train_source

    def score(self) -> dict[str, Measurement]:
        """Measure the published metrics on the test split, and write the figures into the share file."""
        file = self.directory / record.MODEL
        model, spec, header = open_share(file)
        model = place(model, self.runtime.device, self.runtime.choices.channels_last)
        measured = self.measured(model, spec, all_of(self.splits["test"], self.runtime.device))
        export_again(file, model, spec, header, metrics=protocol(measured, spec, "test"))
        return measured

    def standing(self) -> str:
        """Note of the last saved step and of how to resume, after something has ended the run."""
        saved = checkpoint.steps(self.directory / run.CHECKPOINTS)
        if not record.is_run(self.directory):
            lost = f"its checkpoint of step {self.saved}" if self.saved else "its unsaved state"
            return f"This was noticed at step {self.step}; {lost} was lost with it"
        if self.finished() and self.step in saved:
            return f"The run {self.directory} is trained and saved; score it with: zoo evaluate {self.directory}"
        safe = f"is saved up to step {saved[-1]}" if saved else "has no checkpoint yet"
        return f"The run stopped at step {self.step} and {safe}; resume with: zoo train --resume {self.directory}"

    def describe(self) -> str:
        """The runtime of the run, in words."""
        choices = self.runtime.choices
        compiled = "compiled" if choices.compile else "not compiled"
        count = sum(p.numel() for p in self.model.parameters())
        text = f"{count:,} parameters on {choices.device}, {choices.precision}, {compiled}"
        batch = self.spec.train.batch
        return text if self.processes.size == 1 else f"{text}, {self.processes.size} processes of batch {batch}"

    # -- resume state -----------------------------------------------------------------------------------------------

    def save(self) -> None:
        """Keep a checkpoint of all that the next step depends on; it is written while training goes on."""
        self.sentinel.read(self.tally.sums)
        self.processes.once(self.sync_rows)
        self.keeper.keep(self.step, self.state(), set() if self.best_step is None else {self.best_step})
        self.saved = self.step

    def sync_rows(self) -> None:
        self.journal.sync()

    def state(self) -> dict[str, Any]:
        carried = training_state(self.model)
        own = {"training_state": self.processes.gather_tensors(carried)} if carried else {}
        return {
            "step": self.step,
            "model": self.model.state_dict(),
            "average": self.averaged.weights,
            "optimizers": {turn.player.name: turn.state() for turn in self.players},
            "tally": self.processes.gather(self.tally.state()),
            "best": self.best,
            "best_step": self.best_step,
            "since_best": self.since_best,
            "due": self.due,
            KEY: self.made_of,
            **own,
        }

    def open_keeper(self) -> Keeper:
        home = self.directory / run.CHECKPOINTS
        if self.runtime.divided:
            return Divided(home, self.processes)
        return Writing(home, self.processes)

    def another(self) -> Model:
        """A second model like the trained one, unsharded.

        What is frozen both have in common. Training state it has only where collecting statistics needs it.
        """
        if not self.runtime.divided:
            memo: dict[int, Tensor | None] = {id(x): x for x in self.frozen.tensors(self.model)}
            if not running_statistics(self.model, self.frozen):
                memo |= {id(x): None for x in training_state(self.model).values()}
            return copy.deepcopy(self.model, memo)
        model = build(self.spec, self.model.event)
        return place(model, self.runtime.device, self.runtime.choices.channels_last)

    def go_on_from(self, step: int) -> None:
        """Load the state of a checkpoint that verifies, if it belongs to this run."""
        filled = {turn.player.name: turn.filled() for turn in self.players}
        if not self.runtime.divided:
            for turn in self.players:
                turn.optimizer.state.clear()
        present = self.state()
        state = self.keeper.load(step, present)
        restored_state.judge(self.keeper.directory / f"step-{step}", state, present, filled, step)
        self.restore(state)

    def restore(self, state: dict[str, Any]) -> None:
        self.model.load_state_dict(state["model"])
        for name, x in training_state(self.model).items():
            x.copy_(state["training_state"][self.processes.rank][name])
        for mine, saved in zip(self.averaged.weights, state["average"], strict=True):
            mine.copy_(saved)
        for turn in self.players:
            turn.restore(state["optimizers"][turn.player.name])
        self.tally.restore(state["tally"][self.processes.rank], self.runtime.device)
        self.best, self.best_step, self.since_best = state["best"], state["best_step"], state["since_best"]
        self.step, self.due = state["step"], [duty for duty in DUTIES if duty in state.get("due", ())]
        self.saved = self.step
        self.now.fill_(self.step)


def _means(figures: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """Each figure's mean over the processes."""
    all_of = list(figures)
    return {name: math.fsum(each[name] for each in all_of) / len(all_of) for name in all_of[0]}
